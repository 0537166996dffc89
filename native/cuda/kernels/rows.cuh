#pragma once

// Softmax and its kin, and standardized rows (cuda/rows.h). Each is written once over a line that lies in registers, in
// memory along a block, or in memory across the columns of a block.

#include "cuda/kernels/fold.cuh"
#include "cuda/kernels/lane.cuh"
#include "cuda/rows.h"

namespace chainrule::cuda {

// `values` elements in every thread of a line, of one or two inputs; lines of `fixedLanes` threads, 0 for
// DeviceRows::lanes.
template <int values, bool two, int fixedLanes>
struct RegisterLine {
  float a[values], b[two ? values : 1];
  int64_t line;
  int left, runtimeLanes;  // this thread's elements are at 0, lanes, 2 lanes … below `left`
  float* out;              // of its first
  float* partial;

  DEVICE_MEMBER int lanes() const { return fixedLanes ? fixedLanes : runtimeLanes; }
  DEVICE_MEMBER void load(const DeviceRows& r) {
    runtimeLanes = r.lanes;
    const int lane = int(threadIdx.x) % lanes();
    line = divide(globalThread(), lanes()).quotient;
    left = line < r.outer ? int(r.n) - lane : 0;
    const int64_t first = line * r.n + lane;
    const float *const fromA = r.a + first, *const fromB = two ? r.b + first : nullptr;
    out = r.out + first;
#pragma unroll
    for (int k = 0; k < values; ++k) {
      if (k * lanes() < left) a[k] = fromA[k * lanes()];
      if constexpr (two) {
        if (k * lanes() < left) b[k] = fromB[k * lanes()];
      }
    }
  }
  DEVICE_MEMBER bool valid() const { return left > 0; }
  DEVICE_MEMBER bool leads() const { return left > 0 && int(threadIdx.x) % lanes() == 0; }
  template <typename Op, typename F>
  DEVICE_MEMBER float fold(F f) {
    float part = Op::neutral(0.0f);
#pragma unroll
    for (int k = 0; k < values; ++k) {
      if (k * lanes() < left) part = Op::join(part, f(a[k], b[two ? k : 0]));
    }
    if constexpr (fixedLanes > kWarp) return foldBlock<Op>(part, partial);
    return foldLanes<Op>(part, lanes());
  }
  template <typename F>
  DEVICE_MEMBER void replace(F f) {
#pragma unroll
    for (int k = 0; k < values; ++k) a[k] = f(a[k]);
  }
  template <typename F>
  DEVICE_MEMBER void write(F f) {
#pragma unroll
    for (int k = 0; k < values; ++k) {
      if (k * lanes() < left) out[k * lanes()] = f(a[k], b[two ? k : 0]);
    }
  }
};

// A line in memory, `step` threads to it whose values lie `stride` apart; folds go over the block or over its columns.
template <bool two, bool columns>
struct MemoryLine {
  const float *a, *b;
  float* out;
  float* shared;
  int64_t n, first, step, stride, line;
  int width, depth;

