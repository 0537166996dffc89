#pragma once

#include "base/panels.h"

namespace chainrule::ops {

// Where the parts of the shared scratch begin: rows as int8 from 0 on, a scale for each, and weights that come
// unpacked.
struct Int8Scratch {
  size_t scales = 0, weights = 0, end = 0;
  Int8Scratch(int64_t rows, int64_t depth, size_t weightBytes) {
    scales = padded(size_t(rows * panelRows(DType::i8, depth)));
    weights = scales + padded(size_t(rows) * 4);
    end = weights + weightBytes;
  }
  static constexpr size_t padded(size_t bytes) { return (bytes + 63) / 64 * 64; }
};

}  // namespace chainrule::ops
