#pragma once

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

// Panels of a row-major int8 matrix, and back. Range: panels.
void packInt8(const int8_t* rowMajor, PanelShape shape, int8_t* panels, Range range);
void unpackInt8(const int8_t* panels, PanelShape shape, int8_t* rowMajor, Range range);

}  // namespace chainrule::ops
