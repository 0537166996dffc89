#pragma once

// The language of kernels: CUDA C++ under nvcc; elsewhere the same words over the emulated grid (cuda/emulation.h), so
// that every kernel also runs, and is tested, without a GPU.

#include <cstdint>

#ifdef __CUDACC__

#define KERNEL_BODY extern "C" __global__ void
#define DEVICE __device__ __forceinline__ static
#define DEVICE_MEMBER __device__ __forceinline__

namespace chainrule::cuda {

template <typename T>
DEVICE T* dynamicShared() {
  extern __shared__ __align__(16) unsigned char memory[];
  return reinterpret_cast<T*>(memory);
}
DEVICE void syncBlock() { __syncthreads(); }
DEVICE void syncWarp() { __syncwarp(); }
template <typename T>
DEVICE T shuffleXor(T value, int lane) {
  return __shfl_xor_sync(0xFFFFFFFFu, value, lane);
}
template <typename T>
DEVICE T shuffle(T value, int lane) {
  return __shfl_sync(0xFFFFFFFFu, value, lane);
}
DEVICE void atomicLeast(uint64_t* target, uint64_t value) {
  atomicMin(reinterpret_cast<unsigned long long*>(target), static_cast<unsigned long long>(value));
}
DEVICE void atomicIncrement(int32_t* target) { atomicAdd(target, 1); }
DEVICE uint32_t ballot(bool vote) { return __ballot_sync(0xFFFFFFFFu, vote); }
DEVICE int countBits(uint32_t bits) { return __popc(bits); }
DEVICE float fmaOf(float a, float b, float c) { return __fmaf_rn(a, b, c); }

// Copies of 4, 8 or 16 bytes into shared memory that go on while the thread does; zeros where not `valid`, and nothing
// is read. A thread's copies since its last commit are a group; waitCopies waits for all but the last `groups` groups,
// finishCopies for everything.
template <int bytes>
DEVICE void copyAsync(void* to, const void* from, bool valid = true) {
  const uint32_t address = uint32_t(__cvta_generic_to_shared(to));
  if constexpr (bytes == 16) {
    asm volatile(
        "{.reg .pred none; setp.eq.s32 none, %2, 0; cp.async.cg.shared.global.L2::128B [%0], [%1], 16, none;}" ::"r"(
            address),
        "l"(from), "r"(int(valid))
        : "memory");
  } else {
    asm volatile(
        "{.reg .pred none; setp.eq.s32 none, %2, 0; cp.async.ca.shared.global [%0], [%1], %3, none;}" ::"r"(address),
        "l"(from), "r"(int(valid)), "n"(bytes)
        : "memory");
  }
}
DEVICE void commitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int groups>
DEVICE void waitCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory");
}
DEVICE void finishCopies() { asm volatile("cp.async.wait_all;" ::: "memory"); }

}  // namespace chainrule::cuda

#else

#include "cuda/emulation.h"

#define KERNEL_BODY [[maybe_unused]] static void
#define DEVICE [[maybe_unused]] inline static
#define DEVICE_MEMBER
#define __shared__ static
#define __launch_bounds__(...)
#define __grid_constant__
#define __restrict__ __restrict

namespace chainrule::cuda {

using emulation::blockDim, emulation::blockIdx, emulation::gridDim, emulation::threadIdx;
using emulation::syncBlock, emulation::syncWarp;

template <typename T>
DEVICE T* dynamicShared() {
  return static_cast<T*>(emulation::dynamicShared());
}
template <typename T>
DEVICE T shuffle(T value, int lane) {
  static_assert(sizeof(T) <= 8);
  T result;
  uint64_t bits = 0;
  __builtin_memcpy(&bits, &value, sizeof(T));
  bits = emulation::exchange(bits, lane);
  __builtin_memcpy(&result, &bits, sizeof(T));
  return result;
}
template <typename T>
DEVICE T shuffleXor(T value, int lane) {
  return shuffle(value, int(threadIdx.x % 32) ^ lane);
}
DEVICE void atomicLeast(uint64_t* target, uint64_t value) {
  if (value < *target) *target = value;
}
DEVICE void atomicIncrement(int32_t* target) { ++*target; }
DEVICE uint32_t ballot(bool vote) {
  uint32_t bits = vote ? 1u << (threadIdx.x % 32) : 0;
  for (int lane = 16; lane > 0; lane /= 2) bits |= shuffleXor(bits, lane);
  return bits;
}
DEVICE int countBits(uint32_t bits) { return __builtin_popcount(bits); }
DEVICE float fmaOf(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
template <int bytes>
DEVICE void copyAsync(void* to, const void* from, bool valid = true) {
  if (valid) {
    __builtin_memcpy(to, from, bytes);
  } else {
    __builtin_memset(to, 0, bytes);
  }
}
DEVICE void commitCopies() {}
template <int groups>
DEVICE void waitCopies() {}
DEVICE void finishCopies() {}

}  // namespace chainrule::cuda

#endif

namespace chainrule::cuda {

constexpr int kWarp = 32;

// Number of this thread in a grid of one axis.
DEVICE int64_t globalThread() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }
DEVICE int64_t globalThreads() { return int64_t(gridDim.x) * blockDim.x; }

// Folds over the threads of a block of one axis (whole warps, at most 1,024 threads), in an order that its size fixes.
// All threads call it and all get the result; `partial` is shared memory for 32 values.
template <typename Op, typename T>
DEVICE T foldWarp(T value) {
  for (int lane = kWarp / 2; lane > 0; lane /= 2) value = Op::join(value, shuffleXor(value, lane));
  return value;
}
template <typename Op, typename T>
DEVICE T foldBlock(T value, T* partial) {
  value = foldWarp<Op>(value);
  const int warp = int(threadIdx.x) / kWarp, lane = int(threadIdx.x) % kWarp, warps = int(blockDim.x) / kWarp;
  syncBlock();  // others may still read the result of the fold before
  if (lane == 0) partial[warp] = value;
  syncBlock();
  value = lane < warps ? partial[lane] : Op::neutral(T{});
  return foldWarp<Op>(value);
}

}  // namespace chainrule::cuda
