#pragma once

#include <vector>

#include "ops/row_stage.h"

// How a graph of rows runs: planned by row_graph.cpp, launched by row_graph_run.cpp.

namespace chainrule::ops {

constexpr int64_t kMostChunks = 64;

// Rows that a stage computes: those of a result of the node, or a window that moves over the image in a member's
// memory.
struct RowTensor {
  int64_t rows = 0, rowSize = 0;  // of an image, and floats of a row
  int output = -1;                // of the node
  int producer = 0;               // stage
  size_t offset = 0;              // of the window in the member's memory
};

struct GraphStage {
  RowStage stage;
  int64_t rows = 0;  // of an image: of its results, or those it sums over
  struct Operand {
    int tensor = -1;  // or -1: an input of the node
    int input = 0;
  };
  std::vector<Operand> inputs;
  std::vector<int> results;  // tensors; of sums outputs of the node, or -1
  bool leaves = false;       // has results of the node among its own: each row is computed once
  int64_t capacity = 0;      // rows of the windows over its other results
  size_t preparedOffset = 0, sumOffset = 0;

  bool sums() const { return bool(stage.add); }
};

// Images are cut into `blocks` of rows, all blocks into chunks whose sums are apart. By sizes alone, never by the team.
struct RowGraphRun {
  std::vector<GraphStage> stages;
  std::vector<RowTensor> tensors;
  int64_t images = 0, blocks = 1, chunks = 1;
  std::vector<Range> ranges;  // of every block of an image, the rows that each stage must have computed

  void findRanges();
  const Range* rangesOf(int64_t block) const { return ranges.data() + block % blocks * int64_t(stages.size()); }
  int64_t firstBlock(int64_t chunk) const { return images * blocks * chunk / chunks; }
  // Rows that a stage sums over in a chunk.
  int64_t rowsOf(const GraphStage& stage, int64_t chunk) const;
  void run(const StepArgs& args) const;
};

}  // namespace chainrule::ops
