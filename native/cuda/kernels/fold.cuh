#pragma once

// Ways to fold many values into one, and the fold of one thread's share of a line.

#include "cuda/kernels/index.cuh"

namespace chainrule::cuda {

// neutral() is the value of an empty fold.
struct SumFold {
  DEVICE_MEMBER static float join(float a, float b) { return a + b; }
  DEVICE_MEMBER static int32_t join(int32_t a, int32_t b) { return int32_t(uint32_t(a) + uint32_t(b)); }
  DEVICE_MEMBER static float neutral(float) { return 0.0f; }
  DEVICE_MEMBER static int32_t neutral(int32_t) { return 0; }
};
struct ProductFold {
  DEVICE_MEMBER static float join(float a, float b) { return a * b; }
  DEVICE_MEMBER static int32_t join(int32_t a, int32_t b) { return int32_t(uint32_t(a) * uint32_t(b)); }
  DEVICE_MEMBER static float neutral(float) { return 1.0f; }
  DEVICE_MEMBER static int32_t neutral(int32_t) { return 1; }
};
struct MaximumFold {  // of NaN and anything NaN
  DEVICE_MEMBER static float join(float a, float b) { return a > b || a != a ? a : b; }
  DEVICE_MEMBER static int32_t join(int32_t a, int32_t b) { return a > b ? a : b; }
  DEVICE_MEMBER static float neutral(float) { return -__builtin_inff(); }
  DEVICE_MEMBER static int32_t neutral(int32_t) { return INT32_MIN; }
};
struct MinimumFold {
  DEVICE_MEMBER static float join(float a, float b) { return a < b || a != a ? a : b; }
  DEVICE_MEMBER static int32_t join(int32_t a, int32_t b) { return a < b ? a : b; }
  DEVICE_MEMBER static float neutral(float) { return __builtin_inff(); }
  DEVICE_MEMBER static int32_t neutral(int32_t) { return INT32_MAX; }
};
struct AnyFold {  // of zeros and ones
  DEVICE_MEMBER static int32_t join(int32_t a, int32_t b) { return a | b; }
  DEVICE_MEMBER static int32_t neutral(int32_t) { return 0; }
};
struct AllFold {
  DEVICE_MEMBER static int32_t join(int32_t a, int32_t b) { return a & b; }
  DEVICE_MEMBER static int32_t neutral(int32_t) { return 1; }
};

// Folds valueAt(i) for i = first, first + step, … below n; `wide` loads are under way at a time.
template <typename Op, typename T, int wide, typename At>
DEVICE T foldShare(int64_t first, int64_t step, int64_t n, At valueAt) {
  T part[wide];
#pragma unroll
  for (int k = 0; k < wide; ++k) part[k] = Op::neutral(T{});
  int64_t i = first;
  for (; i + (wide - 1) * step < n; i += wide * step) {
    T value[wide];
#pragma unroll
    for (int k = 0; k < wide; ++k) value[k] = valueAt(i + k * step);
#pragma unroll
    for (int k = 0; k < wide; ++k) part[k] = Op::join(part[k], value[k]);
  }
#pragma unroll
  for (int k = 0; k < wide; ++k) {
    if (i + k * step < n) part[k] = Op::join(part[k], valueAt(i + k * step));
  }
#pragma unroll
  for (int width = wide / 2; width > 0; width /= 2) {
#pragma unroll
    for (int k = 0; k < width; ++k) part[k] = Op::join(part[k], part[k + width]);
  }
  return part[0];
}

// Over the `lanes` (a power of two) neighbouring lanes of a warp.
template <typename Op, typename T>
DEVICE T foldLanes(T value, int lanes) {
  for (int lane = lanes / 2; lane > 0; lane /= 2) value = Op::join(value, shuffleXor(value, lane));
  return value;
}

// Over the threads of a block that lie `width` apart: thread t is in column t % width, and only the first
// width * depth threads count. `shared` has room for all threads; all of a column get the result.
template <typename Op, typename T>
DEVICE T foldColumns(T value, T* shared, int width, int depth) {
  const int thread = int(threadIdx.x);
  syncBlock();  // others may still read the result of the fold before
  shared[thread] = value;
  for (int left = depth; left > 1;) {
    const int half = (left + 1) / 2;
    syncBlock();
    if (thread / width < left - half) shared[thread] = Op::join(shared[thread], shared[thread + half * width]);
    left = half;
  }
  syncBlock();
  return shared[thread % width];
}

}  // namespace chainrule::cuda
