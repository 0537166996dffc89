#pragma once

#include <cstdint>

namespace chainrule::cuda {

enum class RandomOp : uint8_t { bits, uniform, normal, truncatedNormal, bernoulli, dropout };

// A tensor of rows, drawn as base/philox.h says: a and b are low and width, mean and deviation, the probability of a
// one, or the scale of what dropout keeps.
struct DeviceRandom {
  const uint32_t* seed;      // two words of key, the number of the draw
  const int64_t* rowOffset;  // null: rows are not the batch's
  const float* x;            // of dropout
  void* out;
  int64_t rows, rowSize;
  float a, b;
  int32_t threshold;  // of dropout: kept while below
  RandomOp op;
};

}  // namespace chainrule::cuda
