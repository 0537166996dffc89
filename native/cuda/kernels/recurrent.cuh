#pragma once

// Recurrent layers step by step: their cells between two matrix products (cuda/recurrent.h).

#include "cuda/kernels/recurrent_cell.cuh"

namespace chainrule::cuda {

KERNEL_BODY cellForwardKernel(const __grid_constant__ DeviceCellForward s) {
  const CellPlace at = cellPlace(s);
  if (at.inside) cellForward(s, at);
}
KERNEL_BODY cellResetKernel(const __grid_constant__ DeviceCellForward s) {
  const CellPlace at = cellPlace(s);
  if (at.inside) cellReset(s, at);
}

// For each row the first step that counts, `steps` if none does.
KERNEL_BODY firstStepsKernel(const uint8_t* mask, int64_t n, int64_t steps, bool backwards, int32_t* first) {
  const int64_t row = globalThread();
  if (row >= n) return;
  int64_t s = 0;
  while (s < steps && !mask[row * steps + (backwards ? steps - 1 - s : s)]) ++s;
  first[row] = int32_t(s);
}

// A state [n][units] into rows; null stands for zeros.
KERNEL_BODY cellStateKernel(const float* state, int64_t n, int64_t units, Rows<float> rows) {
  const int64_t i = globalThread(), row = i / units;
  if (i < n * units) rows.data[row * rows.stride + i - row * units] = state ? state[i] : 0.0f;
}

KERNEL_BODY cellEndKernel(const __grid_constant__ DeviceCellEnd s) {
  const CellPlace at = cellPlace(s.cell);
  if (at.inside) cellEnd(s, at);
}
KERNEL_BODY cellBackwardKernel(const __grid_constant__ DeviceCellBackward s) {
  const CellPlace at = cellPlace(s);
  if (at.inside) cellBackward(s, at);
}
KERNEL_BODY cellResetBackwardKernel(const __grid_constant__ DeviceCellBackward s) {
  const CellPlace at = cellPlace(s);
  if (at.inside) cellResetBackward(s, at);
}

// Column sums of `chunk` rows at a time: out[chunk][column]. A block has 32 columns, its warps share the rows.
constexpr int kColumnSumWarps = 8;
KERNEL_BODY columnSumsKernel(const float* x, int64_t rows, int64_t columns, int64_t chunk, float* out) {
  __shared__ float partial[kColumnSumWarps][kWarp];
  const int lane = int(threadIdx.x) % kWarp, warp = int(threadIdx.x) / kWarp;
  const int64_t column = int64_t(blockIdx.x) * kWarp + lane, begin = int64_t(blockIdx.y) * chunk;
  const int64_t end = begin + chunk < rows ? begin + chunk : rows;
  float sum = 0.0f;
  if (column < columns) {
    for (int64_t row = begin + warp; row < end; row += kColumnSumWarps) sum += x[row * columns + column];
  }
  partial[warp][lane] = sum;
  syncBlock();
  if (warp != 0 || column >= columns) return;
  for (int other = 1; other < kColumnSumWarps; ++other) sum += partial[other][lane];
  out[int64_t(blockIdx.y) * columns + column] = sum;
}

}  // namespace chainrule::cuda
