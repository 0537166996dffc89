#pragma once

#include <cstdint>

namespace chainrule::ops {

// Pieces of one block of scratch memory, in floats.
struct ScratchLayout {
  int64_t size = 0;
  int64_t add(int64_t count) {
    const int64_t at = size;
    size += (count + 15) / 16 * 16;
    return at;
  }
};

}  // namespace chainrule::ops
