#pragma once

#include "cpu/kernel_table.h"
#include "ops/window.h"
#include "plan/conv_shape.h"

namespace chainrule::ops {

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
