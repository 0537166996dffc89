#pragma once

#include "base/conv_shape.h"
#include "cuda/ops/conv_windows.h"
#include "cuda/ops/island.h"

// The three passes of a depthwise convolution of floats; operands as the ops have them.
namespace chainrule::cuda {

Lowering lowerDepthwise(const LowerContext& node, const ConvShape& shape, Epilogue epilogue);
Lowering lowerDepthwiseInput(const LowerContext& node, const ConvShape& shape);
Lowering lowerDepthwiseFilter(const LowerContext& node, const ConvShape& shape);

}  // namespace chainrule::cuda
