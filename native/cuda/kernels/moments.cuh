#pragma once

// Mean and variance of each column of a matrix [rows][columns] in one pass: Welford's recurrence along the rows of a
// thread, Chan's formula to put threads and chunks together (https://doi.org/10.1080/00031305.1983.10483115).

#include "cuda/kernels/fold.cuh"
#include "cuda/kernels/four.cuh"
#include "cuda/moments.h"

namespace chainrule::cuda {

// Of `count` numbers in each of `width` columns; the squares are those of deviations from the mean.
template <int width>
struct Moments {
  float count, mean[width], squares[width];

  DEVICE_MEMBER void add(const float (&x)[width]) {
    count += 1;
    const float share = 1.0f / count;
#pragma unroll
    for (int e = 0; e < width; ++e) {
      const float apart = x[e] - mean[e];
      mean[e] = fmaOf(apart, share, mean[e]);
      squares[e] = fmaOf(apart, x[e] - mean[e], squares[e]);
    }
  }
};
struct MomentsFold {
  template <int width>
  DEVICE_MEMBER static Moments<width> join(const Moments<width>& a, const Moments<width>& b) {
    if (b.count == 0) return a;
    if (a.count == 0) return b;
    Moments<width> all;
    all.count = a.count + b.count;
    const float share = b.count / all.count, both = a.count * share;
#pragma unroll
    for (int e = 0; e < width; ++e) {
      const float apart = b.mean[e] - a.mean[e];
      all.mean[e] = fmaOf(apart, share, a.mean[e]);
      all.squares[e] = fmaOf(apart * apart, both, a.squares[e] + b.squares[e]);
    }
    return all;
  }
};

template <int width>
DEVICE void readColumns(const float* from, bool aligned, float (&to)[width]) {
  if (width == 4 && aligned) {
    const Four four = *reinterpret_cast<const Four*>(from);
#pragma unroll
    for (int e = 0; e < width; ++e) to[e] = four.v[e];
  } else {
#pragma unroll
    for (int e = 0; e < width; ++e) to[e] = from[e];
  }
}

// A block takes `lanes` times `width` columns of a chunk of rows, its threads over the columns and then over the rows.
template <int width>
DEVICE void columnMoments(const DeviceMoments& m) {
  __shared__ Moments<width> shared[kMomentThreads];
  constexpr int kRows = 4;  // whose reads are under way at a time
  const int depth = int(blockDim.x) / m.lanes, row = int(threadIdx.x) / m.lanes;
  const int64_t tiles = (m.columns / width + m.lanes - 1) / m.lanes, chunk = blockIdx.x / tiles;
  const int64_t column = ((blockIdx.x - chunk * tiles) * m.lanes + int(threadIdx.x) % m.lanes) * width;
  const int64_t begin = chunk * m.chunkRows, end = begin + m.chunkRows < m.rows ? begin + m.chunkRows : m.rows;
  const bool valid = row < depth && column < m.columns;
  Moments<width> sum = {};
  if (valid) {
    int64_t i = begin + row;
    for (; i + (kRows - 1) * depth < end; i += kRows * depth) {
      float x[kRows][width];
#pragma unroll
      for (int k = 0; k < kRows; ++k) readColumns(m.x + (i + k * depth) * m.columns + column, m.aligned, x[k]);
#pragma unroll
      for (int k = 0; k < kRows; ++k) sum.add(x[k]);
    }
    for (; i < end; i += depth) {
      float x[width];
      readColumns(m.x + i * m.columns + column, m.aligned, x);
      sum.add(x);
    }
  }
  sum = foldColumns<MomentsFold>(sum, shared, m.lanes, depth);
  if (!valid || row != 0) return;
  float* const to = m.partial + chunk * 2 * m.columns + column;
#pragma unroll
  for (int e = 0; e < width; ++e) {
    to[e] = sum.mean[e];
    to[m.columns + e] = sum.squares[e];
  }
}
KERNEL_BODY __launch_bounds__(kMomentThreads) moments(DeviceMoments m) { columnMoments<1>(m); }
KERNEL_BODY __launch_bounds__(kMomentThreads) momentsOfFours(DeviceMoments m) { columnMoments<4>(m); }

// A block puts the chunks of a warp's columns together, each of its warps every kMomentWarps-th.
constexpr int kMomentWarps = kMomentThreads / kWarp;
KERNEL_BODY __launch_bounds__(kMomentThreads) momentsJoin(DeviceMoments m) {
  __shared__ Moments<1> shared[kMomentThreads];
  const int64_t column = int64_t(blockIdx.x) * kWarp + threadIdx.x % kWarp;
  Moments<1> all = {};
  if (column < m.columns) {
    for (int64_t chunk = threadIdx.x / kWarp; chunk < m.chunks; chunk += kMomentWarps) {
      const float* const from = m.partial + chunk * 2 * m.columns + column;
      const int64_t left = m.rows - chunk * m.chunkRows;
      const float count = float(left < m.chunkRows ? left : m.chunkRows);
      all = MomentsFold::join(all, Moments<1>{count, {from[0]}, {from[m.columns]}});
    }
  }
  all = foldColumns<MomentsFold>(all, shared, kWarp, kMomentWarps);
  if (threadIdx.x >= kWarp || column >= m.columns) return;
  if (m.mean) m.mean[column] = all.count == 0 ? all.squares[0] / all.count : all.mean[0];  // NaN, of no rows
  if (m.variance) m.variance[column] = all.squares[0] / all.count;
}

}  // namespace chainrule::cuda
