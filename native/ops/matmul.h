#pragma once

#include "ops/registry.h"

namespace chainrule::ops {

// Which sides of a matmul are stored transposed.
struct Transposes {
  bool a, b;
};
inline Transposes transposes(const Attrs& attrs) {
  return {attrs.integer("transposeA", 0) != 0, attrs.integer("transposeB", 0) != 0};
}

Lowering lowerMatmul(const LowerContext& c);

}  // namespace chainrule::ops
