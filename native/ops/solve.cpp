#include <algorithm>
#include <cmath>

#include "ops/matrices.h"

// Square matrices, each in float64 by the textbook's loops: LU with row exchanges (solve, inverse, determinant) and
// Cholesky.

namespace chainrule::ops {
namespace {

Expr transposed(Expr a) {
  std::vector<int64_t> perm;
  for (int i = 0; i < a.shape().size(); ++i) perm.push_back(i);
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return apply("transpose", {a}, attrs({{"perm", perm}}));
}
Expr product(Expr a, Expr b, bool ta, bool tb) {
  return apply("matmul", {a, b}, attrs({{"transposeA", int64_t(ta)}, {"transposeB", int64_t(tb)}}));
}

// LU in place with the rows of `right` exchanged alike; returns the sign of the exchanges. A singular matrix divides by
// 0.
double eliminate(double* a, int64_t n, double* right, int64_t m) {
  double sign = 1;
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; ++i) {
      if (std::fabs(a[i * n + k]) > std::fabs(a[pivot * n + k])) pivot = i;
    }
    if (pivot != k) {
      sign = -sign;
      std::swap_ranges(a + k * n, a + (k + 1) * n, a + pivot * n);
      if (right) std::swap_ranges(right + k * m, right + (k + 1) * m, right + pivot * m);
    }
    if (a[k * n + k] == 0 && !right) continue;
    for (int64_t i = k + 1; i < n; ++i) {
      const double factor = a[i * n + k] / a[k * n + k];
      for (int64_t j = k + 1; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
      for (int64_t j = 0; j < m; ++j) right[i * m + j] -= factor * right[k * m + j];
    }
  }
  return sign;
}

// x in place of `right`, from the upper triangle.
void substitute(const double* a, int64_t n, double* right, int64_t m) {
  for (int64_t i = n - 1; i >= 0; --i) {
    for (int64_t j = 0; j < m; ++j) {
      double sum = right[i * m + j];
      for (int64_t k = i + 1; k < n; ++k) sum -= a[i * n + k] * right[k * m + j];
      right[i * m + j] = sum / a[i * n + i];
    }
  }
}

std::vector<ValueType> inferSolve(const InferContext& c) {
  expectMatrices(c, 0, true);
  expectMatrices(c, 1, false);
  const Shape &a = c.in[0].shape, &b = c.in[1].shape;
  if (!(outer(a) == outer(b)) || !(b[b.size() - 2] == a[a.size() - 1]))
    fail("SHAPE", "right sides ", toString(b), " do not fit matrices ", toString(a));
  return {typeOf(DType::f32, b)};
}
std::vector<ValueId> gradientOfSolve(GradientContext& c) {
  const Expr right = apply("solve", {transposed(c.in(0)), c.grad()});
  return {(-product(right, c.out(), false, true)).id, right.id};
}
Lowering lowerSolve(const LowerContext& c) {
  const Matrices a = matricesOf(c.in[0].dims), b = matricesOf(c.in[1].dims);
  const int64_t n = a.rows, m = b.columns;
  return {.launch =
              [=](const StepArgs& args) {
                double *const left = reinterpret_cast<double*>(args.own), *const right = left + n * n;
                const Range range = args.split(a.count);
                for (int64_t i = range.begin; i < range.end; ++i) {
                  std::copy_n(args.in<float>(0) + i * n * n, n * n, left);
                  std::copy_n(args.in<float>(1) + i * n * m, n * m, right);
                  eliminate(left, n, right, m);
                  substitute(left, n, right, m);
                  std::copy_n(right, n * m, args.out<float>() + i * n * m);
                }
              },
          .cost = double(a.count * n * n) * double(n + m),
          .memberScratch = size_t(n * (n + m)) * 8};
}

std::vector<ValueType> inferSquare(const InferContext& c) {
  expectMatrices(c, 0, true);
  return sameAsFirst(c);
}
std::vector<ValueId> gradientOfInverse(GradientContext& c) {
  return {(-product(product(c.out(), c.grad(), true, false), c.out(), false, true)).id};
}
Lowering lowerInverse(const LowerContext& c) {
  const Matrices a = matricesOf(c.in[0].dims);
  const int64_t n = a.rows, size = n * n;
  return {.launch =
              [=](const StepArgs& args) {
                double *const left = reinterpret_cast<double*>(args.own), *const right = left + size;
                const Range range = args.split(a.count);
                for (int64_t i = range.begin; i < range.end; ++i) {
                  std::copy_n(args.in<float>(0) + i * size, size, left);
                  std::fill_n(right, size, 0.0);
                  for (int64_t k = 0; k < n; ++k) right[k * n + k] = 1;
                  eliminate(left, n, right, n);
                  substitute(left, n, right, n);
                  std::copy_n(right, size, args.out<float>() + i * size);
                }
              },
          .cost = double(a.count * size) * double(n) * 2,
          .memberScratch = size_t(size) * 16};
}

// Parts: the determinant, the logarithm of its size, its sign.
std::vector<ValueType> inferDeterminant(const InferContext& c) {
  expectMatrices(c, 0, true);
  const ValueType number = typeOf(DType::f32, outer(c.in[0].shape));
  return {number, number, number};
}
std::vector<ValueId> gradientOfDeterminant(GradientContext& c) {
  Expr total{&c.graph, kNone};
  if (c.grad(0).valid()) total = c.grad(0) * c.out(0);
  if (c.grad(1).valid()) total = total.valid() ? total + c.grad(1) : c.grad(1);
  if (!total.valid()) return {kNone};
  const Shape wide = outer(c.in(0).shape(), {Dim(1), Dim(1)});
  return {(transposed(apply("inverse", {c.in(0)})) * reshape(total, wide)).id};
}
Lowering lowerDeterminant(const LowerContext& c) {
  const Matrices a = matricesOf(c.in[0].dims);
  const int64_t n = a.rows;
  const bool used[] = {bool(c.used[0]), bool(c.used[1]), bool(c.used[2])};
  return {.launch =
              [=, det = used[0], log = used[1], signed_ = used[2]](const StepArgs& args) {
                double* const left = reinterpret_cast<double*>(args.own);
                const Range range = args.split(a.count);
                for (int64_t i = range.begin; i < range.end; ++i) {
                  std::copy_n(args.in<float>(0) + i * n * n, n * n, left);
                  double sign = eliminate(left, n, nullptr, 0), size = 0, value = sign;
                  for (int64_t k = 0; k < n; ++k) {
                    const double pivot = left[k * n + k];
                    value *= pivot;
                    size += std::log(std::fabs(pivot));
                    sign = pivot == 0 ? 0 : pivot < 0 ? -sign : sign;
                  }
                  if (det) args.out<float>(0)[i] = float(value);
                  if (log) args.out<float>(1)[i] = float(size);
                  if (signed_) args.out<float>(2)[i] = float(sign);
                }
              },
          .cost = double(a.count * n * n) * double(n),
          .memberScratch = size_t(n * n) * 8};
}

std::vector<ValueId> gradientOfCholesky(GradientContext& c) {
  return {apply("choleskyGradient", {c.out(), c.grad()}).id};
}
Lowering lowerCholesky(const LowerContext& c) {
  const Matrices a = matricesOf(c.in[0].dims);
  const int64_t n = a.rows;
  return {.launch =
              [=](const StepArgs& args) {
                double* const l = reinterpret_cast<double*>(args.own);
                const Range range = args.split(a.count);
                for (int64_t m = range.begin; m < range.end; ++m) {
                  const float* in = args.in<float>(0) + m * n * n;
                  std::fill_n(l, n * n, 0.0);
                  for (int64_t j = 0; j < n; ++j) {
                    for (int64_t i = j; i < n; ++i) {
                      double sum = in[i * n + j];
                      for (int64_t k = 0; k < j; ++k) sum -= l[i * n + k] * l[j * n + k];
                      l[i * n + j] = i == j ? std::sqrt(sum) : sum / l[j * n + j];
                    }
                  }
                  std::copy_n(l, n * n, args.out<float>() + m * n * n);
                }
              },
          .cost = double(a.count * n * n) * double(n) * 0.5,
          .memberScratch = size_t(n * n) * 8};
}

// (S + S^T) / 2 with S = L^-T P L^-1, P the lower triangle of L^T g with its diagonal halved (Murray, 2016).
Lowering lowerCholeskyGradient(const LowerContext& c) {
  const Matrices a = matricesOf(c.in[0].dims);
  const int64_t n = a.rows, size = n * n;
  return {.launch =
              [=](const StepArgs& args) {
                double *const p = reinterpret_cast<double*>(args.own), *const s = p + size;
                const Range range = args.split(a.count);
                for (int64_t m = range.begin; m < range.end; ++m) {
                  const float *l = args.in<float>(0) + m * size, *g = args.in<float>(1) + m * size;
                  for (int64_t i = 0; i < n; ++i) {
                    for (int64_t j = 0; j < n; ++j) {
                      double sum = 0;
                      for (int64_t k = i; j <= i && k < n; ++k) sum += double(l[k * n + i]) * g[k * n + j];
                      p[i * n + j] = i == j ? sum * 0.5 : sum;
                    }
                  }
                  // L^T s = p, column by column; then s' L = s, row by row.
                  for (int64_t j = 0; j < n; ++j) {
                    for (int64_t i = n - 1; i >= 0; --i) {
                      double sum = p[i * n + j];
                      for (int64_t k = i + 1; k < n; ++k) sum -= l[k * n + i] * s[k * n + j];
                      s[i * n + j] = sum / l[i * n + i];
                    }
                  }
                  for (int64_t i = 0; i < n; ++i) {
                    for (int64_t j = n - 1; j >= 0; --j) {
                      double sum = s[i * n + j];
                      for (int64_t k = j + 1; k < n; ++k) sum -= p[i * n + k] * l[k * n + j];
                      p[i * n + j] = sum / l[j * n + j];
                    }
                  }
                  float* out = args.out<float>() + m * size;
                  for (int64_t i = 0; i < n; ++i) {
                    for (int64_t j = 0; j < n; ++j) out[i * n + j] = float((p[i * n + j] + p[j * n + i]) * 0.5);
                  }
                }
              },
          .cost = double(a.count * size) * double(n) * 3,
          .memberScratch = size_t(size) * 16};
}

const OpDef table[] = {
    {.name = "solve",
     .minInputs = 2,
     .maxInputs = 2,
     .infer = inferSolve,
     .gradient = gradientOfSolve,
     .lower = lowerSolve},
    {.name = "inverse",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = inferSquare,
     .gradient = gradientOfInverse,
     .lower = lowerInverse},
    {.name = "determinant",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = inferDeterminant,
     .gradient = gradientOfDeterminant,
     .lower = lowerDeterminant},
    {.name = "cholesky",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = inferSquare,
     .gradient = gradientOfCholesky,
     .lower = lowerCholesky},
    {.name = "choleskyGradient", .minInputs = 2, .maxInputs = 2, .infer = inferSquare, .lower = lowerCholeskyGradient},
};

}  // namespace

std::span<const OpDef> solveOps() { return table; }

}  // namespace chainrule::ops
