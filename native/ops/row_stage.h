#pragma once

#include <array>
#include <functional>

#include "plan/backend.h"

namespace chainrule::ops {

// What members summed over chunks of rows, each on its own.
struct RowSums {
  const float* sums = nullptr;  // `stride` floats apart
  int64_t chunks = 0, stride = 0;
  const int64_t* rows = nullptr;  // that each chunk has
};

// An op over images that computes any rows of its result from the rows of its first input under their windows, so that
// ops can follow each other block by block (row_chain.cpp). Row r of all images is at r * rowSize floats of its tensor;
// a tensor's pointer in StepArgs is where row 0 would be, and only the rows at hand need to exist.
struct RowStage {
  int64_t rowSize = 0;  // of the result
  size_t sharedBytes = 0, ownBytes = 0;
  double cost = 0, flop = 0;
  // What all rows need, made by the whole team; null: nothing.
  std::function<const void*(const StepArgs& args, std::byte* shared)> prepare;
  std::function<void(const StepArgs& args, const void* prepared, Range rows, std::byte* own)> run;
  // This member's part of all rows.
  std::function<void(const StepArgs& args, const void* prepared, std::byte* own)> runPart;

  // In a graph of rows (row_graph.cpp): the rows of an image of input i under these of the result; null: the same ones.
  std::function<Range(int input, Range rows)> source;
  // Of an op that sums over the rows of all images in place of `run`: adds rows to `sums`, which hold `before` rows
  // yet, 0: nothing. Then the team makes the result of all chunks, whose parts without readers are null.
  int64_t sumFloats = 0;
  std::function<void(const StepArgs& args, Range rows, float* sums, int64_t before, std::byte* own)> add;
  std::function<void(const StepArgs& args, const RowSums& chunks)> total;
};

// What a stage is called with by one member: operand i is slot i, inputs first.
template <size_t count>
struct StageCall {
  StepArgs args;
  std::array<void*, count> slots{};
  const void* prepared = nullptr;

  void bind(const StepArgs& from, int inputs) {
    args = from;
    args.slots = slots.data();
    args.operands = kIdentity.data();
    args.inputs = inputs;
  }

 private:
  static constexpr auto kIdentity = [] {
    std::array<uint32_t, count> numbers{};
    for (uint32_t i = 0; i < count; ++i) numbers[i] = i;
    return numbers;
  }();
};

}  // namespace chainrule::ops
