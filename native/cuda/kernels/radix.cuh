#pragma once

// Stable sorting of pairs by their keys (cuda/radix.h): count the digits of each tile, find where each tile's pairs of
// each digit begin, bring them there.

#include "cuda/kernels/grid.cuh"
#include "cuda/radix.h"

namespace chainrule::cuda {

// The sum of the values of all threads before this one, and of all; `sums` is shared memory for 32 values.
DEVICE int32_t scanBlock(int32_t value, int32_t* sums, int32_t& total) {
  const int lane = int(threadIdx.x) % kWarp, warp = int(threadIdx.x) / kWarp, warps = int(blockDim.x) / kWarp;
  int32_t through = value;
  for (int distance = 1; distance < kWarp; distance *= 2) {
    const int32_t before = shuffle(through, (lane - distance) & 31);
    if (lane >= distance) through += before;
  }
  syncBlock();  // others may still read the sums of the scan before
  if (lane == kWarp - 1) sums[warp] = through;
  syncBlock();
  int32_t before = 0;
  total = 0;
  for (int k = 0; k < warps; ++k) {
    if (k < warp) before += sums[k];
    total += sums[k];
  }
  return before + through - value;
}

DEVICE int radixDigit(const DeviceRadix& r, uint64_t pair) { return int(pair >> r.shift) & (kRadixDigits - 1); }

KERNEL_BODY __launch_bounds__(256) radixCount(DeviceRadix r) {
  __shared__ int32_t count[kRadixDigits];
  const int64_t line = blockIdx.x / r.tiles, tile = blockIdx.x % r.tiles;
  count[threadIdx.x] = 0;
  syncBlock();
#pragma unroll
  for (int k = 0; k < kRadixTile; k += 256) {
    const int64_t i = tile * kRadixTile + k + threadIdx.x;
    if (i < r.n) atomicIncrement(&count[radixDigit(r, r.in[line * r.n + i])]);
  }
  syncBlock();
  r.counts[(line * kRadixDigits + threadIdx.x) * r.tiles + tile] = count[threadIdx.x];
}

// A block for the tiles of one digit.
KERNEL_BODY __launch_bounds__(256) radixScan(DeviceRadix r) {
  __shared__ int32_t sums[kWarp];
  int32_t* const counts = r.counts + blockIdx.x * r.tiles;
  int32_t carry = 0;
  for (int64_t start = 0; start < r.tiles; start += blockDim.x) {
    const int64_t i = start + threadIdx.x;
    int32_t total;
    const int32_t before = scanBlock(i < r.tiles ? counts[i] : 0, sums, total);
    if (i < r.tiles) counts[i] = carry + before;
    carry += total;
  }
  if (threadIdx.x == 0) r.totals[blockIdx.x] = carry;
}

// Warps take 256 neighbouring pairs each, so that the order within a digit stays.
KERNEL_BODY __launch_bounds__(256) radixScatter(DeviceRadix r) {
  constexpr int warps = 8, share = kRadixTile / warps;
  __shared__ int32_t next[warps][kRadixDigits];
  __shared__ int32_t sums[kWarp];
  const int64_t line = blockIdx.x / r.tiles, tile = blockIdx.x % r.tiles;
  const int lane = int(threadIdx.x) % kWarp, warp = int(threadIdx.x) / kWarp, digit = int(threadIdx.x);
  for (int w = 0; w < warps; ++w) next[w][digit] = 0;
  syncBlock();
  uint64_t pairs[share / kWarp];
  const int64_t first = tile * kRadixTile + warp * share + lane;
#pragma unroll
  for (int k = 0; k < share / kWarp; ++k) {
    const int64_t i = first + k * kWarp;
    if (i < r.n) {
      pairs[k] = r.in[line * r.n + i];
      atomicIncrement(&next[warp][radixDigit(r, pairs[k])]);
    }
  }
  int32_t all;
  int32_t place = scanBlock(r.totals[line * kRadixDigits + digit], sums, all);  // which waits for all counts
  place += r.counts[(line * kRadixDigits + digit) * r.tiles + tile];
  for (int w = 0; w < warps; ++w) {
    const int32_t count = next[w][digit];
    next[w][digit] = place;
    place += count;
  }
  syncBlock();
#pragma unroll
  for (int k = 0; k < share / kWarp; ++k) {
    const bool valid = first + k * kWarp < r.n;
    const int own = valid ? radixDigit(r, pairs[k]) : 0;
    uint32_t alike = ballot(valid);
#pragma unroll
    for (int bit = 0; bit < 8; ++bit) {
      const uint32_t ones = ballot(own >> bit & 1);
      alike &= own >> bit & 1 ? ones : ~ones;
    }
    const int before = countBits(alike & ((1u << lane) - 1));
    if (valid) r.out[line * r.n + next[warp][own] + before] = pairs[k];
    syncWarp();
    if (valid && before == 0) next[warp][own] += countBits(alike);
    syncWarp();
  }
}

}  // namespace chainrule::cuda
