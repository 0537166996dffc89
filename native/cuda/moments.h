#pragma once

#include <cstdint>

namespace chainrule::cuda {

constexpr int kMomentThreads = 256;

// Mean and variance of each column. `chunks` parts of `chunkRows` rows each go to `partial` [chunk][2][columns] as mean
// and sum of squared deviations, which are then put together in order.
struct DeviceMoments {
  const float* x;
  float *mean, *variance;  // null where nobody reads it
  float* partial;
  int64_t rows, columns, chunks, chunkRows;
  int32_t lanes;  // threads of a block beside one another
  bool aligned;   // every four neighbours of a row can be read at once
};

}  // namespace chainrule::cuda
