#include "cuda/ops/product.h"

namespace chainrule::cuda {
namespace {

// [.., M, K] x [.., K, N]: a shared right side makes all leading axes of A rows of one product.
Lowering lowerMatmul(const LowerContext& c) {
  const Dims &a = c.in[0].dims, &b = c.in[1].dims, &out = c.out[0].dims;
  const bool ta = c.attrs().integer("transposeA", 0) != 0, tb = c.attrs().integer("transposeB", 0) != 0;
  const int ra = a.size(), rb = b.size(), rank = out.size();
  Gemm gemm;
  gemm.m = out[rank - 2];
  gemm.n = out[rank - 1];
  gemm.k = a[ra - (ta ? 2 : 1)];
  gemm.a = rowsOperand(a[ra - 1], ta);
  gemm.b = columnsOperand(b[rb - 1], tb);
  gemm.cRow = gemm.n;
  if (rb == 2 && !ta) {
    gemm.m = gemm.n == 0 ? 0 : c.out[0].count() / gemm.n;
  } else {
    if (rank - 2 > kGemmBatchRank) fail("UNSUPPORTED", "matmul over more than 6 axes of products");
    int64_t sizes[3] = {a[ra - 2] * a[ra - 1], b[rb - 2] * b[rb - 1], gemm.m * gemm.n};
    for (int axis = rank - 3; axis >= 0; --axis) {
      const int to = kGemmBatchRank - (rank - 2) + axis;
      gemm.batchDims[to] = out[axis];
      gemm.batchCount *= out[axis];
      gemm.cBatch[to] = sizes[2];
      sizes[2] *= out[axis];
      const auto stride = [&](const Dims& dims, int64_t& size) -> int64_t {
        const int own = axis - (rank - dims.size());
        if (own < 0 || dims[own] == 1) return 0;
        const int64_t at = size;
        size *= dims[own];
        return at;
      };
      gemm.a.batch[to] = stride(a, sizes[0]);
      gemm.b.batch[to] = stride(b, sizes[1]);
    }
  }
  return lowerProduct(c, gemm, Epilogue(c, 2));
}

constexpr Launcher table[] = {{"matmul", lowerMatmul}};

}  // namespace

Launchers matmulLaunchers() { return table; }

}  // namespace chainrule::cuda
