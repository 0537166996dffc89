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
  standardizeGradient,  // a = the gradient of y, b = y before any weights
  layerNormGradient,    // a = the gradient of y, b = x
};

struct DeviceRows {
  const float *a, *b;
  const float *scale, *mean;        // of each line: what it was multiplied by, and its mean or null
  const float *gamma, *beta;        // of each column of a normalized line, or null
  float *out, *outScale, *outMean;  // null where nobody reads it
  int64_t outer, n, inner;          // lines run along the middle axis
  int32_t lanes;                    // threads of a line; or columns of a block
  float epsilon;
  bool centred;
  bool wide;  // every four neighbours can be moved at once
  RowOp op;
};

// What a layer norm's weights get: for each column the sums of dy * y and of dy, y being (x - mean) * scale. `chunks`
// parts of `chunkRows` rows each go to `partial` [chunk][2][columns], which are then added in order.
struct DeviceNormSums {
  const float *dy, *x, *scale, *mean;  // mean: null where the rows are not centred
  float *gamma, *beta;                 // null where nobody reads it
  float* partial;
  int64_t rows, columns, chunks, chunkRows;
};

}  // namespace chainrule::cuda
