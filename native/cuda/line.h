#pragma once

#include <cstdint>

#include "base/dtype.h"

namespace chainrule::cuda {

// Lines of n elements along the middle axis of [outer][n][inner].
struct DeviceLine {
  const void* in;
  void* out;
  int64_t outer, n, inner;
  int32_t lanes;  // threads of a line of neighbours
  DType dtype;
  bool backwards;  // the smallest instead of the largest; sums from the end
  bool exclusive, product;
};

}  // namespace chainrule::cuda
