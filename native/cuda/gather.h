#pragma once

#include <cstdint>

namespace chainrule::cuda {

struct DeviceGather {
  const void* table;
  const int32_t* indices;
  void* out;
  uint64_t* fault;
  int64_t rows, count;  // of the table; indices
  int64_t rowSize;      // elements of `width` bytes
  int32_t width;
  // Bags: the sum (or mean) of `length` rows in a row of the output, `lanes` threads to 32 columns of it.
  int32_t lanes;
  int64_t length;
  float divisor;
};

// Sums the runs of equal keys in a sorted list, a chunk of it at a time. Runs that end where their chunk does go to the
// table; what reaches over the edges becomes two entries of the next, shorter list.
struct DeviceRuns {
  const uint64_t* pairs;  // key and position, or null: then keys and rows in order
  const int32_t* keys;
  const float* values;
  float* table;
  int32_t* nextKeys;  // null if there is one chunk
  float* nextValues;
  int64_t n, chunk, rows, width, group;  // `group` neighbouring positions share a row of values
  int32_t lanes;                         // threads to at most 32 columns
};

}  // namespace chainrule::cuda
