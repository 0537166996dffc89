#include "cuda/ops/product.h"

#include <algorithm>

#include "cuda/devices.h"
#include "cuda/libraries/lt_product.h"

namespace chainrule::cuda {

Product::Product(const LowerContext& node, const Gemm& gemm, bool bias) : gemm_(gemm), factors_(factorsOf(node)) {
  scratchBytes_ = planGemm(gemm_);
  if (const LtDevice* const device = librariesOf(node).cublasLt()) {
    library_ = LtProduct::make(*device, gemm, factors_, bias);
  }
  // An operand that is a part of something may start anywhere: then the kernels here do it after all.
  if (library_) scratchBytes_ = std::max(scratchBytes_, library_->scratchBytes());
}

void Product::run(Queue& queue, const Gemm& gemm, void* scratch) const {
  if (library_ && library_->takes(gemm)) {
    library_->run(queue.stream(), gemm, scratch);
  } else {
    runGemm(queue, gemm, scratch, factors_);
  }
}

Lowering lowerProduct(const LowerContext& node, const Gemm& gemm, const Epilogue& epilogue, int biasInput) {
  const Product product(node, gemm, biasInput >= 0);
  Lowering lowering;
  lowering.flop = 2.0 * double(gemm.batchCount) * double(gemm.m) * double(gemm.n) * double(gemm.k);
  lowering.sharedScratch = size_t(product.scratchBytes());
  lowering.launch = [product, epilogue, biasInput](const StepArgs& args) {
    Gemm now = product.gemm();
    now.a.data = args.in<void>(0);
    now.b.data = args.in<void>(1);
    now.c = args.out<float>();
    if (biasInput >= 0) now.bias = args.in<float>(biasInput);
    product.run(queueOf(args), now, args.shared);
    epilogue.run(args);
  };
  return lowering;
}

}  // namespace chainrule::cuda
