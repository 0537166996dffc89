#pragma once

#include <vector>

#include "ops/row_stage.h"
#include "ops/window.h"

// How a chain of rows runs: planned by row_chain.cpp, launched by row_chain_run.cpp.

namespace chainrule::ops {

constexpr int kRows = 1, kColumns = 2;  // axes of an image
// With fewer rows for each member, those that two members compute both would count: then the stages run one by one.
constexpr int64_t kRowsOfMember = 4;
constexpr int64_t kManyRows = 256;  // enough for any team

struct Link {
  RowStage stage;
  Window window;
  int64_t sourceRows = 0, rows = 0;  // of an image, before and behind the stage
  int firstInput = 0, inputs = 0;    // of the node, without the stage's first
  int64_t chunk = 1;                 // rows at a time
  int64_t capacity = 0;              // rows of the block behind it
  int64_t weights = 0;               // bytes
  size_t preparedOffset = 0, blockOffset = 0, wholeOffset = 0;

  // Windows below the image begin at its end.
  int64_t firstSource(int64_t row) const { return std::min(sourceRows, window.first(kRows - 1, row)); }
  int64_t endSource(int64_t row) const { return std::max(firstSource(row), window.end(kRows - 1, row, sourceRows)); }
};

struct Chain {
  std::vector<Link> links;
  int64_t images = 0;
  bool alwaysInSteps = false;

  int64_t rows() const { return images * links.back().rows; }
  bool mayRunInSteps() const { return alwaysInSteps || rows() < kManyRows; }
  bool inSteps(int members) const {
    return alwaysInSteps || (mayRunInSteps() && members > 1 && rows() < kRowsOfMember * members);
  }
};

// A launch by one member; the chain's op has so many parts.
void runChain(const Chain& chain, const StepArgs& args, int parts);

}  // namespace chainrule::ops
