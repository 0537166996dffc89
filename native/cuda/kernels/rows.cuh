#pragma once

// Softmax and its kin, and standardized rows (cuda/rows.h). Each is written once over a line that lies in registers, in
// memory along a block, or in memory across the columns of a block.

#include "cuda/kernels/fold.cuh"
#include "cuda/kernels/four.cuh"
#include "cuda/kernels/lane.cuh"
#include "cuda/rows.h"

namespace chainrule::cuda {

// Where an element stands in its line: the e-th of a run of `run`, whose address is that of 16 bytes if wide.
template <int run>
struct RunPlace {
  int column, e;
  bool wide;
  DEVICE_MEMBER float of(const float* weights) const {
    if (run == 4 && wide) return reinterpret_cast<const Four*>(weights + column)->v[e];
    return weights[column + e];
  }
};
struct RowPlace {
  int64_t column;
  DEVICE_MEMBER float of(const float* weights) const { return weights[column]; }
};

// `values` elements in every thread of a line, of one or two inputs, as runs of `run` neighbours; lines of `fixedLanes`
// threads, 0 for DeviceRows::lanes.
template <int values, bool two, int fixedLanes, int run>
struct RegisterLine {
  float a[values], b[two ? values : 1];
  int64_t line;
  int n, runtimeLanes;  // n: 0 beyond the last line
  bool wide;
  float* out;
  float* partial;

