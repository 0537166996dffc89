#pragma once

// How the results of elementwise programs are stored.

#include "cuda/kernels/island_step.cuh"

namespace chainrule::cuda {

DEVICE bool islandBytes(DType dtype) { return dtype == DType::u8 || dtype == DType::boolean; }

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
