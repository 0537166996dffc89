#include "cuda/ops/radix.h"

#include "cuda/kernels/radix.cuh"
#include "cuda/ops/sizes.h"

namespace chainrule::cuda {

RadixSort::RadixSort(int64_t lines, int64_t n, int bits) : passes_((bits + 7) / 8) {
  if (n > INT32_MAX) fail("SHAPE", "an axis of ", n, " elements is too long to sort");
  radix_.lines = lines;
  radix_.n = n;
  radix_.tiles = ceilDiv(n, kRadixTile);
}

size_t RadixSort::scratchBytes() const { return size_t(radix_.lines * kRadixDigits * (radix_.tiles + 1) * 4); }

const uint64_t* RadixSort::run(Queue& queue, uint64_t* pairs, uint64_t* other, std::byte* scratch) const {
  for (int pass = 0; pass < passes_; ++pass) {
    DeviceRadix radix = radix_;
    radix.in = pairs;
    radix.out = other;
    radix.totals = reinterpret_cast<int32_t*>(scratch);
    radix.counts = radix.totals + radix.lines * kRadixDigits;
    radix.shift = 32 + 8 * pass;
    const LaunchSize tiles = {{radix.lines * radix.tiles}, {256}};
    queue.launch(KERNEL(radixCount), tiles, radix);
    queue.launch(KERNEL(radixScan),
                 {{radix.lines * kRadixDigits}, {std::clamp<int64_t>(ceilDiv(radix.tiles, kWarp) * kWarp, kWarp, 256)}},
                 radix);
    queue.launch(KERNEL(radixScatter), tiles, radix);
    std::swap(pairs, other);
  }
  return pairs;
}

}  // namespace chainrule::cuda
