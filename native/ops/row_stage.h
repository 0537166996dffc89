#pragma once

#include <functional>

#include "plan/backend.h"

namespace chainrule::ops {

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
};

}  // namespace chainrule::ops
