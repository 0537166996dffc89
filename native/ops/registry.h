#pragma once

#include <span>

#include "ir/op.h"

// Each file of this folder exports its ops as one span; registry.cpp joins them.
namespace chainrule::ops {

std::span<const OpDef> argOps();
std::span<const OpDef> attentionOps();
std::span<const OpDef> convInt8Ops();
std::span<const OpDef> convOps();
std::span<const OpDef> cumulativeOps();
std::span<const OpDef> elementwiseOps();
std::span<const OpDef> factorOps();
std::span<const OpDef> gatherOps();
std::span<const OpDef> groupOps();
std::span<const OpDef> islandOps();
std::span<const OpDef> islandSumsOps();
std::span<const OpDef> joinOps();
std::span<const OpDef> layerNormOps();
std::span<const OpDef> matmulOps();
std::span<const OpDef> momentsOps();
std::span<const OpDef> moveOps();
std::span<const OpDef> orthogonalOps();
std::span<const OpDef> panelOps();
std::span<const OpDef> poolOps();
std::span<const OpDef> quantizedOps();
std::span<const OpDef> randomOps();
std::span<const OpDef> recurrentOps();
std::span<const OpDef> reduceOps();
std::span<const OpDef> rowChainOps();
std::span<const OpDef> rowGraphOps();
std::span<const OpDef> softmaxOps();
std::span<const OpDef> solveOps();
std::span<const OpDef> sortOps();
std::span<const OpDef> sourceOps();
std::span<const OpDef> standardizeOps();
std::span<const OpDef> viewOps();
std::span<const OpDef> winogradOps();

}  // namespace chainrule::ops
