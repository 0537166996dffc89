#pragma once

// Where the operands of elementwise programs are, and how their results are stored.

#include "cuda/kernels/index.cuh"
#include "cuda/kernels/island_step.cuh"

namespace chainrule::cuda {

template <typename Island>
DEVICE int64_t islandOffset(const Island& island, int input, int64_t i) {
  const IslandInput& in = island.inputs[input];
  switch (in.access) {
    case IslandAccess::same:
      return i;
    case IslandAccess::repeats:
      return divide(i, in.period).rest;
    case IslandAccess::stretches:
      return divide(i, in.period).quotient;
    default:
      break;
  }
  int64_t offset = 0;
  for (int axis = island.rank - 1; axis >= 0; --axis) {
    const Quotient q = divide(i, island.dims[axis]);
    offset += q.rest * island.strides[input][axis];
    i = q.quotient;
  }
  return offset;
}

DEVICE uint32_t islandHalf(const void* data, int64_t i) {
  return uint32_t(static_cast<const uint16_t*>(data)[i]) << 16;
}

DEVICE bool islandBytes(DType dtype) { return dtype == DType::u8 || dtype == DType::boolean; }

DEVICE uint32_t islandWord(const IslandInput& in, int64_t at) {
  if (in.dtype == DType::bf16) return islandHalf(in.data, at);
  return islandBytes(in.dtype) ? static_cast<const uint8_t*>(in.data)[at] : static_cast<const uint32_t*>(in.data)[at];
}

// Two floats that are bfloat16 in one word.
DEVICE uint32_t islandPair(const uint32_t* words) { return words[0] >> 16 | (words[1] & 0xFFFF0000); }

DEVICE IslandWords islandAll(uint32_t word) { return {{word, word, word, word}}; }

struct alignas(8) IslandPairs {
  uint32_t low, high;
};
DEVICE void islandStore(const IslandOutput& out, int64_t first, int64_t elements, const IslandWords& words) {
  if (out.dtype == DType::bf16) {
    uint16_t* const to = static_cast<uint16_t*>(out.data) + first;
    if (out.wide && first + kIslandNear <= elements) {
      *reinterpret_cast<IslandPairs*>(to) = {islandPair(words.word), islandPair(words.word + 2)};
      return;
    }
    for (int i = 0; i < kIslandNear; ++i) {
      if (first + i < elements) to[i] = uint16_t(words.word[i] >> 16);
    }
    return;
  }
  if (!islandBytes(out.dtype)) {
    uint32_t* const to = static_cast<uint32_t*>(out.data) + first;
    if (out.wide && first + kIslandNear <= elements) {
      *reinterpret_cast<IslandWords*>(to) = words;
    } else {
      for (int i = 0; i < kIslandNear; ++i) {
        if (first + i < elements) to[i] = words.word[i];
      }
    }
    return;
  }
  uint32_t byte[kIslandNear];
  for (int i = 0; i < kIslandNear; ++i) {
    byte[i] = out.dtype == DType::boolean ? uint32_t(words.word[i] != 0) : words.word[i] & 255;
  }
  uint8_t* const to = static_cast<uint8_t*>(out.data) + first;
  if (out.wide && first + kIslandNear <= elements) {
    *reinterpret_cast<uint32_t*>(to) = byte[0] | byte[1] << 8 | byte[2] << 16 | byte[3] << 24;
  } else {
    for (int i = 0; i < kIslandNear; ++i) {
      if (first + i < elements) to[i] = uint8_t(byte[i]);
    }
  }
}

}  // namespace chainrule::cuda
