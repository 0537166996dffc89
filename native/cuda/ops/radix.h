#pragma once

#include "cuda/queue.h"
#include "cuda/radix.h"

namespace chainrule::cuda {

// A stable sort of `lines` lines of n pairs by the low `bits` bits of their keys.
class RadixSort {
 public:
  RadixSort(int64_t lines, int64_t n, int bits);
  size_t scratchBytes() const;  // of the counts
  // Sorts `pairs` with the help of `other`, and returns the one of the two that holds the result.
  const uint64_t* run(Queue& queue, uint64_t* pairs, uint64_t* other, std::byte* scratch) const;

 private:
  DeviceRadix radix_ = {};
  int passes_ = 0;
};

}  // namespace chainrule::cuda
