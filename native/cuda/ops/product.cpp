#include "cuda/ops/product.h"

#include <algorithm>

#include "cuda/devices.h"
#include "cuda/libraries/lt_product.h"

namespace chainrule::cuda {

Product::Product(const LowerContext& node, const Gemm& gemm, const OwnEpilogue& own)
    : gemm_(gemm), factors_(factorsOf(node)) {
  scratchBytes_ = planGemm(gemm_);
  if (const LtDevice* const device = librariesOf(node).cublasLt(); device && own.gateInput < 0) {
    library_ = LtProduct::make(*device, gemm, factors_, own.biasInput >= 0);
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

Gemm withEpilogue(Gemm gemm, const OwnEpilogue& own) {
  gemm.halfBias = own.halfBias;
  gemm.halfGate = own.halfGate;
  gemm.relu = own.relu;
  gemm.halfC = own.rounds;
  return gemm;
}

Lowering lowerProduct(const LowerContext& node, const Gemm& gemm, const Epilogue& epilogue) {
  Epilogue rest = epilogue;
  OwnEpilogue own = rest.take(true);
  Product product(node, withEpilogue(gemm, own), own);
  if ((own.halfBias || own.rounds || own.gateInput >= 0) && !product.byLibrary()) {  // which may know it without
    if (const Product plain(node, gemm, {}); plain.byLibrary()) {
      product = plain;
      own = {};
      rest = epilogue;
    }
  }
  Lowering lowering;
  lowering.flop = 2.0 * double(gemm.batchCount) * double(gemm.m) * double(gemm.n) * double(gemm.k);
  lowering.sharedScratch = rest.place(size_t(product.scratchBytes()));
  lowering.launch = [product, own, rest](const StepArgs& args) {
    Gemm now = product.gemm();
    now.a.data = args.in<void>(0);
    now.b.data = args.in<void>(1);
    now.c = rest.result(args);
    now.bias = own.bias(args);
    now.gate = own.gate(args);
    product.run(queueOf(args), now, args.shared);
    rest.run(args);
  };
  return lowering;
}

}  // namespace chainrule::cuda
