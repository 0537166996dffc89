#pragma once

// Reductions of [outer][n][inner] over n (cuda/reduce.h), each in the shape that keeps neighbouring threads on
// neighbouring addresses.

#include "cuda/kernels/fold.cuh"
#include "cuda/reduce.h"

namespace chainrule::cuda {

DEVICE float reduceValue(const float* x) { return *x; }
DEVICE int32_t reduceValue(const int32_t* x) { return *x; }
DEVICE int32_t reduceValue(const uint8_t* x) { return *x != 0; }

DEVICE void reduceStore(const DeviceReduce& r, int64_t i, float value, const float*) {
  static_cast<float*>(r.out)[i] = r.divisor != 0.0f ? value / r.divisor : value;
}
template <typename T>
DEVICE void reduceStore(const DeviceReduce& r, int64_t i, int32_t value, const T*) {
  static_cast<T*>(r.out)[i] = T(value);
}

// For a value of each thread, or four of each of 256; one memory for all variants of a kernel.
DEVICE void* reduceShared() {
  alignas(16) __shared__ uint32_t memory[1024];
  return memory;
}

struct ReduceChunk {
  int64_t begin, end;  // of the middle axis
};
DEVICE ReduceChunk reduceChunk(const DeviceReduce& r, int64_t chunk) {
  const int64_t begin = chunk * r.chunkSize, end = begin + r.chunkSize;
  return {begin, end < r.n ? end : r.n};
}

// inner = 1, `lanes` threads of a warp for a chunk.
struct ReduceByLanes {
  template <typename Op, typename A, typename T>
  DEVICE_MEMBER static void run(const DeviceReduce& r, const T* x) {
    const int64_t line = divide(globalThread(), r.lanes).quotient;
    const bool valid = line < r.outer * r.chunks;
    A value = Op::neutral(A{});
    if (valid) {
      const Quotient q = divide(line, r.chunks);
      const ReduceChunk chunk = reduceChunk(r, q.rest);
      const T* const from = x + q.quotient * r.n;
      value = foldShare<Op, A, 8>(chunk.begin + threadIdx.x % r.lanes, r.lanes, chunk.end,
                                  [&](int64_t i) { return reduceValue(from + i); });
    }
    value = foldLanes<Op>(value, r.lanes);
    if (valid && threadIdx.x % r.lanes == 0) reduceStore(r, line, value, x);
  }
};

// inner = 1, a block for a chunk.
struct ReduceByBlock {
  template <typename Op, typename A, typename T>
  DEVICE_MEMBER static void run(const DeviceReduce& r, const T* x) {
    __shared__ A partial[kWarp];
    const uint32_t line = blockIdx.x, outer = line / uint32_t(r.chunks);
    const ReduceChunk chunk = reduceChunk(r, line - outer * uint32_t(r.chunks));
    const T* const from = x + outer * r.n;
    A value = foldShare<Op, A, 8>(chunk.begin + threadIdx.x, blockDim.x, chunk.end,
                                  [&](int64_t i) { return reduceValue(from + i); });
    value = foldBlock<Op>(value, partial);
    if (threadIdx.x == 0) reduceStore(r, line, value, x);
  }
};

// A thread for each result.
struct ReduceByThread {
  template <typename Op, typename A, typename T>
  DEVICE_MEMBER static void run(const DeviceReduce& r, const T* x) {
    const int64_t i = globalThread();
    if (i >= r.outer * r.inner) return;
    const T* const from = x + lineOffset(i, r.n, r.inner);
    reduceStore(r, i, foldShare<Op, A, 8>(0, 1, r.n, [&](int64_t k) { return reduceValue(from + k * r.inner); }), x);
  }
};

// A block for `lanes` columns of a chunk, its threads over the columns and then over the rows.
struct ReduceByColumns {
  template <typename Op, typename A, typename T>
  DEVICE_MEMBER static void run(const DeviceReduce& r, const T* x) {
    A* const shared = static_cast<A*>(reduceShared());
    const int width = r.lanes, depth = int(blockDim.x) / width, row = int(threadIdx.x) / width;
    const uint32_t tiles = uint32_t((r.inner + width - 1) / width), item = blockIdx.x / tiles;
    const int64_t column = int64_t(blockIdx.x - item * tiles) * width + int(threadIdx.x) % width;
    A value = Op::neutral(A{});
    if (row < depth && column < r.inner) {
      const uint32_t outer = item / uint32_t(r.chunks);
      const ReduceChunk chunk = reduceChunk(r, item - outer * uint32_t(r.chunks));
      const T* const from = x + outer * r.n * r.inner + column;
      value = foldShare<Op, A, 8>(chunk.begin + row, depth, chunk.end,
                                  [&](int64_t i) { return reduceValue(from + i * r.inner); });
    }
    value = foldColumns<Op>(value, shared, width, depth);
    if (row == 0 && column < r.inner) reduceStore(r, item * r.inner + column, value, x);
  }
};

// The same for columns in fours, so that a thread has 64 bytes under way.
template <typename A>
struct alignas(16) ReduceFour {
  A value[4];
};
template <typename Op>
struct FoldFours {
  template <typename A>
  DEVICE_MEMBER static ReduceFour<A> join(const ReduceFour<A>& a, const ReduceFour<A>& b) {
    return {{Op::join(a.value[0], b.value[0]), Op::join(a.value[1], b.value[1]), Op::join(a.value[2], b.value[2]),
             Op::join(a.value[3], b.value[3])}};
  }
  template <typename A>
  DEVICE_MEMBER static ReduceFour<A> neutral(ReduceFour<A>) {
    const A none = Op::neutral(A{});
    return {{none, none, none, none}};
  }
};
template <bool aligned>
struct ReduceByFours {
  template <typename Op, typename A>
  DEVICE_MEMBER static void run(const DeviceReduce& r, const A* x) {
    ReduceFour<A>* const shared = static_cast<ReduceFour<A>*>(reduceShared());
    const int width = r.lanes, depth = int(blockDim.x) / width, row = int(threadIdx.x) / width;
    const uint32_t tiles = uint32_t((r.inner / 4 + width - 1) / width), item = blockIdx.x / tiles;
    const int64_t column = (int64_t(blockIdx.x - item * tiles) * width + int(threadIdx.x) % width) * 4;
    ReduceFour<A> value = FoldFours<Op>::neutral(ReduceFour<A>{});
    if (row < depth && column < r.inner) {
      const uint32_t outer = item / uint32_t(r.chunks);
      const ReduceChunk chunk = reduceChunk(r, item - outer * uint32_t(r.chunks));
      const A* const from = x + outer * r.n * r.inner + column;
      value = foldShare<FoldFours<Op>, ReduceFour<A>, 4>(chunk.begin + row, depth, chunk.end, [&](int64_t i) {
        const A* const at = from + i * r.inner;
        if (aligned) return *reinterpret_cast<const ReduceFour<A>*>(at);
        return ReduceFour<A>{{at[0], at[1], at[2], at[3]}};
      });
    }
    value = foldColumns<FoldFours<Op>>(value, shared, width, depth);
    if (row != 0 || column >= r.inner) return;
#pragma unroll
    for (int k = 0; k < 4; ++k) reduceStore(r, item * r.inner + column + k, value.value[k], x);
  }
};

template <typename By, typename Op>
DEVICE void reduceNumbers(const DeviceReduce& r) {
  if (r.dtype == DType::f32) {
    By::template run<Op, float>(r, static_cast<const float*>(r.in));
  } else {
    By::template run<Op, int32_t>(r, static_cast<const int32_t*>(r.in));
  }
}
template <typename By>
DEVICE void reduceBy(const DeviceReduce& r) {
  switch (r.op) {
    case Reduce::sum:
      return reduceNumbers<By, SumFold>(r);
    case Reduce::prod:
      return reduceNumbers<By, ProductFold>(r);
    case Reduce::max:
      return reduceNumbers<By, MaximumFold>(r);
    case Reduce::min:
      return reduceNumbers<By, MinimumFold>(r);
    case Reduce::any:
      return By::template run<AnyFold, int32_t>(r, static_cast<const uint8_t*>(r.in));
    case Reduce::all:
      return By::template run<AllFold, int32_t>(r, static_cast<const uint8_t*>(r.in));
  }
}

KERNEL_BODY __launch_bounds__(256) reduceByLanes(DeviceReduce r) { reduceBy<ReduceByLanes>(r); }
KERNEL_BODY __launch_bounds__(256) reduceByBlock(DeviceReduce r) { reduceBy<ReduceByBlock>(r); }
KERNEL_BODY __launch_bounds__(256) reduceByThread(DeviceReduce r) { reduceBy<ReduceByThread>(r); }
KERNEL_BODY __launch_bounds__(512, 2) reduceByColumns(DeviceReduce r) { reduceBy<ReduceByColumns>(r); }

template <bool aligned>
DEVICE void reduceFours(const DeviceReduce& r) {
  switch (r.op) {
    case Reduce::sum:
      return reduceNumbers<ReduceByFours<aligned>, SumFold>(r);
    case Reduce::prod:
      return reduceNumbers<ReduceByFours<aligned>, ProductFold>(r);
    case Reduce::max:
      return reduceNumbers<ReduceByFours<aligned>, MaximumFold>(r);
    case Reduce::min:
      return reduceNumbers<ReduceByFours<aligned>, MinimumFold>(r);
    default:
      break;  // of bytes: never so
  }
}
KERNEL_BODY __launch_bounds__(256, 4) reduceByFours(DeviceReduce r) {
  if ((reinterpret_cast<uintptr_t>(r.in) & 15) == 0) {
    reduceFours<true>(r);
  } else {
    reduceFours<false>(r);
  }
}

}  // namespace chainrule::cuda
