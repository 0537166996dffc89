#pragma once

#include "cpu/split.h"
#include "ops/conv_groups.h"
#include "ops/conv_shape.h"
#include "ops/epilogue.h"
#include "ops/row_stage.h"

namespace chainrule::ops {

// A forward convolution with its epilogue over a range of output rows: what conv2d and its stage of a rowChain share.
struct ConvForward {
  ConvShape shape;
  ConvKind kind = ConvKind::panels;
  SmallGroups groups;  // of that kind
  Epilogue epilogue;
  const cpu::KernelTable* kernels = nullptr;
  bool packed = false;   // the filter arrives in panels
  bool halves = false;   // of bfloat16
  bool streams = false;  // such a filter is that of a product, which widens it as it goes
  int64_t panels = 0;    // of all groups
  int64_t rowSize = 0;   // floats of an output row
  size_t filterBytes = 0, scratchBytes = 0, islandOffset = 0;

  int64_t rows() const { return shape.n * shape.oh; }
  double flop() const;
  double cost() const { return flop() * 0.015 + epilogue.cost; }

  // The filter in panels; packs it into `memory` with the whole team if need be.
  const float* filter(const StepArgs& args, std::byte* memory) const;
  // Rows before the epilogue, unless it runs in registers. Row r goes to y + r * rowSize.
  void run(const StepArgs& args, const float* filter, float* y, Range rows, Range panels, std::byte* own) const;
  void runAll(const StepArgs& args, const float* filter, float* y, Range rows, std::byte* own) const {
    run(args, filter, y, rows, {0, panels}, own);
    finish(args, y, {rows.begin * rowSize, rows.end * rowSize}, own);
  }
  // What is left of the epilogue, over a range of elements.
  bool finishes() const { return epilogue.remains(epilogue.begins()); }
  void finish(const StepArgs& args, float* y, Range elements, std::byte* own) const;
};

// Of a node whose inputs are x, filter and those of its epilogue; `out` is the convolution's own result.
ConvForward lowerConvForward(const LowerContext& c, const Dims& out);

RowStage convRowStage(const LowerContext& c);

// A member's part of a rows x panels grid: rows if there are enough of them, else panels.
struct GridPart {
  Range rows, panels;
};
inline GridPart gridPart(const StepArgs& args, int64_t rows, int64_t panels) {
  if (rows >= args.members || rows >= panels) return {args.split(rows), {0, panels}};
  return {{0, rows}, args.split(panels)};
}

}  // namespace chainrule::ops
