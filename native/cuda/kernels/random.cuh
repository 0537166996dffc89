#pragma once

// Random numbers from Philox4x32-10, a thread for each block of four words (cuda/random.h): the bits of the CPU's
// kernels.

#include "base/philox.h"
#include "cuda/kernels/index.cuh"
#include "cuda/kernels/lane.cuh"
#include "cuda/random.h"

namespace chainrule::cuda {

struct RandomBlock {
  uint32_t key0, key1, draw, first;
  uint64_t row;

  DEVICE_MEMBER PhiloxBlock words(uint32_t attempt) const {
    return philox({{first, uint32_t(row), uint32_t(row >> 32) | attempt << 16, draw}}, key0, key1);
  }
};

DEVICE float unitFloat(uint32_t bits) { return float(int32_t(bits >> 8)) * 0x1p-24f; }  // [0, 1)

// Two independent normal values from two words (Box-Muller).
DEVICE void normalPair(uint32_t a, uint32_t b, float& x, float& y) {
  const float u = (float(int32_t(a >> 8)) + 1.0f) * 0x1p-24f;  // (0, 1]
  const float radius = lane::sqrt(lane::Float(-2.0f * lane::log(lane::Float(u)).v)).v;
  const float angle = unitFloat(b) * 6.283185307f;
  x = radius * lane::cos(lane::Float(angle)).v;
  y = radius * lane::sin(lane::Float(angle)).v;
}

DEVICE void normals(const PhiloxBlock& block, float (&values)[4]) {
  normalPair(block.word[0], block.word[1], values[0], values[1]);
  normalPair(block.word[2], block.word[3], values[2], values[3]);
}

DEVICE float magnitude(float x) { return lane::abs(lane::Float(x)).v; }

// Values beyond two deviations are drawn anew, each for itself.
DEVICE void truncatedNormals(const RandomBlock& block, float (&kept)[4]) {
  constexpr float limit = 2.0f;
  normals(block.words(0), kept);
  for (uint32_t attempt = 1; attempt <= 255; ++attempt) {
    bool missing = false;
    for (float value : kept) missing = missing || magnitude(value) > limit;
    if (!missing) break;
    float values[4];
    normals(block.words(attempt), values);
    for (int k = 0; k < 4; ++k) kept[k] = magnitude(kept[k]) <= limit ? kept[k] : values[k];
  }
  for (float& value : kept) {
    const float low = -limit > value ? -limit : value;
    value = limit < low ? limit : low;
  }
}

// Block 8 g + j of a row holds elements 32 g + j, + 8, + 16 and + 24.
KERNEL_BODY __launch_bounds__(256) randomRows(DeviceRandom r) {
  const int64_t rest = r.rowSize % 32, blocks = r.rowSize / 32 * 8 + (rest < 8 ? rest : 8), i = globalThread();
  if (i >= r.rows * blocks) return;
  const Quotient q = divide(i, blocks);
  const int64_t element = q.rest / 8 * 32 + q.rest % 8;
  const uint64_t row = uint64_t((r.rowOffset ? *r.rowOffset : 0) + q.quotient);
  const RandomBlock block = {r.seed[0], r.seed[1], r.seed[2], uint32_t(q.rest), row};
  const PhiloxBlock words = block.words(0);
  float values[4];
  switch (r.op) {
    case RandomOp::uniform:
      for (int k = 0; k < 4; ++k) values[k] = r.a + r.b * unitFloat(words.word[k]);
      break;
    case RandomOp::normal:
      normals(words, values);
      for (float& value : values) value = fmaOf(r.b, value, r.a);
      break;
    case RandomOp::truncatedNormal:
      truncatedNormals(block, values);
      for (float& value : values) value = fmaOf(r.b, value, r.a);
      break;
    default:
      break;
  }
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    const int64_t at = element + 8 * k;
    if (at >= r.rowSize) break;
    const int64_t to = q.quotient * r.rowSize + at;
    if (r.op == RandomOp::bits) {
      static_cast<uint32_t*>(r.out)[to] = words.word[k];
    } else if (r.op == RandomOp::bernoulli) {
      static_cast<uint8_t*>(r.out)[to] = unitFloat(words.word[k]) < r.a;
    } else {
      static_cast<float*>(r.out)[to] = values[k];
    }
  }
}

// Element e of a group of 64 has bits 16 (e / 32) … of word (e / 8) % 4 of block 8 (group) + e % 8.
KERNEL_BODY __launch_bounds__(256) dropoutRows(DeviceRandom r) {
  const int64_t rest = r.rowSize % 64, blocks = r.rowSize / 64 * 8 + (rest < 8 ? rest : 8), i = globalThread();
  if (i >= r.rows * blocks) return;
  const Quotient q = divide(i, blocks);
  const int64_t element = q.rest / 8 * 64 + q.rest % 8;
  const uint64_t row = uint64_t((r.rowOffset ? *r.rowOffset : 0) + q.quotient);
  const PhiloxBlock words = RandomBlock{r.seed[0], r.seed[1], r.seed[2], uint32_t(q.rest), row}.words(0);
#pragma unroll
  for (int k = 0; k < 8; ++k) {
    const int64_t at = element + 8 * k;
    if (at >= r.rowSize) break;
    const int64_t to = q.quotient * r.rowSize + at;
    const int32_t bits = int32_t(k < 4 ? words.word[k % 4] & 65535u : words.word[k % 4] >> 16);
    static_cast<float*>(r.out)[to] = bits < r.threshold ? r.x[to] * r.a : 0.0f;
  }
}

KERNEL_BODY seedNextKernel(const uint32_t* seed, uint32_t* next) {
  if (threadIdx.x < 3) next[threadIdx.x] = seed[threadIdx.x] + (threadIdx.x == 2 ? 1u : 0u);
}

// The partners of the exchanges of base/permutation.h, which depend on nothing but their number.
KERNEL_BODY __launch_bounds__(256)
    permutationPartners(const uint32_t* seed, int32_t* partner, int32_t* order, int64_t n) {
  const int64_t i = globalThread() + 1;
  if (i > n) return;
  order[i - 1] = int32_t(i - 1);
  const PhiloxBlock block = philox({{uint32_t(i), 0, 0x5EEDu, seed[2]}}, seed[0], seed[1]);
  // (word0 2^32 + word1) i / 2^64
  const uint64_t low = uint64_t(block.word[1]) * uint64_t(i);
  partner[i - 1] = int32_t((uint64_t(block.word[0]) * uint64_t(i) + (low >> 32)) >> 32);
}
// One after the other, as the definition has it.
KERNEL_BODY permutationExchange(const int32_t* partner, int32_t* order, int64_t n) {
  if (globalThread() != 0) return;
  for (int64_t i = n - 1; i > 0; --i) {
    const int32_t j = partner[i], own = order[i];
    order[i] = order[j];
    order[j] = own;
  }
}

}  // namespace chainrule::cuda
