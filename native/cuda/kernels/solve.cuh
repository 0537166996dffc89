#pragma once

// LU with row exchanges and Cholesky by the textbook's loops, as the CPU has them: the block shares each column's work.

#include <cmath>

#include "cuda/kernels/matrices.cuh"

namespace chainrule::cuda {

constexpr int kSolveThreads = 256;  // at most

// The row of the first largest element of column k from row k on.
DEVICE int32_t pivotOf(const double* a, int32_t n, int32_t k) {
  __shared__ double sizes[kSolveThreads];
  __shared__ int32_t places[kSolveThreads];
  const double start = ::fabs(a[int64_t(k) * n + k]);
  double best = start;
  int32_t where = k;
  eachOfBlock(k + 1, n, [&](int64_t i) {
    const double size = ::fabs(a[i * n + k]);
    if (size > best) best = size, where = int32_t(i);
  });
  sizes[threadIdx.x] = best;
  places[threadIdx.x] = where;
  syncBlock();
  best = start;
  where = k;
  for (int t = 0; t < int(blockDim.x); ++t) {
    const bool better = sizes[t] > best || (sizes[t] == best && places[t] < where);
    best = better ? sizes[t] : best;
    where = better ? places[t] : where;
  }
  return where;
}

DEVICE void exchangeRows(double* a, int32_t columns, int32_t k, int32_t pivot) {
  eachOfBlock(0, columns, [&](int64_t j) {
    const double held = a[int64_t(k) * columns + j];
    a[int64_t(k) * columns + j] = a[int64_t(pivot) * columns + j];
    a[int64_t(pivot) * columns + j] = held;
  });
}

// LU in place with the rows of `right` [n][m] exchanged alike; returns the sign of the exchanges. A singular matrix
// divides by 0, unless nothing is on its right.
DEVICE double eliminate(double* a, int32_t n, double* right, int32_t m) {
  double sign = 1;
  for (int32_t k = 0; k < n; ++k) {
    syncBlock();
    const int32_t pivot = pivotOf(a, n, k);
    if (pivot != k) {
      sign = -sign;
      exchangeRows(a, n, k, pivot);
      if (right) exchangeRows(right, m, k, pivot);
    }
    syncBlock();
    const double diagonal = a[int64_t(k) * n + k];
    if (diagonal == 0 && !right) continue;
    eachOfBlock(k + 1, n, [&](int64_t i) { a[i * n + k] /= diagonal; });
    syncBlock();
    const double* const row = a + int64_t(k) * n;
    eachElement(n - k - 1, n - k - 1, [&](int32_t i, int32_t j) {
      double* const below = a + int64_t(k + 1 + i) * n;
      below[k + 1 + j] -= below[k] * row[k + 1 + j];
    });
    eachElement(right ? n - k - 1 : 0, m, [&](int32_t i, int32_t j) {
      right[int64_t(k + 1 + i) * m + j] -= a[int64_t(k + 1 + i) * n + k] * right[int64_t(k) * m + j];
    });
  }
  syncBlock();
  return sign;
}

// x in place of `right`, from the upper triangle.
DEVICE void substitute(const double* a, int32_t n, double* right, int32_t m) {
  for (int32_t i = n - 1; i >= 0; --i) {
    double* const row = right + int64_t(i) * m;
    eachOfBlock(0, m, [&](int64_t j) { row[j] /= a[int64_t(i) * n + i]; });
    syncBlock();
    eachElement(i, m, [&](int32_t k, int32_t j) { right[int64_t(k) * m + j] -= a[int64_t(k) * n + i] * row[j]; });
    syncBlock();
  }
}

// `b` [count][n][columns], null: the identity.
KERNEL_BODY solveKernel(const __grid_constant__ DeviceMatrices s, const float* a, const float* b, int32_t columns,
                        float* x) {
  const int32_t n = s.rows;
  const int64_t size = int64_t(n) * n, wide = int64_t(n) * columns;
  double *const left = workspaceOf(s), *const right = left + size;
  for (int64_t matrix = blockIdx.x; matrix < s.count; matrix += gridDim.x) {
    eachOfBlock(0, size, [&](int64_t i) { left[i] = a[matrix * size + i]; });
    eachElement(n, columns, [&](int32_t i, int32_t j) {
      const int64_t at = int64_t(i) * columns + j;
      right[at] = b ? double(b[matrix * wide + at]) : i == j ? 1.0 : 0.0;
    });
    eliminate(left, n, right, columns);
    substitute(left, n, right, columns);
    eachOfBlock(0, wide, [&](int64_t i) { x[matrix * wide + i] = float(right[i]); });
    syncBlock();
  }
}

// Null: nobody asks.
KERNEL_BODY determinantKernel(const __grid_constant__ DeviceMatrices s, const float* a, float* determinant,
                              float* logarithm, float* signs) {
  const int32_t n = s.rows;
  const int64_t size = int64_t(n) * n;
  double* const left = workspaceOf(s);
  for (int64_t matrix = blockIdx.x; matrix < s.count; matrix += gridDim.x) {
    eachOfBlock(0, size, [&](int64_t i) { left[i] = a[matrix * size + i]; });
    double sign = eliminate(left, n, nullptr, 0), logSize = 0, value = sign;
    if (threadIdx.x == 0) {
      for (int32_t k = 0; k < n; ++k) {
        const double pivot = left[int64_t(k) * n + k];
        value *= pivot;
        logSize += ::log(::fabs(pivot));
        sign = pivot == 0 ? 0 : pivot < 0 ? -sign : sign;
      }
      if (determinant) determinant[matrix] = float(value);
      if (logarithm) logarithm[matrix] = float(logSize);
      if (signs) signs[matrix] = float(sign);
    }
    syncBlock();
  }
}

KERNEL_BODY choleskyKernel(const __grid_constant__ DeviceMatrices s, const float* a, float* out) {
  const int32_t n = s.rows;
  const int64_t size = int64_t(n) * n;
  double* const l = workspaceOf(s);
  for (int64_t matrix = blockIdx.x; matrix < s.count; matrix += gridDim.x) {
    const float* const in = a + matrix * size;
    eachOfBlock(0, size, [&](int64_t i) { l[i] = 0.0; });
    syncBlock();
    for (int32_t j = 0; j < n; ++j) {
      eachOfBlock(j, n, [&](int64_t i) {
        double sum = in[i * n + j];
        for (int32_t k = 0; k < j; ++k) sum -= l[i * n + k] * l[int64_t(j) * n + k];
        l[i * n + j] = i == j ? ::sqrt(sum) : sum;
      });
      syncBlock();
      eachOfBlock(j + 1, n, [&](int64_t i) { l[i * n + j] /= l[int64_t(j) * n + j]; });
      syncBlock();
    }
    eachOfBlock(0, size, [&](int64_t i) { out[matrix * size + i] = float(l[i]); });
    syncBlock();
  }
}

// (S + S^T) / 2 with S = L^-T P L^-1, P the lower triangle of L^T g with its diagonal halved (Murray, 2016).
KERNEL_BODY choleskyGradientKernel(const __grid_constant__ DeviceMatrices m, const float* factors,
                                   const float* gradients, float* out) {
  const int32_t n = m.rows;
  const int64_t size = int64_t(n) * n;
  double *const p = workspaceOf(m), *const s = p + size;
  for (int64_t matrix = blockIdx.x; matrix < m.count; matrix += gridDim.x) {
    const float *const l = factors + matrix * size, *const g = gradients + matrix * size;
    eachElement(n, n, [&](int32_t i, int32_t j) {
      double sum = 0;
      for (int64_t k = i; j <= i && k < n; ++k) sum += double(l[k * n + i]) * double(g[k * n + j]);
      p[int64_t(i) * n + j] = i == j ? sum * 0.5 : sum;
    });
    syncBlock();
    eachOfBlock(0, n, [&](int64_t j) {  // L^T s = p, column by column
      for (int64_t i = n - 1; i >= 0; --i) {
        double sum = p[i * n + j];
        for (int64_t k = i + 1; k < n; ++k) sum -= l[k * n + i] * s[k * n + j];
        s[i * n + j] = sum / l[i * n + i];
      }
    });
    syncBlock();
    eachOfBlock(0, n, [&](int64_t i) {  // s' L = s, row by row
      for (int64_t j = n - 1; j >= 0; --j) {
        double sum = s[i * n + j];
        for (int64_t k = j + 1; k < n; ++k) sum -= p[i * n + k] * l[k * n + j];
        p[i * n + j] = sum / l[j * n + j];
      }
    });
    syncBlock();
    eachElement(n, n, [&](int32_t i, int32_t j) {
      out[matrix * size + int64_t(i) * n + j] = float((p[int64_t(i) * n + j] + p[int64_t(j) * n + i]) * 0.5);
    });
    syncBlock();
  }
}

}  // namespace chainrule::cuda
