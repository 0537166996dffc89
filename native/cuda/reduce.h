#pragma once

#include <cstdint>

#include "base/dtype.h"

namespace chainrule::cuda {

enum class Reduce : uint8_t { sum, prod, max, min, any, all };

// [outer][n][inner] to [outer][chunks][inner]: each chunk of the middle axis becomes one value.
struct DeviceReduce {
  const void* in;
  void* out;
  int64_t outer, n, inner;
  int64_t chunkSize, chunks;
  int32_t lanes;  // threads of a line of neighbours; or columns of a block
  Reduce op;
  DType dtype;
  float divisor;  // of the results, for means; 0: none
};

}  // namespace chainrule::cuda
