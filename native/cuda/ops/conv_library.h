#pragma once

#include "cuda/libraries/cudnn_convolution.h"
#include "cuda/ops/island.h"

namespace chainrule::cuda {

// A convolution, or one of its gradients, by cuDNN where it is there and the shape pays; else as it is done `here`, and
// so where the library finds only when it is called that it cannot. Operands as the ops have them.
Lowering lowerByCudnn(const LowerContext& node, const ConvShape& shape, ConvolutionPass pass, const Epilogue& epilogue,
                      const OwnEpilogue& own, const Lowering& here);

}  // namespace chainrule::cuda
