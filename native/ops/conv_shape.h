#pragma once

#include <algorithm>

#include "cpu/kernel_table.h"
#include "ops/window.h"
#include "plan/conv_shape.h"

namespace chainrule::ops {

// The rows of an image under the windows of these rows of the result.
inline Range rowsUnder(const ConvShape& s, Range rows) {
  const int64_t reach = (s.kh - 1) * s.dilationH + 1;
  return {std::max<int64_t>(0, rows.begin * s.strideH - s.padTop),
          std::min(s.h, (rows.end - 1) * s.strideH - s.padTop + reach)};
}

// A row-major filter [kh * kw * cin / groups][cout] into the panels of each group; `range` counts panels of all groups.
inline void packFilter(const cpu::KernelTable& k, const ConvShape& shape, const float* filter, float* out,
                       Range range) {
  const int64_t perGroup = cpu::panelCount(shape.groupOut()), rows = shape.filterRows();
  for (int64_t panel = range.begin; panel < range.end; ++panel) {
    const int64_t group = panel / perGroup, first = panel % perGroup;
    k.packB(filter + group * shape.groupOut(), shape.cout, 1, rows, shape.groupOut(),
            out + group * perGroup * rows * 16, first, first + 1);
  }
}

}  // namespace chainrule::ops
