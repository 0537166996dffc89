#pragma once

#include <cstdint>

// A stack of small matrices [count, rows, columns] as its kernels take it: a block works on one after the other, in
// float64, in a workspace of its own.
namespace chainrule::cuda {

struct DeviceMatrices {
  int64_t count = 0;
  int32_t rows = 0, columns = 0;
  int64_t workspace = 0;      // doubles of a block
  double* scratch = nullptr;  // those of all blocks; null: they fit into shared memory
};

}  // namespace chainrule::cuda
