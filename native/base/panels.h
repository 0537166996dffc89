#pragma once

#include <cstdint>

#include "base/dtype.h"

namespace chainrule {

// Matrices in panels of 16 columns, zero padded: [column / 16][row][16], and int8 ones with four rows of a column side
// by side, as instructions that multiply bytes want them: [column / 16][row / 4][16][4].
constexpr int64_t panelRows(DType type, int64_t rows) { return type == DType::i8 ? (rows + 3) / 4 * 4 : rows; }
constexpr int64_t panelSize(DType type, int64_t rows, int64_t columns) {
  return (columns + 15) / 16 * 16 * panelRows(type, rows);
}
// `rows`: those of the matrix.
constexpr int64_t panelIndex(DType type, int64_t rows, int64_t row, int64_t column) {
  const int64_t panel = column / 16 * panelRows(type, rows) * 16;
  return panel + (type == DType::i8 ? row / 4 * 64 + column % 16 * 4 + row % 4 : row * 16 + column % 16);
}

}  // namespace chainrule
