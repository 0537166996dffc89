#pragma once

#include "cuda/kernels/grid.cuh"

namespace chainrule::cuda {

constexpr int kJoinRows = 32;  // of threads in a block, each with 32 elements

// The gradient of a filter from those of parts of the pixels: every kJoinRows-th part is one sum.
KERNEL_BODY convJoin(const float* partial, int64_t parts, int64_t count, float* to) {
  __shared__ float sums[kJoinRows][kWarp];
  const int lane = int(threadIdx.x) % kWarp, own = int(threadIdx.x) / kWarp;
  const int64_t i = int64_t(blockIdx.x) * kWarp + lane;
  float sum = 0;
#pragma unroll 4
  for (int64_t part = own; i < count && part < parts; part += kJoinRows) sum += partial[part * count + i];
  sums[own][lane] = sum;
  syncBlock();
  if (own > 0 || i >= count) return;
  for (int row = 1; row < kJoinRows; ++row) sum += sums[row][lane];
  to[i] = sum;
}

}  // namespace chainrule::cuda
