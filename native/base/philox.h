#pragma once

#include <cstdint>

namespace chainrule {

// Philox4x32-10 (Salmon et al. 2011): a counter in, four random words out. Stateless, hence the same on every thread
// split and device.
struct PhiloxBlock {
  uint32_t word[4];
};

constexpr PhiloxBlock philox(PhiloxBlock counter, uint32_t key0, uint32_t key1) {
  constexpr uint32_t m0 = 0xD2511F53, m1 = 0xCD9E8D57, w0 = 0x9E3779B9, w1 = 0xBB67AE85;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t(m0) * counter.word[0];
    const uint64_t p1 = uint64_t(m1) * counter.word[2];
    counter = {{uint32_t(p1 >> 32) ^ counter.word[1] ^ key0, uint32_t(p1), uint32_t(p0 >> 32) ^ counter.word[3] ^ key1,
                uint32_t(p0)}};
    key0 += w0;
    key1 += w1;
  }
  return counter;
}

// Which words belong to an element. Counter = (block, row low, row high | attempt << 16, draw); a row is numbered
// globally. 32 elements share 8 blocks so that a vector of 8 blocks yields 4 vectors of consecutive elements.
constexpr uint32_t philoxBlockOf(int64_t element) { return uint32_t(element / 32 * 8 + element % 8); }
constexpr int philoxWordOf(int64_t element) { return int(element / 8 % 4); }

// The word that decides element `element` of row `row` in draw number `draw`: the definition of every random kernel.
constexpr uint32_t philoxWord(uint32_t key0, uint32_t key1, uint32_t draw, uint64_t row, int64_t element,
                              uint32_t attempt = 0) {
  const PhiloxBlock counter{{philoxBlockOf(element), uint32_t(row), uint32_t(row >> 32) | attempt << 16, draw}};
  return philox(counter, key0, key1).word[philoxWordOf(element)];
}

}  // namespace chainrule
