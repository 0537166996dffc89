#pragma once

#include <cstdint>

#include "base/dtype.h"

namespace chainrule {

// Matrices in panels of 16 columns, zero padded: [column / 16][row][16]. Narrow elements stand in words of 32 bits with
// those of the next rows of their column, two of bfloat16 and four of int8: [column / 16][row / 4][16][4]. A vector of
// words is then 16 columns of each of those rows, which instructions take apart where they lie.
constexpr int64_t panelGroup(DType type) { return 4 / byteSize(type); }
constexpr int64_t panelRows(DType type, int64_t rows) {
  return (rows + panelGroup(type) - 1) / panelGroup(type) * panelGroup(type);
}
constexpr int64_t panelSize(DType type, int64_t rows, int64_t columns) {
  return (columns + 15) / 16 * 16 * panelRows(type, rows);
}
// `rows`: those of the matrix.
constexpr int64_t panelIndex(DType type, int64_t rows, int64_t row, int64_t column) {
  const int64_t group = panelGroup(type), panel = column / 16 * panelRows(type, rows) * 16;
  return panel + (row / group * 16 + column % 16) * group + row % group;
}

}  // namespace chainrule
