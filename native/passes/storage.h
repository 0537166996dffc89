#pragma once

#include <vector>

#include "plan/plan.h"

namespace chainrule {

constexpr int kNever = -1;

// A piece of memory that one or more values live in. Positions are node indices; `end` of graph.nodes.size() = until
// the end.
struct Block {
  Space space = Space::arena;
  uint32_t index = 0;  // of the input, variable, constant or output it is
  int64_t bytes = 0;
  int64_t offset = 0;   // in its space
  int first = kNever;   // written from here on
  int last = kNever;    // last read
  int parent = kNever;  // a part of another block, `offset` bytes into it
};

// Where each value of a graph lives for one batch size.
struct Storage {
  struct Place {
    int block = kNever;
    int64_t offset = 0;
  };
  std::vector<Place> of;  // by value; block kNever: not produced
  std::vector<Block> blocks;
  std::vector<bool> inPrologue;     // by node
  std::vector<bool> commitInPlace;  // by commit
  std::vector<bool> outputInPlace;  // by output

  // The outermost block and the offset in it.
  Place root(Place place) const {
    while (blocks[size_t(place.block)].parent != kNever) {
      place.offset += blocks[size_t(place.block)].offset;
      place.block = blocks[size_t(place.block)].parent;
    }
    return place;
  }
};

TensorType concreteType(const ValueType& type, int64_t batch);

// Decides views, in-place results, in-place updates and what belongs to the prologue; offsets are not assigned yet.
Storage chooseStorage(const Graph& graph, int64_t batch);

// Offsets in one arena for blocks that live at overlapping times: largest first, into the lowest gap that fits
// (Pisarchyk & Lee 2020, greedy by size). Returns the arena's size.
struct Lifetime {
  int64_t bytes = 0;
  int first = 0, last = 0;
  int64_t offset = 0;
};
int64_t planMemory(std::vector<Lifetime>& blocks);

}  // namespace chainrule
