#pragma once

#include <cstdint>

namespace chainrule::cuda {

constexpr int kRadixDigits = 256;
constexpr int kRadixTile = 2048;

// One pass of a stable sort of lines of n pairs (key in the high half) by eight bits from `shift` on.
struct DeviceRadix {
  const uint64_t* in;
  uint64_t* out;
  int32_t* counts;  // [lines][kRadixDigits][tiles]
  int32_t* totals;  // [lines][kRadixDigits]
  int64_t lines, n, tiles;
  int32_t shift;  // of the pair
};

}  // namespace chainrule::cuda
