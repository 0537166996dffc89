#pragma once

#include <algorithm>

#include "base/panels.h"
#include "base/shape.h"
#include "plan/backend.h"

namespace chainrule::ops {

// A tensor of rank >= 2 as the matrix that panel16 stores: all leading axes are rows.
struct PanelShape {
  int64_t rows = 0, columns = 0;
  int64_t panels() const { return (columns + 15) / 16; }
  int64_t size() const { return panels() * rows * 16; }
};

inline PanelShape panelShape(const Dims& dims) {
  const int64_t columns = dims.back();
  return {columns == 0 ? 0 : elementCount(dims) / columns, columns};
}

// Panels of a row-major matrix of narrow elements, and back. Range: panels.
template <typename T>
void packGroups(DType dtype, const T* rowMajor, PanelShape shape, T* panels, Range range) {
  const int64_t size = panelSize(dtype, shape.rows, 16);
  if (!range.empty()) std::fill(panels + range.begin * size, panels + range.end * size, T(0));
  const int64_t end = std::min(range.end * 16, shape.columns);
  for (int64_t row = 0; row < shape.rows; ++row) {
    for (int64_t column = range.begin * 16; column < end; ++column)
      panels[panelIndex(dtype, shape.rows, row, column)] = rowMajor[row * shape.columns + column];
  }
}
template <typename T>
void unpackGroups(DType dtype, const T* panels, PanelShape shape, T* rowMajor, Range range) {
  const int64_t end = std::min(range.end * 16, shape.columns);
  for (int64_t row = 0; row < shape.rows; ++row) {
    for (int64_t column = range.begin * 16; column < end; ++column)
      rowMajor[row * shape.columns + column] = panels[panelIndex(dtype, shape.rows, row, column)];
  }
}
inline void packInt8(const int8_t* rowMajor, PanelShape shape, int8_t* panels, Range range) {
  packGroups(DType::i8, rowMajor, shape, panels, range);
}

// Panels of floats from a matrix of bfloat16, row-major or in panels itself. Range: panels.
void widenToPanels(const cpu::KernelTable& k, const uint16_t* matrix, bool packed, PanelShape shape, float* panels,
                   Range range);

}  // namespace chainrule::ops
