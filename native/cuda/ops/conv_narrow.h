#pragma once

#include <optional>

#include "base/conv_shape.h"
#include "cuda/libraries/cudnn_convolution.h"
#include "cuda/ops/island.h"

namespace chainrule::cuda {

// A convolution of images of so few channels that the sums are short, or its gradient towards the filter; nothing for
// others. Operands as the ops have them; `epilogue`: what `own` has left of it.
std::optional<Lowering> lowerNarrow(const LowerContext& node, const ConvShape& shape, ConvolutionPass pass,
                                    const Epilogue& epilogue, const OwnEpilogue& own);

}  // namespace chainrule::cuda
