#pragma once

#include "cpu/types.h"
#include "ir/graph.h"

namespace chainrule::ops {

inline cpu::PoolShape poolShape(const Attrs& attrs, const Dims& x, const Dims& y) {
  const auto size = attrs.integers("size"), strides = attrs.integers("strides"), padding = attrs.integers("padding");
  return {x[0], x[1], x[2], x[3], size[0], size[1], strides[0], strides[1], padding[0], padding[2], y[1], y[2]};
}

}  // namespace chainrule::ops
