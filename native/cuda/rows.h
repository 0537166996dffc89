#pragma once

#include <cstdint>

namespace chainrule::cuda {

// What is computed along lines of n elements, each of which depends on all of its line.
enum class RowOp : uint8_t {
  softmax,
  logSoftmax,
  softmaxGradient,     // a = y, b = the gradient of y
  logSoftmaxGradient,  // likewise
  standardize,
  standardizeGradient,  // a = the gradient of y, b = y, factor = what the rows were multiplied by
};

struct DeviceRows {
  const float *a, *b, *factor;
  float *out, *outFactor;   // null where nobody reads it
  int64_t outer, n, inner;  // lines run along the middle axis
  int32_t lanes;            // threads of a line; or columns of a block
  float epsilon;
  bool centred;
  RowOp op;
};

}  // namespace chainrule::cuda
