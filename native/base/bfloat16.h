#pragma once

#include <bit>
#include <cstdint>

namespace chainrule {

// The upper half of a float.
constexpr float widenBfloat16(uint16_t half) { return std::bit_cast<float>(uint32_t(half) << 16); }

// To the nearest, halves to even, as cpu/simd/bfloat16.inl does by lanes. A NaN stays one.
constexpr uint16_t roundToBfloat16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return uint16_t(bits >> 16 | 0x40);
  return uint16_t((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

}  // namespace chainrule