  DEVICE_MEMBER int lanes() const { return fixedLanes ? fixedLanes : runtimeLanes; }
  DEVICE_MEMBER int lane() const { return int(threadIdx.x) % lanes(); }
  DEVICE_MEMBER int column(int k) const { return (k / run * lanes() + lane()) * run; }  // of the run of k
  DEVICE_MEMBER RunPlace<run> place(int k) const { return {column(k), k % run, wide}; }
  DEVICE_MEMBER void fetch(float* to, const float* from) const {
#pragma unroll
    for (int k = 0; k < values; k += run) {
      if (column(k) >= n) continue;
      if constexpr (run == 4) {
        if (wide) {
          const Four four = *reinterpret_cast<const Four*>(from + column(k));
#pragma unroll
          for (int e = 0; e < run; ++e) to[k + e] = four.v[e];
          continue;
        }
      }
#pragma unroll
      for (int e = 0; e < run; ++e) to[k + e] = from[column(k) + e];
    }
  }
  DEVICE_MEMBER void load(const DeviceRows& r) {
    runtimeLanes = r.lanes;
    wide = r.wide;
    line = divide(globalThread(), lanes()).quotient;
    n = line < r.outer ? int(r.n) : 0;
    fetch(a, r.a + line * r.n);
    if constexpr (two) fetch(b, r.b + line * r.n);
    out = r.out + line * r.n;
  }
  DEVICE_MEMBER bool valid() const { return n > 0; }
  DEVICE_MEMBER bool leads() const { return n > 0 && lane() == 0; }
  template <typename Op, typename F>
  DEVICE_MEMBER float fold(F f) {
    float part = Op::neutral(0.0f);
#pragma unroll
    for (int k = 0; k < values; ++k) {
      if (column(k) < n) part = Op::join(part, f(a[k], b[two ? k : 0], place(k)));
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
    for (int k = 0; k < values; k += run) {
      if (column(k) >= n) continue;
      Four four;
#pragma unroll
      for (int e = 0; e < run; ++e) four.v[e] = f(a[k + e], b[two ? k + e : 0], place(k + e));
      if (run == 4 && wide) {
        *reinterpret_cast<Four*>(out + column(k)) = four;
        continue;
      }
#pragma unroll
      for (int e = 0; e < run; ++e) out[column(k) + e] = four.v[e];
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
    const float part = foldShare<Op, float, 4>(
        first, step, n, [&](int64_t i) { return f(a[i * stride], two ? b[i * stride] : 0.0f, RowPlace{i}); });
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
    for (int64_t i = first; i < n; i += step)
      out[i * stride] = f(a[i * stride], two ? b[i * stride] : 0.0f, RowPlace{i});
  }
};

DEVICE float rowExp(float x) { return lane::exp(lane::Float(x)).v; }

template <typename Line>
DEVICE void runLine(const DeviceRows& r, Line& line) {
  line.load(r);
  const auto itself = [](float a, float, auto) { return a; };
  switch (r.op) {
    case RowOp::softmax: {
      const float maximum = line.template fold<MaximumFold>(itself);
      line.replace([&](float a) { return rowExp(a - maximum); });
      const float scale = 1.0f / line.template fold<SumFold>(itself);
      return line.write([&](float a, float, auto) { return a * scale; });
    }
    case RowOp::logSoftmax: {
      const float maximum = line.template fold<MaximumFold>(itself);
      const float sum = line.template fold<SumFold>([&](float a, float, auto) { return rowExp(a - maximum); });
      const float log = lane::log(lane::Float(sum)).v;
      return line.write([&](float a, float, auto) { return (a - maximum) - log; });
    }
    case RowOp::standardize: {
      const float n = float(r.n), mean = r.centred ? line.template fold<SumFold>(itself) / n : 0.0f;
      const float squares = line.template fold<SumFold>([&](float a, float, auto) { return (a - mean) * (a - mean); });
      const float scale = 1.0f / lane::sqrt(lane::Float(squares / n + r.epsilon)).v;
      if (r.outScale && line.leads()) r.outScale[line.line] = scale;
      if (r.outMean && line.leads()) r.outMean[line.line] = mean;
      if (!r.out) return;
      return line.write([&](float a, float, auto place) {
        float y = (a - mean) * scale;
        if (r.gamma) y *= place.of(r.gamma);
        if (r.beta) y += place.of(r.beta);
        return y;
      });
    }
    default:
      return;
  }
}
template <typename Line>
DEVICE void runTwoLines(const DeviceRows& r, Line& line) {
  line.load(r);
  const auto product = [](float a, float b, auto) { return a * b; };
  switch (r.op) {
    case RowOp::softmaxGradient: {
      const float dot = line.template fold<SumFold>(product);
      return line.write([&](float y, float dy, auto) { return y * (dy - dot); });
    }
    case RowOp::logSoftmaxGradient: {
      const float sum = line.template fold<SumFold>([](float, float dy, auto) { return dy; });
      return line.write([&](float y, float dy, auto) { return dy - rowExp(y) * sum; });
    }
    case RowOp::standardizeGradient: {
      const float n = float(r.n);
      const float mean = r.centred ? line.template fold<SumFold>([](float g, float, auto) { return g; }) / n : 0.0f;
      const float slope = line.template fold<SumFold>(product) / n, scale = line.valid() ? r.scale[line.line] : 0.0f;
      return line.write([&](float g, float y, auto) { return scale * (g - mean - y * slope); });
    }
    case RowOp::layerNormGradient: {
      const float n = float(r.n), scale = line.valid() ? r.scale[line.line] : 0.0f,
                  middle = line.valid() && r.mean ? r.mean[line.line] : 0.0f;
      const auto rowOf = [&](float x) { return (x - middle) * scale; };
      const auto gradientOf = [&](float dy, auto place) { return r.gamma ? dy * place.of(r.gamma) : dy; };
      const auto plain = [&](float dy, float, auto place) { return gradientOf(dy, place); };
      const float mean = r.centred ? line.template fold<SumFold>(plain) / n : 0.0f;
      const float slope = line.template fold<SumFold>([&](float dy, float x, auto place) {
        return gradientOf(dy, place) * rowOf(x);
      }) / n;
      return line.write(
          [&](float dy, float x, auto place) { return scale * (gradientOf(dy, place) - mean - rowOf(x) * slope); });
    }
    default:
      return;
  }
}

template <int values, bool two, int lanes, int run>
DEVICE void runInRegisters(const DeviceRows& r) {
  __shared__ float partial[kWarp];
  RegisterLine<values, two, lanes, run> line;
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

// Lines of any length, and those that consist of runs of four.
KERNEL_BODY __launch_bounds__(256) rowsOf4(DeviceRows r) { runInRegisters<4, false, 0, 1>(r); }
KERNEL_BODY __launch_bounds__(256) rowsOf16(DeviceRows r) { runInRegisters<16, false, 32, 1>(r); }
KERNEL_BODY __launch_bounds__(256) rowsOf32(DeviceRows r) { runInRegisters<32, false, 32, 1>(r); }
KERNEL_BODY __launch_bounds__(256) rowsOfBlock(DeviceRows r) { runInRegisters<32, false, 256, 1>(r); }

KERNEL_BODY __launch_bounds__(256) foursOf4(DeviceRows r) { runInRegisters<4, false, 0, 4>(r); }
KERNEL_BODY __launch_bounds__(256) foursOf16(DeviceRows r) { runInRegisters<16, false, 32, 4>(r); }
KERNEL_BODY __launch_bounds__(256, 3) foursOf32(DeviceRows r) { runInRegisters<32, false, 32, 4>(r); }
KERNEL_BODY __launch_bounds__(256, 3) foursOfBlock(DeviceRows r) { runInRegisters<32, false, 256, 4>(r); }

KERNEL_BODY __launch_bounds__(256) twoRowsOf4(DeviceRows r) { runInRegisters<4, true, 0, 1>(r); }
KERNEL_BODY __launch_bounds__(256) twoRowsOf16(DeviceRows r) { runInRegisters<16, true, 32, 1>(r); }
KERNEL_BODY __launch_bounds__(256) twoRowsOf32(DeviceRows r) { runInRegisters<32, true, 32, 1>(r); }
KERNEL_BODY __launch_bounds__(256) twoRowsOfBlock(DeviceRows r) { runInRegisters<32, true, 256, 1>(r); }

KERNEL_BODY __launch_bounds__(256) twoFoursOf4(DeviceRows r) { runInRegisters<4, true, 0, 4>(r); }
KERNEL_BODY __launch_bounds__(256) twoFoursOf16(DeviceRows r) { runInRegisters<16, true, 32, 4>(r); }
KERNEL_BODY __launch_bounds__(256, 2) twoFoursOf32(DeviceRows r) { runInRegisters<32, true, 32, 4>(r); }
KERNEL_BODY __launch_bounds__(256) twoFoursOfBlock(DeviceRows r) { runInRegisters<32, true, 256, 4>(r); }

KERNEL_BODY __launch_bounds__(512) rowsInMemory(DeviceRows r) { runInMemory<false, false>(r); }
KERNEL_BODY __launch_bounds__(512) columnsInMemory(DeviceRows r) { runInMemory<false, true>(r); }
KERNEL_BODY __launch_bounds__(512) twoRowsInMemory(DeviceRows r) { runInMemory<true, false>(r); }
KERNEL_BODY __launch_bounds__(512) twoColumnsInMemory(DeviceRows r) { runInMemory<true, true>(r); }

}  // namespace chainrule::cuda
