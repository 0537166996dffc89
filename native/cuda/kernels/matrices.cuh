#pragma once

#include "cuda/kernels/grid.cuh"
#include "cuda/matrices.h"

namespace chainrule::cuda {

DEVICE double* workspaceOf(const DeviceMatrices& m) {
  return m.scratch ? m.scratch + int64_t(blockIdx.x) * m.workspace : dynamicShared<double>();
}

struct SumOfDoubles {
  DEVICE_MEMBER static double join(double a, double b) { return a + b; }
  DEVICE_MEMBER static double neutral(double) { return 0.0; }
};

// `body(i)` for the items that fall to this thread of the block.
template <typename Body>
DEVICE void eachOfBlock(int64_t begin, int64_t end, Body body) {
  for (int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) body(i);
}
// `body(row, column)` for the elements of a rectangle that fall to this thread.
template <typename Body>
DEVICE void eachElement(int32_t rows, int32_t columns, Body body) {
  if (columns <= 0 || rows <= 0) return;
  for (int64_t i = threadIdx.x; i < int64_t(rows) * columns; i += blockDim.x) {
    const int32_t row = int32_t(i / columns);
    body(row, int32_t(i - int64_t(row) * columns));
  }
}
template <typename Body>
DEVICE double sumOverBlock(int64_t begin, int64_t end, double* partial, Body body) {
  double sum = 0.0;
  for (int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) sum += body(i);
  return foldBlock<SumOfDoubles>(sum, partial);
}

}  // namespace chainrule::cuda
