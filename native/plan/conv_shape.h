#pragma once

#include "base/conv_shape.h"
#include "plan/backend.h"

namespace chainrule {

inline ConvShape convShape(const Attrs& attrs, const Dims& x, const Dims& w, const Dims& y) {
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

inline double flopOf(const ConvShape& s) { return 2.0 * double(s.n * s.oh * s.ow * s.cout) * double(s.filterRows()); }
inline bool isDepthwise(const ConvShape& shape) { return shape.groups > 1 && shape.groups == shape.cin; }

}  // namespace chainrule
