#pragma once

#include <optional>

#include "cuda/libraries/cudnn_convolution.h"
#include "cuda/ops/island.h"

namespace chainrule::cuda {

// As a node may use it, null where it may not.
const DnnDevice* cudnnOf(const LowerContext& node);

// What happens where the library finds only when it is called that it cannot: it is done here, or the call fails.
enum class Refusal { here, fails };

// A convolution, or one of its gradients, by cuDNN; nothing where it does not take the shape. What it cannot read as it
// lies is done as `here`. Operands as the ops have them.
std::optional<Lowering> lowerByCudnn(const LowerContext& node, const DnnDevice& device, const ConvShape& shape,
                                     ConvolutionPass pass, const Epilogue& epilogue, const OwnEpilogue& own,
                                     const Lowering& here, Refusal refusal);

}  // namespace chainrule::cuda
