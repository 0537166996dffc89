#pragma once

// Householder QR, singular values by one-sided Jacobi, and random orthogonal matrices.

#include <cmath>

#include "base/philox.h"
#include "cuda/kernels/lane.cuh"
#include "cuda/kernels/matrices.cuh"

namespace chainrule::cuda {

// Column `column` of `x` [rows][columns] by reflector j of `r` [rows][n], which is 1 on row j and column j of r below.
DEVICE void reflect(const double* r, int32_t n, int32_t j, double scale, double* x, int32_t rows, int32_t columns,
                    int64_t column) {
  double dot = x[int64_t(j) * columns + column];
  for (int64_t i = j + 1; i < rows; ++i) dot += r[i * n + j] * x[i * columns + column];
  dot *= scale;
  x[int64_t(j) * columns + column] -= dot;
  for (int64_t i = j + 1; i < rows; ++i) x[i * columns + column] -= dot * r[i * n + j];
}

// a [count][rows][columns]; q or factor null: nobody asks.
KERNEL_BODY qrKernel(const __grid_constant__ DeviceMatrices s, const float* a, float* orthogonal, float* factor) {
  __shared__ double partial[kWarp];
  const int32_t m = s.rows, n = s.columns, k = m < n ? m : n;
  const int64_t size = int64_t(m) * n, wide = int64_t(m) * k;
  double *const r = workspaceOf(s), *const q = r + size, *const scale = q + wide, *const diagonal = scale + k;
  for (int64_t matrix = blockIdx.x; matrix < s.count; matrix += gridDim.x) {
    eachOfBlock(0, size, [&](int64_t i) { r[i] = a[matrix * size + i]; });
    syncBlock();
    for (int32_t j = 0; j < k; ++j) {
      const double norm = sumOverBlock(j + 1, m, partial, [&](int64_t i) { return r[i * n + j] * r[i * n + j]; });
      const double first = r[int64_t(j) * n + j], size2 = ::sqrt(first * first + norm);
      const double beta = norm == 0 ? first : first >= 0 ? -size2 : size2;
      const double share = norm == 0 ? 0.0 : (beta - first) / beta;
      if (threadIdx.x == 0) {
        scale[j] = share;
        diagonal[j] = beta;
      }
      if (norm != 0) {
        eachOfBlock(j + 1, m, [&](int64_t i) { r[i * n + j] /= first - beta; });
        syncBlock();
        eachOfBlock(j + 1, n, [&](int64_t column) { reflect(r, n, j, share, r, m, n, column); });
      }
      syncBlock();
    }
    if (orthogonal) {
      eachOfBlock(0, k, [&](int64_t column) {
        for (int64_t i = 0; i < m; ++i) q[i * k + column] = i == column ? 1.0 : 0.0;
        for (int32_t j = k - 1; j >= 0; --j) reflect(r, n, j, scale[j], q, m, k, column);
        for (int64_t i = 0; i < m; ++i) orthogonal[matrix * wide + i * k + column] = float(q[i * k + column]);
      });
    }
    if (factor) {
      eachElement(k, n, [&](int32_t i, int32_t j) {
        const int64_t at = int64_t(i) * n + j;
        factor[matrix * k * n + at] = float(j < i ? 0.0 : j == i ? diagonal[i] : r[at]);
      });
    }
    syncBlock();
  }
}

DEVICE void rotate(double* x, double* y, int64_t count, double cosine, double sine) {
  eachOfBlock(0, count, [&](int64_t i) {
    const double left = x[i];
    x[i] = cosine * left - sine * y[i];
    y[i] = sine * left + cosine * y[i];
  });
}

// Rotates pairs of the rows of `w` [k][length] until all are orthogonal; `v` [k][k] takes part.
DEVICE void orthogonalise(double* w, int64_t k, int64_t length, double* v, double* partial) {
  for (int sweep = 0; sweep < 60; ++sweep) {
    bool done = true;
    for (int64_t p = 0; p + 1 < k; ++p) {
      for (int64_t q = p + 1; q < k; ++q) {
        double *const a = w + p * length, *const b = w + q * length;
        const double aa = sumOverBlock(0, length, partial, [&](int64_t i) { return a[i] * a[i]; });
        const double bb = sumOverBlock(0, length, partial, [&](int64_t i) { return b[i] * b[i]; });
        const double ab = sumOverBlock(0, length, partial, [&](int64_t i) { return a[i] * b[i]; });
        if (::fabs(ab) <= 1e-15 * ::sqrt(aa * bb)) continue;
        done = false;
        const double zeta = (bb - aa) / (2 * ab);
        const double t = (zeta >= 0 ? 1.0 : -1.0) / (::fabs(zeta) + ::sqrt(1 + zeta * zeta));
        const double cosine = 1 / ::sqrt(1 + t * t);
        rotate(a, b, length, cosine, cosine * t);
        rotate(v + p * k, v + q * k, k, cosine, cosine * t);
        syncBlock();
      }
    }
    if (done) return;
  }
}

// u [rows][k], v [columns][k]; what is null nobody asks for.
KERNEL_BODY svdKernel(const __grid_constant__ DeviceMatrices s, const float* a, float* values, float* u, float* v) {
  __shared__ double partial[kWarp];
  const int32_t m = s.rows, n = s.columns;
  const bool tall = m >= n;
  const int64_t k = tall ? n : m, length = tall ? m : n, count = int64_t(m) * n;
  double *const w = workspaceOf(s), *const turned = w + k * length, *const size = turned + k * k,
                *const order = size + k;
  for (int64_t matrix = blockIdx.x; matrix < s.count; matrix += gridDim.x) {
    // The short side's vectors as rows of w: columns of a tall matrix, rows of a wide one.
    eachElement(m, n, [&](int32_t i, int32_t j) {
      w[tall ? j * length + i : i * length + j] = a[matrix * count + int64_t(i) * n + j];
    });
    eachOfBlock(0, k * k, [&](int64_t i) { turned[i] = i % (k + 1) == 0 ? 1.0 : 0.0; });
    syncBlock();
    orthogonalise(w, k, length, turned, partial);
    for (int64_t j = 0; j < k; ++j) {
      const double sum =
          sumOverBlock(0, length, partial, [&](int64_t i) { return w[j * length + i] * w[j * length + i]; });
      if (threadIdx.x == 0) size[j] = ::sqrt(sum);
    }
    if (threadIdx.x == 0) {  // largest first
      for (int64_t place = 0; place < k; ++place) {
        int64_t best = 0;
        for (int64_t j = 1; j < k; ++j) {
          if (size[j] > size[best]) best = j;
        }
        order[2 * place] = double(best);
        order[2 * place + 1] = size[best];
        size[best] = -1;
      }
    }
    syncBlock();
    float *const longSide = tall ? u : v, *const shortSide = tall ? v : u;
    eachOfBlock(0, values ? k : 0, [&](int64_t place) { values[matrix * k + place] = float(order[2 * place + 1]); });
    eachElement(longSide ? int32_t(length) : 0, int32_t(k), [&](int32_t i, int32_t place) {
      const int64_t best = int64_t(order[2 * place]);
      const double value = order[2 * place + 1];
      longSide[(matrix * length + i) * k + place] = float(value > 0 ? w[best * length + i] / value : 0.0);
    });
    eachElement(shortSide ? int32_t(k) : 0, int32_t(k), [&](int32_t i, int32_t place) {
      shortSide[(matrix * k + i) * k + place] = float(turned[int64_t(order[2 * place]) * k + i]);
    });
    syncBlock();
  }
}

// Element `element` of row `row` of the standard normal draw `draw`, as cpu/kernels/random.inl makes it.
DEVICE float normalAt(const uint32_t* seed, uint64_t row, int64_t element) {
  const PhiloxBlock counter{{philoxBlockOf(element), uint32_t(row), uint32_t(row >> 32), seed[2]}};
  const PhiloxBlock words = philox(counter, seed[0], seed[1]);
  const int word = philoxWordOf(element);
  const uint32_t first = words.word[word & 2], second = words.word[(word & 2) + 1];
  const lane::Float u((float(int32_t(first >> 8)) + 1.0f) * 0x1p-24f);  // (0, 1]
  const lane::Float radius = lane::sqrt(lane::Float(-2.0f) * lane::log(u));
  const lane::Float angle(float(int32_t(second >> 8)) * 0x1p-24f * 6.283185307f);
  return (radius * (word % 2 == 0 ? lane::cos(angle) : lane::sin(angle))).v;
}

// The short side's vectors, as rows of `vectors` [short][long], by Gram-Schmidt, each twice; one block. `dots` has room
// for one number for each of them.
KERNEL_BODY orthogonalKernel(const uint32_t* seed, int32_t rows, int32_t columns, float gain, double* vectors,
                             double* dots, float* out) {
  __shared__ double partial[kWarp];
  const bool tall = rows >= columns;
  const int64_t count = tall ? columns : rows, length = tall ? rows : columns;
  for (int64_t j = 0; j < count; ++j) {
    eachOfBlock(0, length, [&](int64_t i) { vectors[j * length + i] = normalAt(seed, uint64_t(j), i); });
  }
  syncBlock();
  const int warp = int(threadIdx.x) / kWarp, lane = int(threadIdx.x) % kWarp, warps = int(blockDim.x) / kWarp;
  for (int64_t j = 0; j < count; ++j) {
    double* const own = vectors + j * length;
    for (int pass = 0; pass < 2; ++pass) {
      for (int64_t i = warp; i < j; i += warps) {
        double dot = 0;
        for (int64_t at = lane; at < length; at += kWarp) dot += own[at] * vectors[i * length + at];
        dot = foldWarp<SumOfDoubles>(dot);
        if (lane == 0) dots[i] = dot;
      }
      syncBlock();
      eachOfBlock(0, length, [&](int64_t at) {
        for (int64_t i = 0; i < j; ++i) own[at] -= dots[i] * vectors[i * length + at];
      });
      syncBlock();
    }
    const double norm = ::sqrt(sumOverBlock(0, length, partial, [&](int64_t i) { return own[i] * own[i]; }));
    eachOfBlock(0, length, [&](int64_t i) { own[i] /= norm; });
    syncBlock();
  }
  eachElement(rows, columns, [&](int32_t i, int32_t j) {
    out[int64_t(i) * columns + j] = float((tall ? vectors[j * length + i] : vectors[i * length + j]) * double(gain));
  });
}

}  // namespace chainrule::cuda
