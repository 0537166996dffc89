#pragma once

// Positions of extremes, and running sums and products along an axis.

#include "cuda/kernels/fold.cuh"
#include "cuda/line.h"

namespace chainrule::cuda {

// Unsigned numbers in the order of the elements: the two zeros are equal, NaN comes last.
DEVICE uint32_t orderOf(float x) {
  if (x != x) return 0xFFFFFFFFu;
  const uint32_t bits = __builtin_bit_cast(uint32_t, x + 0.0f);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}
DEVICE uint32_t orderOf(int32_t x) { return uint32_t(x) ^ 0x80000000u; }

DEVICE bool isNan(float x) { return x != x; }
DEVICE bool isNan(int32_t) { return false; }

// The best of a line as one number: its order, then the smaller position. A NaN beats all.
template <typename T>
DEVICE uint64_t argRank(const DeviceLine& r, T x, int64_t i) {
  const uint32_t order = isNan(x) ? 0xFFFFFFFFu : r.backwards ? ~orderOf(x) : orderOf(x);
  return uint64_t(order) << 32 | (0xFFFFFFFFu - uint32_t(i));
}
struct RankFold {
  DEVICE_MEMBER static uint64_t join(uint64_t a, uint64_t b) { return a > b ? a : b; }
  DEVICE_MEMBER static uint64_t neutral(uint64_t) { return 0; }
};
DEVICE int32_t argOf(uint64_t rank) { return int32_t(0xFFFFFFFFu - uint32_t(rank)); }

template <typename T>
DEVICE uint64_t argShare(const DeviceLine& r, int64_t offset, int64_t first, int64_t step) {
  const T* const from = static_cast<const T*>(r.in) + offset;
  return foldShare<RankFold, uint64_t, 4>(first, step, r.n,
                                          [&](int64_t i) { return argRank(r, from[i * r.inner], i); });
}
DEVICE uint64_t argShare(const DeviceLine& r, int64_t offset, int64_t first, int64_t step) {
  return r.dtype == DType::f32 ? argShare<float>(r, offset, first, step) : argShare<int32_t>(r, offset, first, step);
}

KERNEL_BODY __launch_bounds__(256) argByLanes(DeviceLine r) {
  const int64_t line = divide(globalThread(), r.lanes).quotient;
  const bool valid = line < r.outer;
  uint64_t best = 0;
  if (valid) best = argShare(r, line * r.n, threadIdx.x % r.lanes, r.lanes);
  best = foldLanes<RankFold>(best, r.lanes);
  if (valid && threadIdx.x % r.lanes == 0) static_cast<int32_t*>(r.out)[line] = argOf(best);
}
KERNEL_BODY __launch_bounds__(256) argByBlock(DeviceLine r) {
  __shared__ uint64_t partial[kWarp];
  const int64_t line = blockIdx.x;
  const uint64_t best = foldBlock<RankFold>(argShare(r, line * r.n, threadIdx.x, blockDim.x), partial);
  if (threadIdx.x == 0) static_cast<int32_t*>(r.out)[line] = argOf(best);
}
KERNEL_BODY __launch_bounds__(256) argByThread(DeviceLine r) {
  const int64_t i = globalThread();
  if (i >= r.outer * r.inner) return;
  static_cast<int32_t*>(r.out)[i] = argOf(argShare(r, lineOffset(i, r.n, r.inner), 0, 1));
}

// --- Running sums and products.

template <typename Op, typename T>
DEVICE void cumulateLine(const DeviceLine& r, int64_t offset) {
  const T* const x = static_cast<const T*>(r.in) + offset;
  T* const y = static_cast<T*>(r.out) + offset;
  T sum = Op::neutral(T{});
#pragma unroll 4
  for (int64_t i = 0; i < r.n; ++i) {
    const int64_t at = (r.backwards ? r.n - 1 - i : i) * r.inner;
    const T next = Op::join(sum, x[at]);
    y[at] = r.exclusive ? sum : next;
    sum = next;
  }
}

// A block for a line of neighbours: each warp scans its 32 elements, then the sums of the warps before are added.
template <typename Op, typename T>
DEVICE void cumulateRow(const DeviceLine& r) {
  __shared__ T sums[kWarp];
  const T* const x = static_cast<const T*>(r.in) + blockIdx.x * r.n;
  T* const y = static_cast<T*>(r.out) + blockIdx.x * r.n;
  const int lane = int(threadIdx.x) % kWarp, warp = int(threadIdx.x) / kWarp, warps = int(blockDim.x) / kWarp;
  T carry = Op::neutral(T{});
  for (int64_t start = 0; start < r.n; start += blockDim.x) {
    const int64_t i = start + threadIdx.x, at = r.backwards ? r.n - 1 - i : i;
    T value = i < r.n ? x[at] : Op::neutral(T{});
    for (int distance = 1; distance < kWarp; distance *= 2) {
      const T before = shuffle(value, (lane - distance) & 31);
      if (lane >= distance) value = Op::join(before, value);
    }
    T previous = shuffle(value, (lane - 1) & 31);
    syncBlock();  // others may still read the sums of the round before
    if (lane == kWarp - 1) sums[warp] = value;
    syncBlock();
    T before = carry;
    for (int k = 0; k < warp; ++k) before = Op::join(before, sums[k]);
    for (int k = 0; k < warps; ++k) carry = Op::join(carry, sums[k]);
    previous = lane == 0 ? before : Op::join(before, previous);
    if (i < r.n) y[at] = r.exclusive ? previous : Op::join(before, value);
  }
}

template <typename Op>
DEVICE void cumulate(const DeviceLine& r, bool row) {
  const int64_t i = globalThread(), offset = lineOffset(i, r.n, r.inner);
  if (!row && i >= r.outer * r.inner) return;
  if (r.dtype == DType::f32) {
    row ? cumulateRow<Op, float>(r) : cumulateLine<Op, float>(r, offset);
  } else {
    row ? cumulateRow<Op, int32_t>(r) : cumulateLine<Op, int32_t>(r, offset);
  }
}
KERNEL_BODY __launch_bounds__(256) cumulateByThread(DeviceLine r) {
  r.product ? cumulate<ProductFold>(r, false) : cumulate<SumFold>(r, false);
}
KERNEL_BODY __launch_bounds__(256) cumulateByBlock(DeviceLine r) {
  r.product ? cumulate<ProductFold>(r, true) : cumulate<SumFold>(r, true);
}

}  // namespace chainrule::cuda
