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

// Copies of 16 (zeros unless inside) or 4 aligned bytes that go on while the thread does; its copies since the last
// commit form a group, and it waits until only the `left` youngest groups are under way.
DEVICE void copyAsync16(void* shared, const void* global, bool inside) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(uint32_t(__cvta_generic_to_shared(shared))),
               "l"(global), "r"(inside ? 16 : 0)
               : "memory");
}
DEVICE void copyAsync4(void* shared, const void* global) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(uint32_t(__cvta_generic_to_shared(shared))), "l"(global)
               : "memory");
}
DEVICE void commitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int left>
DEVICE void waitCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(left) : "memory");
}

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
DEVICE void copyAsync16(void* shared, const void* global, bool inside) {
  __builtin_memset(shared, 0, 16);
  if (inside) __builtin_memcpy(shared, global, 16);
}
DEVICE void copyAsync4(void* shared, const void* global) { __builtin_memcpy(shared, global, 4); }
DEVICE void commitCopies() {}
template <int left>
DEVICE void waitCopies() {}

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