  DEVICE_MEMBER void load(const DeviceRows& r) {
    int64_t offset = 0;
    if constexpr (columns) {
      width = r.lanes;
      depth = int(blockDim.x) / width;
      const uint32_t tiles = uint32_t((r.inner + width - 1) / width), outer = blockIdx.x / tiles;
      const int64_t column = int64_t(blockIdx.x - outer * tiles) * width + int(threadIdx.x) % width;
      first = int(threadIdx.x) / width;
      step = depth;
      stride = r.inner;
      line = outer * r.inner + column;
      n = column < r.inner && first < depth ? r.n : 0;
      offset = outer * r.n * r.inner + column;
    } else {
      first = threadIdx.x;
      step = blockDim.x;
      stride = 1;
      line = blockIdx.x;
      n = r.n;
      offset = line * r.n;
    }
    a = r.a + offset;
    b = two ? r.b + offset : nullptr;
    out = r.out + offset;
  }
  DEVICE_MEMBER bool valid() const { return n > 0; }
  DEVICE_MEMBER bool leads() const { return n > 0 && first == 0; }
  template <typename Op, typename F>
  DEVICE_MEMBER float fold(F f) {
    const float part = foldShare<Op, float, 4>(first, step, n,
                                               [&](int64_t i) { return f(a[i * stride], two ? b[i * stride] : 0.0f); });
    if constexpr (columns) return foldColumns<Op>(part, shared, width, depth);
    return foldBlock<Op>(part, shared);
  }
  template <typename F>
  DEVICE_MEMBER void replace(F f) {
    for (int64_t i = first; i < n; i += step) out[i * stride] = f(a[i * stride]);
    a = out;  // every thread goes on with the values it wrote
  }
  template <typename F>
  DEVICE_MEMBER void write(F f) {
#pragma unroll 4
    for (int64_t i = first; i < n; i += step) out[i * stride] = f(a[i * stride], two ? b[i * stride] : 0.0f);
  }
};

DEVICE float rowExp(float x) { return lane::exp(lane::Float(x)).v; }

template <typename Line>
DEVICE void runLine(const DeviceRows& r, Line& line) {
  line.load(r);
  const auto itself = [](float a, float) { return a; };
  switch (r.op) {
    case RowOp::softmax: {
      const float maximum = line.template fold<MaximumFold>(itself);
      line.replace([&](float a) { return rowExp(a - maximum); });
      const float scale = 1.0f / line.template fold<SumFold>(itself);
      return line.write([&](float a, float) { return a * scale; });
    }
    case RowOp::logSoftmax: {
      const float maximum = line.template fold<MaximumFold>(itself);
      const float sum = line.template fold<SumFold>([&](float a, float) { return rowExp(a - maximum); });
      const float log = lane::log(lane::Float(sum)).v;
      return line.write([&](float a, float) { return (a - maximum) - log; });
    }
    case RowOp::standardize: {
      const float n = float(r.n), mean = r.centred ? line.template fold<SumFold>(itself) / n : 0.0f;
      const float squares = line.template fold<SumFold>([&](float a, float) { return (a - mean) * (a - mean); });
      const float factor = 1.0f / lane::sqrt(lane::Float(squares / n + r.epsilon)).v;
      if (r.outFactor && line.leads()) r.outFactor[line.line] = factor;
      if (r.out) line.write([&](float a, float) { return (a - mean) * factor; });
      return;
    }
    default:
      return;
  }
}
template <typename Line>
DEVICE void runTwoLines(const DeviceRows& r, Line& line) {
  line.load(r);
  const auto product = [](float a, float b) { return a * b; };
  switch (r.op) {
    case RowOp::softmaxGradient: {
      const float dot = line.template fold<SumFold>(product);
      return line.write([&](float y, float dy) { return y * (dy - dot); });
    }
    case RowOp::logSoftmaxGradient: {
      const float sum = line.template fold<SumFold>([](float, float dy) { return dy; });
      return line.write([&](float y, float dy) { return dy - rowExp(y) * sum; });
    }
    case RowOp::standardizeGradient: {
      const float n = float(r.n);
      const float mean = r.centred ? line.template fold<SumFold>([](float g, float) { return g; }) / n : 0.0f;
      const float slope = line.template fold<SumFold>(product) / n, factor = line.valid() ? r.factor[line.line] : 0.0f;
      return line.write([&](float g, float y) { return factor * (g - mean - y * slope); });
    }
    default:
      return;
  }
}

template <int values, bool two, int lanes>
DEVICE void runInRegisters(const DeviceRows& r) {
  __shared__ float partial[kWarp];
  RegisterLine<values, two, lanes> line;
  line.partial = partial;
  if constexpr (two) {
    runTwoLines(r, line);
  } else {
    runLine(r, line);
  }
}
template <bool two, bool columns>
DEVICE void runInMemory(const DeviceRows& r) {
  __shared__ float shared[512];
  MemoryLine<two, columns> line;
  line.shared = shared;
  if constexpr (two) {
    runTwoLines(r, line);
  } else {
    runLine(r, line);
  }
}

KERNEL_BODY __launch_bounds__(256) rowsOf4(DeviceRows r) { runInRegisters<4, false, 0>(r); }
KERNEL_BODY __launch_bounds__(256) rowsOf16(DeviceRows r) { runInRegisters<16, false, 32>(r); }
KERNEL_BODY __launch_bounds__(256) rowsOf32(DeviceRows r) { runInRegisters<32, false, 32>(r); }
KERNEL_BODY __launch_bounds__(256) rowsOfBlock(DeviceRows r) { runInRegisters<32, false, 256>(r); }
KERNEL_BODY __launch_bounds__(512) rowsInMemory(DeviceRows r) { runInMemory<false, false>(r); }
KERNEL_BODY __launch_bounds__(512) columnsInMemory(DeviceRows r) { runInMemory<false, true>(r); }

KERNEL_BODY __launch_bounds__(256) twoRowsOf4(DeviceRows r) { runInRegisters<4, true, 0>(r); }
KERNEL_BODY __launch_bounds__(256) twoRowsOf16(DeviceRows r) { runInRegisters<16, true, 32>(r); }
KERNEL_BODY __launch_bounds__(256) twoRowsOf32(DeviceRows r) { runInRegisters<32, true, 32>(r); }
KERNEL_BODY __launch_bounds__(256) twoRowsOfBlock(DeviceRows r) { runInRegisters<32, true, 256>(r); }
KERNEL_BODY __launch_bounds__(512) twoRowsInMemory(DeviceRows r) { runInMemory<true, false>(r); }
KERNEL_BODY __launch_bounds__(512) twoColumnsInMemory(DeviceRows r) { runInMemory<true, true>(r); }

}  // namespace chainrule::cuda
