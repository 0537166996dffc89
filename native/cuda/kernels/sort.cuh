#pragma once

// argsort: pairs of an element's order and its place, so that any sort is a stable one.

#include "cuda/kernels/lines.cuh"

namespace chainrule::cuda {

DEVICE uint64_t sortPair(const DeviceLine& r, int64_t offset, int64_t i) {
  const int64_t at = offset + i * r.inner;
  const uint32_t order = r.dtype == DType::f32 ? orderOf(static_cast<const float*>(r.in)[at])
                                               : orderOf(static_cast<const int32_t*>(r.in)[at]);
  return uint64_t(r.backwards ? ~order : order) << 32 | uint64_t(i);
}

// A line for a block, in shared memory: a bitonic network over the next power of two.
KERNEL_BODY __launch_bounds__(256) sortShort(DeviceLine r, int32_t size) {
  uint64_t* const pairs = dynamicShared<uint64_t>();
  const int64_t offset = lineOffset(blockIdx.x, r.n, r.inner);
  for (int i = int(threadIdx.x); i < size; i += int(blockDim.x)) pairs[i] = i < r.n ? sortPair(r, offset, i) : ~0ull;
  for (int run = 2; run <= size; run *= 2) {
    for (int distance = run / 2; distance > 0; distance /= 2) {
      syncBlock();
      for (int t = int(threadIdx.x); t < size / 2; t += int(blockDim.x)) {
        const int low = t / distance * 2 * distance + t % distance, high = low + distance;
        const uint64_t a = pairs[low], b = pairs[high];
        if ((a > b) == ((low & run) == 0)) {
          pairs[low] = b;
          pairs[high] = a;
        }
      }
    }
  }
  syncBlock();
  for (int64_t i = threadIdx.x; i < r.n; i += blockDim.x) {
    static_cast<int32_t*>(r.out)[offset + i * r.inner] = int32_t(uint32_t(pairs[i]));
  }
}

KERNEL_BODY __launch_bounds__(256) sortPairs(DeviceLine r, uint64_t* pairs) {
  const int64_t i = globalThread();
  if (i >= r.outer * r.n * r.inner) return;
  const Quotient q = divide(i, r.n);
  pairs[i] = sortPair(r, lineOffset(q.quotient, r.n, r.inner), q.rest);
}
KERNEL_BODY __launch_bounds__(256) sortPlaces(DeviceLine r, const uint64_t* pairs) {
  const int64_t i = globalThread();
  if (i >= r.outer * r.n * r.inner) return;
  const Quotient q = divide(i, r.n);
  static_cast<int32_t*>(r.out)[lineOffset(q.quotient, r.n, r.inner) + q.rest * r.inner] = int32_t(uint32_t(pairs[i]));
}

}  // namespace chainrule::cuda
