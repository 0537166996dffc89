#pragma once

#include "cpu/kernel_table.h"
#include "ops/window.h"

namespace chainrule::ops {

inline cpu::ConvShape convShape(const Attrs& attrs, const Dims& x, const Dims& w, const Dims& y) {
  const auto strides = attrs.integers("strides"), dilations = attrs.integers("dilations", {1, 1});
  const auto padding = attrs.integers("padding", {0, 0, 0, 0});
  return {.n = x[0],
          .h = x[1],
          .w = x[2],
          .cin = x[3],
          .kh = w[0],
          .kw = w[1],
          .strideH = strides[0],
          .strideW = strides[1],
          .dilationH = dilations[0],
          .dilationW = dilations[1],
          .padTop = padding[0],
          .padLeft = padding[2],
          .oh = y[1],
          .ow = y[2],
          .cout = y[3],
          .groups = attrs.integer("groups", 1)};
}

inline bool isDepthwise(const cpu::ConvShape& shape) { return shape.groups > 1 && shape.groups == shape.cin; }

// A row-major filter [kh * kw * cin / groups][cout] into the panels of each group; `range` counts panels of all groups.
inline void packFilter(const cpu::KernelTable& k, const cpu::ConvShape& shape, const float* filter, float* out,
                       Range range) {
  const int64_t perGroup = cpu::panelCount(shape.groupOut()), rows = shape.filterRows();
  for (int64_t panel = range.begin; panel < range.end; ++panel) {
    const int64_t group = panel / perGroup, first = panel % perGroup;
    k.packB(filter + group * shape.groupOut(), shape.cout, 1, rows, shape.groupOut(),
            out + group * perGroup * rows * 16, first, first + 1);
  }
}

}  // namespace chainrule::ops
