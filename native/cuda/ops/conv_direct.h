#pragma once

#include <optional>

#include "base/conv_shape.h"
#include "cuda/libraries/cudnn_convolution.h"
#include "cuda/ops/island.h"

namespace chainrule::cuda {

// Convolutions and their gradients that have kernels of their own, which are no products. Operands as the ops have
// them.

// Of isDepthwise(shape), of floats.
Lowering lowerDepthwise(const ConvShape& shape, ConvolutionPass pass, const Epilogue& epilogue = {});

// Of images of so few channels that the sums are short; nothing for others, and for gradients of images. `epilogue`:
// what `own` has left of it.
std::optional<Lowering> lowerNarrow(const LowerContext& node, const ConvShape& shape, ConvolutionPass pass,
                                    const Epilogue& epilogue, const OwnEpilogue& own);

}  // namespace chainrule::cuda
