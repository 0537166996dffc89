#include "cuda/ops/product.h"

#include "cuda/devices.h"
#include "cuda/libraries/lt_product.h"

namespace chainrule::cuda {

Product::Product(const LowerContext& node, const Gemm& gemm, bool bias) : gemm_(gemm), factors_(factorsOf(node)) {
  if (const LtDevice* const device = librariesOf(node).cublasLt()) {
    library_ = LtProduct::make(*device, gemm, factors_, bias);
  }
  scratchBytes_ = library_ ? library_->scratchBytes() : planGemm(gemm_);
}

void Product::run(Queue& queue, const Gemm& gemm, void* scratch) const {
  if (library_ && library_->takes(gemm)) {
    library_->run(queue.stream(), gemm, scratch);
  } else {
    runGemm(queue, gemm, scratch, factors_);
  }
}

}  // namespace chainrule::cuda
