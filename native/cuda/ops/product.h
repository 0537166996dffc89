#pragma once

#include <memory>

#include "cuda/ops/gemm.h"
#include "cuda/ops/island.h"

namespace chainrule::cuda {

class LtProduct;

// A product of two matrices by the kernels here or, where it is installed and the shape pays, by cuBLASLt: decided
// once, when a node is lowered.
class Product {
 public:
  // `gemm` without its pointers; `own`: those that come with an epilogue.
  Product(const LowerContext& node, const Gemm& gemm, const OwnEpilogue& own);

  bool byLibrary() const { return library_ != nullptr; }
  int64_t scratchBytes() const { return scratchBytes_; }
  const Gemm& gemm() const { return gemm_; }  // to be given pointers
  void run(Queue& queue, const Gemm& gemm, void* scratch) const;

 private:
  Gemm gemm_;
  Factors factors_;
  std::shared_ptr<const LtProduct> library_;
  int64_t scratchBytes_ = 0;
};

// The launch of a node whose first two inputs are the sides of a product and whose output is the result, perhaps with
// an epilogue.
Lowering lowerProduct(const LowerContext& node, const Gemm& gemm, const Epilogue& epilogue = {});

// What the kernel does itself of an epilogue; the bias comes with the pointers.
Gemm withEpilogue(Gemm gemm, const OwnEpilogue& own);

}  // namespace chainrule::cuda
