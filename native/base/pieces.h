#pragma once

#include <cstdint>

namespace chainrule {

// Pieces of one block of memory, each beginning at a multiple of `grain`.
template <int64_t grain>
struct Pieces {
  int64_t size = 0;
  int64_t add(int64_t count) {
    const int64_t at = size;
    size += (count + grain - 1) / grain * grain;
    return at;
  }
};

}  // namespace chainrule
