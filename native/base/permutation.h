#pragma once

#include <cstdint>
#include <numeric>
#include <span>
#include <utility>

#include "base/philox.h"

namespace chainrule {

// A uniformly drawn order of 0..n-1 (Fisher-Yates over Philox): the same for a key and draw on every machine.
inline void permutation(uint32_t key0, uint32_t key1, uint32_t draw, std::span<int32_t> order) {
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size(); i > 1; --i) {
    const PhiloxBlock block = philox({{uint32_t(i), 0, 0x5EEDu, draw}}, key0, key1);
    const uint64_t word = uint64_t(block.word[0]) << 32 | block.word[1];
    const size_t j = size_t(static_cast<unsigned __int128>(word) * i >> 64);
    std::swap(order[i - 1], order[j]);
  }
}

}  // namespace chainrule
