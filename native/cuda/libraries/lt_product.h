#pragma once

#include <memory>

#include "cuda/libraries/libraries.h"
#include "cuda/ops/gemm.h"

namespace chainrule::cuda {

// A product that cuBLASLt computes, by the algorithm that its heuristic names first for the shape: of those that give
// the same bits in every run on a kind of GPU and that need no more scratch than a fixed size.
class LtProduct {
 public:
  // Null where the kernels here are as good (a rule of the shape), where the operands lie in a way that the library
  // has no description for, where the bias is of another type than the result, and where it knows no algorithm. `gemm`
  // as runGemm takes it, but for its pointers.
  static std::shared_ptr<const LtProduct> make(const LtDevice& device, const Gemm& gemm, Factors factors, bool bias);
  ~LtProduct();
  LtProduct(const LtProduct&) = delete;

  int64_t scratchBytes() const { return workspace_.scratchBytes(); }
  bool takes(const Gemm& gemm) const;  // whether its pointers are aligned as the algorithm needs it
  void run(CuStream stream, const Gemm& gemm, void* scratch) const;

 private:
  explicit LtProduct(const LtDevice& device) : device_(device) {}
  bool choose();

  const LtDevice& device_;
  LtProductDescription product_ = nullptr;
  LtLayout left_ = nullptr, right_ = nullptr, result_ = nullptr;
  LtAlgorithm algorithm_ = {};
  LibraryWorkspace workspace_;
};

}  // namespace chainrule::cuda
