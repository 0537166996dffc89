#pragma once

// Rows by index and the gradient of that (cuda/gather.h).

#include "cuda/gather.h"
#include "cuda/kernels/fold.cuh"

namespace chainrule::cuda {

DEVICE int64_t checkedIndex(const DeviceGather& g, int64_t position, bool reports) {
  const int32_t index = g.indices[position];
  if (index >= 0 && index < g.rows) return index;
  if (reports && g.fault) atomicLeast(g.fault, uint64_t(position) << 32 | uint32_t(index));
  return -1;
}

struct alignas(16) GatherWide {
  uint32_t word[4];
};
template <typename T>
DEVICE void gatherUnits(const DeviceGather& g) {
  const int64_t i = globalThread();
  if (i >= g.count * g.rowSize) return;
  const Quotient q = divide(i, g.rowSize);
  const int64_t row = checkedIndex(g, q.quotient, q.rest == 0);
  static_cast<T*>(g.out)[i] = row < 0 ? T{} : static_cast<const T*>(g.table)[row * g.rowSize + q.rest];
}
KERNEL_BODY __launch_bounds__(256) gatherRows(DeviceGather g) {
  if (g.width == 4) return gatherUnits<uint32_t>(g);
  if (g.width == 16) return gatherUnits<GatherWide>(g);
  gatherUnits<uint8_t>(g);
}

template <typename T>
DEVICE void fetchUnits(const void* from, const int32_t* rows, void* to, int64_t count, int64_t units) {
  const int64_t i = globalThread();
  if (i >= count * units) return;
  const Quotient q = divide(i, units);
  static_cast<T*>(to)[i] = static_cast<const T*>(from)[rows[q.quotient] * units + q.rest];
}
// Of the array whose address lies in `from`, rows of `units` words of `width` bytes.
KERNEL_BODY __launch_bounds__(256)
    fetchRows(const void* const* from, const int32_t* rows, void* to, int64_t count, int64_t units, int32_t width) {
  if (width == 4) return fetchUnits<uint32_t>(*from, rows, to, count, units);
  if (width == 16) return fetchUnits<GatherWide>(*from, rows, to, count, units);
  fetchUnits<uint8_t>(*from, rows, to, count, units);
}

KERNEL_BODY __launch_bounds__(256) gatherBags(DeviceGather g) {
  const int64_t tiles = divide(g.rowSize + g.lanes - 1, g.lanes).quotient;
  const Quotient q = divide(divide(globalThread(), g.lanes).quotient, tiles);
  const int64_t bag = q.quotient, column = q.rest * g.lanes + int(threadIdx.x) % g.lanes;
  if (bag >= g.count || column >= g.rowSize) return;
  const float* const table = static_cast<const float*>(g.table);
  const float sum = foldShare<SumFold, float, 8>(0, 1, g.length, [&](int64_t i) {
    const int64_t row = checkedIndex(g, bag * g.length + i, column == 0);
    return row < 0 ? 0.0f : table[row * g.rowSize + column];
  });
  static_cast<float*>(g.out)[bag * g.rowSize + column] = g.divisor != 0.0f ? sum / g.divisor : sum;
}

KERNEL_BODY __launch_bounds__(256) oneHotRows(const int32_t* indices, float* out, int64_t count, int64_t depth) {
  const int64_t i = globalThread();
  if (i >= count * depth) return;
  const Quotient q = divide(i, depth);
  out[i] = indices[q.quotient] == q.rest ? 1.0f : 0.0f;
}

// Indices outside the table sort behind it.
KERNEL_BODY __launch_bounds__(256) pairIndices(const int32_t* indices, uint64_t* pairs, int64_t count, int64_t rows) {
  const int64_t i = globalThread();
  if (i >= count) return;
  const int64_t row = uint32_t(indices[i]) < uint64_t(rows) ? indices[i] : rows;
  pairs[i] = uint64_t(row) << 32 | uint64_t(i);
}

DEVICE int32_t runKey(const DeviceRuns& r, int64_t i) { return r.pairs ? int32_t(r.pairs[i] >> 32) : r.keys[i]; }

KERNEL_BODY __launch_bounds__(256) sumRuns(DeviceRuns r) {
  constexpr int wide = 8;
  const int64_t tiles = divide(r.width + r.lanes - 1, r.lanes).quotient;
  const Quotient q = divide(divide(globalThread(), r.lanes).quotient, tiles);
  const int64_t chunk = q.quotient, column = q.rest * r.lanes + int(threadIdx.x) % r.lanes;
  const int64_t begin = chunk * r.chunk;
  if (begin >= r.n || column >= r.width) return;
  const int64_t end = begin + r.chunk < r.n ? begin + r.chunk : r.n;
  const int32_t first = runKey(r, begin), last = runKey(r, end - 1);
  const bool continues = begin > 0 && runKey(r, begin - 1) == first;
  const bool goesOn = end < r.n && runKey(r, end) == last;

  float head = 0.0f, tail = 0.0f, sum = 0.0f;
  int32_t current = first;
  const auto finish = [&] {
    if (current == first && continues) {
      head = sum;
    } else if (current < r.rows) {
      r.table[current * r.width + column] += sum;
    }
  };
  for (int64_t i = begin; i < end; i += wide) {
    int32_t key[wide];
    float value[wide];
#pragma unroll
    for (int k = 0; k < wide; ++k) {
      if (i + k >= end) continue;
      key[k] = runKey(r, i + k);
      int64_t row = i + k;
      if (r.pairs) {
        row = int64_t(uint32_t(r.pairs[i + k]));
        if (r.group > 1) row = divide(row, r.group).quotient;
      }
      value[k] = r.values[row * r.width + column];
    }
#pragma unroll
    for (int k = 0; k < wide; ++k) {
      if (i + k >= end) continue;
      if (key[k] != current) {
        finish();
        current = key[k];
        sum = 0.0f;
      }
      sum += value[k];
    }
  }
  if (goesOn && !(continues && current == first)) {
    tail = sum;
  } else {
    finish();
  }
  if (!r.nextKeys) return;
  r.nextValues[2 * chunk * r.width + column] = head;
  r.nextValues[(2 * chunk + 1) * r.width + column] = tail;
  if (column == 0) {
    r.nextKeys[2 * chunk] = first;
    r.nextKeys[2 * chunk + 1] = last;
  }
}

}  // namespace chainrule::cuda
