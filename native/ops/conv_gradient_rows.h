#pragma once

#include "ops/row_stage.h"

namespace chainrule::ops {

// Depthwise and pointwise convolutions, few of whose weights serve many pixels, run row by row among other ops.
RowRole roleOfConv(const Graph& graph, const Node& node);        // conv2d
RowRole roleOfConvInput(const Graph& graph, const Node& node);   // conv2dInput
RowRole roleOfConvFilter(const Graph& graph, const Node& node);  // conv2dFilter
RowStage convInputRowStage(const LowerContext& c);
RowStage convFilterRowStage(const LowerContext& c);

}  // namespace chainrule::ops
