#pragma once

#include <optional>

#include "cuda/libraries/cudnn_convolution.h"
#include "cuda/ops/island.h"

namespace chainrule::cuda {

// A convolution, or one of its gradients, by cuDNN; nothing where the kernels here do it. Operands as the ops have
// them.
std::optional<Lowering> lowerByCudnn(const LowerContext& node, const ConvShape& shape, ConvolutionPass pass,
                                     const Epilogue& epilogue, int biasInput, bool relu);

}  // namespace chainrule::cuda
