#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cuda/ops/gemm.h"
#include "cuda/ops/island.h"

namespace chainrule::cuda {

// The launch of a node whose first two inputs are the sides of a product and whose output is the result, perhaps with
// an epilogue. By the kernels here or, where it is installed and the shape pays, by cuBLASLt: decided now, by the shape
// or, where the node says so, by measuring.
Lowering lowerProduct(const LowerContext& node, const Gemm& gemm, const Epilogue& epilogue = {});

// What the kernel does itself of an epilogue; the bias comes with the pointers.
Gemm withEpilogue(Gemm gemm, const OwnEpilogue& own);

// The ways to compute a product by the kernels here, by name: see cuda/autotune/autotune.h.
std::vector<std::string> tileNames(const LowerContext& node, const Gemm& gemm, bool windowed);
std::optional<GemmPlan> planNamed(std::string_view name, const LowerContext& node, const Gemm& gemm, bool windowed);

// For the keys of choices: "tf32", ", bias, relu".
std::string nameOf(Factors factors);
std::string nameOf(const OwnEpilogue& own);

}  // namespace chainrule::cuda
