#pragma once

// Sums over the rows of a normalized matrix (cuda/rows.h): a block takes kNormColumns columns of a chunk of rows.

#include "cuda/kernels/fold.cuh"
#include "cuda/rows.h"

namespace chainrule::cuda {

constexpr int kNormColumns = kWarp, kNormThreads = 512;

struct NormPair {
  float gamma, beta;
};
struct NormFold {
  DEVICE_MEMBER static NormPair join(NormPair a, NormPair b) { return {a.gamma + b.gamma, a.beta + b.beta}; }
  DEVICE_MEMBER static NormPair neutral(NormPair) { return {}; }
};

KERNEL_BODY __launch_bounds__(kNormThreads, 2) normSums(DeviceNormSums s) {
  __shared__ NormPair shared[kNormThreads];
  constexpr int depth = kNormThreads / kNormColumns;
  const int64_t tiles = (s.columns + kNormColumns - 1) / kNormColumns, chunk = blockIdx.x / tiles;
  const int64_t column = (blockIdx.x - chunk * tiles) * kNormColumns + int(threadIdx.x) % kNormColumns;
  const int64_t begin = chunk * s.chunkRows, end = begin + s.chunkRows < s.rows ? begin + s.chunkRows : s.rows;
  const int row = int(threadIdx.x) / kNormColumns;
  NormPair sums = {};
  if (column < s.columns) {
    sums = foldShare<NormFold, NormPair, 4>(begin + row, depth, end, [&](int64_t i) {
      const float dy = s.dy[i * s.columns + column], mean = s.mean ? s.mean[i] : 0.0f;
      return NormPair{dy * ((s.x[i * s.columns + column] - mean) * s.scale[i]), dy};
    });
  }
  sums = foldColumns<NormFold>(sums, shared, kNormColumns, depth);
  if (row != 0 || column >= s.columns) return;
  float* const to = s.partial + chunk * 2 * s.columns + column;
  to[0] = sums.gamma;
  to[s.columns] = sums.beta;
}

// A thread for each sum.
KERNEL_BODY __launch_bounds__(256) normSumsJoin(DeviceNormSums s) {
  const int64_t i = globalThread();
  if (i >= 2 * s.columns) return;
  float* const to = i < s.columns ? s.gamma : s.beta;
  if (!to) return;
  to[i % s.columns] =
      foldShare<SumFold, float, 4>(0, 1, s.chunks, [&](int64_t chunk) { return s.partial[chunk * 2 * s.columns + i]; });
}

}  // namespace chainrule::cuda
