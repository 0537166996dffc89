#pragma once

#include <memory>
#include <vector>

#include "cuda/libraries/libraries.h"
#include "cuda/ops/gemm.h"

namespace chainrule::cuda {

// A product that cuBLASLt computes, by an algorithm that gives the same bits in every run on a kind of GPU and that
// needs no more scratch than a fixed size.
class LtProduct {
 public:
  // By the algorithm that the library's heuristic names first for the shape. Null where the kernels here are as good (a
  // rule of the shape), where the operands lie in a way that the library has no description for or reads slowly, where
  // the bias is of another type than the result, and where it knows no algorithm. `gemm` as runGemm takes it, but for
  // its pointers.
  static std::shared_ptr<const LtProduct> make(const LtDevice& device, const Gemm& gemm, Factors factors, bool bias);

  // The algorithms that the heuristic names, the best guess first, for small products, too.
  static std::vector<LtAlgorithm> algorithms(const LtDevice& device, const Gemm& gemm, Factors factors, bool bias);
  // By that algorithm; null where the library refuses it.
  static std::shared_ptr<const LtProduct> make(const LtDevice& device, const Gemm& gemm, Factors factors, bool bias,
                                               const LtAlgorithm& algorithm);
  ~LtProduct();
  LtProduct(const LtProduct&) = delete;

  int64_t scratchBytes() const { return workspace_.scratchBytes(); }
  bool takes(const Gemm& gemm) const;  // whether its pointers are aligned as the algorithm needs it
  void run(CuStream stream, const Gemm& gemm, void* scratch) const;

 private:
  explicit LtProduct(const LtDevice& device) : device_(device) {}
  // Null where there is no description; without an algorithm.
  static std::shared_ptr<LtProduct> describe(const LtDevice& device, const Gemm& gemm, Factors factors, bool bias);
  std::vector<LtHeuristicResult> ask(int most) const;
  bool take(const LtHeuristicResult& found);

  const LtDevice& device_;
  LtProductDescription product_ = nullptr;
  LtLayout left_ = nullptr, right_ = nullptr, result_ = nullptr;
  LtAlgorithm algorithm_ = {};
  LibraryWorkspace workspace_;
};

}  // namespace chainrule::cuda
