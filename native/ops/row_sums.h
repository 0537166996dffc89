#pragma once

#include "ops/row_stage.h"

namespace chainrule::ops {

// The axes of NHWC over which rows are summed: all but the channels, enough of which fill vectors.
RowRole roleOfSums(const Graph& graph, const Node& node);
RowStage sumRowStage(const LowerContext& c);  // of reduceSum and reduceMean

}  // namespace chainrule::ops
