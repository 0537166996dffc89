#pragma once

#include "base/conv_shape.h"
#include "cuda/ops/conv_windows.h"
#include "cuda/ops/island.h"

// The three passes of a depthwise convolution of floats; operands as the ops have them.
namespace chainrule::cuda {

Lowering lowerDepthwise(const ConvShape& shape, Epilogue epilogue);
Lowering lowerDepthwiseInput(const ConvShape& shape);
Lowering lowerDepthwiseFilter(const ConvShape& shape);

}  // namespace chainrule::cuda
