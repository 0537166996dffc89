#include "cuda/libraries/lt_product.h"

#include <algorithm>
#include <optional>

namespace chainrule::cuda {
namespace {

// Where the library's kernels gain more than its launch costs.
constexpr int64_t kLeastSide = 64, kLeastSum = 16;
constexpr double kLeastFlop = 1 << 28;

constexpr uint32_t kAlignment = 16;  // of kernels that read 16 bytes at once; what a plan places has more
constexpr uint64_t kMostWorkspace = 32 << 20;
constexpr int kMostAlgorithms = 8;  // that are worth a measurement

// A matrix as the library sees it: columns of `rows` numbers each, `leading` apart, or its transpose.
struct Matrix {
  bool transposed;
  uint64_t rows, columns;
  int64_t leading;
};

// Of an operand whose (x, k) the library calls (row, column): the left one. The right one is its transpose.
std::optional<Matrix> leftMatrix(const GemmOperand& operand, int64_t count, int64_t k) {
  if (operand.innerCount != INT64_MAX) return std::nullopt;
  if (operand.x == 1 && (operand.inner >= count || k == 1))
    return Matrix{false, uint64_t(count), uint64_t(k), std::max(operand.inner, count)};
  if (operand.inner == 1 && (operand.x >= k || count == 1))
    return Matrix{true, uint64_t(k), uint64_t(count), std::max(operand.x, k)};
  return std::nullopt;
}

// The distance between products, where one number says it.
std::optional<int64_t> batchStride(const int64_t (&strides)[kGemmBatchRank], const Gemm& gemm) {
  std::optional<int64_t> stride;
  int64_t next = 0;  // the stride that the next axis outwards must have
  for (int axis = kGemmBatchRank - 1; axis >= 0; --axis) {
    const int64_t count = gemm.batchDims[axis];
    if (count == 1) continue;
    if (stride && strides[axis] != next) return std::nullopt;
    if (!stride) stride = strides[axis];
    next = strides[axis] * count;
  }
  return stride.value_or(0);
}

// Whether kernels can read 16 bytes at once.
bool isWide(const Gemm& gemm, Factors factors) {
  const int64_t wide = factors == Factors::bf16 ? 8 : 4;
  const auto fits = [&](const GemmOperand& operand) {
    return std::max(operand.x, operand.inner) % wide == 0 &&
           std::ranges::all_of(operand.batch, [&](int64_t stride) { return stride % wide == 0; });
  };
  return fits(gemm.a) && fits(gemm.b) && gemm.cRow % 4 == 0;
}

bool isLarge(const Gemm& gemm) {
  const double flop = 2.0 * double(gemm.batchCount) * double(gemm.m) * double(gemm.n) * double(gemm.k);
  return std::min(gemm.m, gemm.n) >= kLeastSide && gemm.k >= kLeastSum && flop >= kLeastFlop;
}

bool aligned(const void* data) { return reinterpret_cast<uintptr_t>(data) % kAlignment == 0; }

}  // namespace

std::shared_ptr<const LtProduct> LtProduct::make(const LtDevice& device, const Gemm& gemm, Factors factors, bool bias) {
  if (!device.takesAll && !isLarge(gemm)) return nullptr;
  const auto result = describe(device, gemm, factors, bias);
  if (!result) return nullptr;
  const std::vector<LtHeuristicResult> found = result->ask(1);
  return !found.empty() && result->take(found[0]) ? result : nullptr;
}

std::vector<LtAlgorithm> LtProduct::algorithms(const LtDevice& device, const Gemm& gemm, Factors factors, bool bias) {
  std::vector<LtAlgorithm> algorithms;
  if (const auto product = describe(device, gemm, factors, bias)) {
    for (const LtHeuristicResult& found : product->ask(kMostAlgorithms)) algorithms.push_back(found.algorithm);
  }
  return algorithms;
}

std::shared_ptr<const LtProduct> LtProduct::make(const LtDevice& device, const Gemm& gemm, Factors factors, bool bias,
                                                 const LtAlgorithm& algorithm) {
  const auto result = describe(device, gemm, factors, bias);
  if (!result) return nullptr;
  LtHeuristicResult found = {};
  const LtStatus status = device.library.functions.check(device.handle, result->product_, result->left_, result->right_,
                                                         result->result_, result->result_, &algorithm, &found);
  found.algorithm = algorithm;
  return status == 0 && result->take(found) ? result : nullptr;
}

std::shared_ptr<LtProduct> LtProduct::describe(const LtDevice& device, const Gemm& gemm, Factors factors, bool bias) {
  if (std::min({gemm.m, gemm.n, gemm.k, gemm.batchCount}) < 1 || !(device.takesAll || isWide(gemm, factors)))
    return nullptr;
  if ((bias && gemm.halfBias != gemm.halfC) || gemm.biasBatch != 0 ||
      std::max({gemm.m, gemm.n, gemm.k, gemm.batchCount}) > INT32_MAX)
    return nullptr;
  const auto left = leftMatrix(gemm.b, gemm.n, gemm.k), right = leftMatrix(gemm.a, gemm.m, gemm.k);
  const auto leftStride = batchStride(gemm.b.batch, gemm), rightStride = batchStride(gemm.a.batch, gemm),
             resultStride = batchStride(gemm.cBatch, gemm);
  if (!left || !right || !leftStride || !rightStride || !resultStride) return nullptr;

  const CublasLt& library = device.library;
  const CublasLtFunctions& f = library.functions;
  std::shared_ptr<LtProduct> result(new LtProduct(device));
  const auto layout = [&](LtLayout& to, int type, const Matrix& matrix, int64_t stride) {
    library.check(f.layoutCreate(&to, type, matrix.rows, matrix.columns, matrix.leading), "cublasLtMatrixLayoutCreate");
    if (gemm.batchCount == 1) return;
    const int32_t count = int32_t(gemm.batchCount);
    library.check(f.layoutSet(to, kLtBatchCount, &count, sizeof count), "cublasLtMatrixLayoutSetAttribute");
    library.check(f.layoutSet(to, kLtBatchStride, &stride, sizeof stride), "cublasLtMatrixLayoutSetAttribute");
  };
  const int type = factors == Factors::bf16 ? kLtBfloat16 : kLtFloat;
  layout(result->left_, type, *left, *leftStride);
  layout(result->right_, type, *right, *rightStride);
  layout(result->result_, gemm.halfC ? kLtBfloat16 : kLtFloat, {false, uint64_t(gemm.n), uint64_t(gemm.m), gemm.cRow},
         *resultStride);

  library.check(f.productCreate(&result->product_, factors == Factors::tf32 ? kLtComputeTf32 : kLtCompute32, kLtFloat),
                "cublasLtMatmulDescCreate");
  const auto set = [&](int attribute, auto value) {
    library.check(f.productSet(result->product_, attribute, &value, sizeof value), "cublasLtMatmulDescSetAttribute");
  };
  set(kLtTransposeA, left->transposed ? kLtTransposed : kLtPlain);
  set(kLtTransposeB, right->transposed ? kLtPlain : kLtTransposed);
  if (bias || gemm.relu) set(kLtEpilogue, (gemm.relu ? kLtRelu : 0) | (bias ? kLtBias : 0));
  // Of the result's type. Tells the heuristic how it is aligned; all products of a batch have the same.
  if (bias) set(kLtBiasPointer, reinterpret_cast<const void*>(uintptr_t(kAlignment)));
  return result;
}

std::vector<LtHeuristicResult> LtProduct::ask(int most) const {
  const CublasLt& library = device_.library;
  const CublasLtFunctions& f = library.functions;
  LtPreference preference = nullptr;
  library.check(f.preferenceCreate(&preference), "cublasLtMatmulPreferenceCreate");
  const std::unique_ptr<LtPreferenceRecord, LtStatus (*)(LtPreference)> owner(preference, f.preferenceDestroy);
  const auto prefer = [&](int attribute, auto value) {
    library.check(f.preferenceSet(preference, attribute, &value, sizeof value), "cublasLtMatmulPreferenceSetAttribute");
  };
  prefer(kLtMostWorkspace, kMostWorkspace);
  prefer(kLtReductionMask, kLtReduceInWorkspace);
  for (int attribute : {kLtAlignmentA, kLtAlignmentB, kLtAlignmentC, kLtAlignmentD}) prefer(attribute, kAlignment);
  std::vector<LtHeuristicResult> found(size_t(most), LtHeuristicResult{});
  int count = 0;
  const LtStatus status =
      f.heuristic(device_.handle, product_, left_, right_, result_, result_, preference, most, found.data(), &count);
  if (status == kLtNotSupported) return {};
  library.check(status, "cublasLtMatmulAlgoGetHeuristic");
  found.resize(size_t(count));
  return found;
}

bool LtProduct::take(const LtHeuristicResult& found) {
  if (found.state != 0 || found.workspaceBytes > kMostWorkspace) return false;
  algorithm_ = found.algorithm;
  workspace_.bytes = found.workspaceBytes;
  return true;
}

LtProduct::~LtProduct() {
  const CublasLtFunctions& f = device_.library.functions;
  for (LtLayout layout : {left_, right_, result_}) {
    if (layout) f.layoutDestroy(layout);
  }
  if (product_) f.productDestroy(product_);
}

bool LtProduct::takes(const Gemm& gemm) const {
  return aligned(gemm.a.data) && aligned(gemm.b.data) && aligned(gemm.c) && aligned(gemm.bias);
}

void LtProduct::run(CuStream stream, const Gemm& gemm, void* scratch) const {
  const CublasLt& library = device_.library;
  if (gemm.bias) {
    library.check(library.functions.productSet(product_, kLtBiasPointer, &gemm.bias, sizeof gemm.bias),
                  "cublasLtMatmulDescSetAttribute");
  }
  void* const workspace = workspace_.in(scratch);
  const float alpha = 1, beta = gemm.accumulate ? 1 : 0;
  library.check(
      library.functions.matmul(device_.handle, product_, &alpha, gemm.b.data, left_, gemm.a.data, right_, &beta, gemm.c,
                               result_, gemm.c, result_, &algorithm_, workspace, workspace_.bytes, stream),
      "cublasLtMatmul");
}

}  // namespace chainrule::cuda
