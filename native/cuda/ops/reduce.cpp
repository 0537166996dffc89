#include "cuda/kernels/reduce.cuh"

#include <vector>

#include "cuda/ops/sizes.h"
#include "cuda/queue.h"

// Reductions over any axes: one pass for each run of neighbouring axes, from the last to the first, and a further one
// where few results would leave most of the device idle.

namespace chainrule::cuda {
namespace {

constexpr int64_t kColumnThreads = 512, kFourThreads = 256;

struct Pass {
  enum class By : uint8_t { lanes, block, thread, columns, fours };
  DeviceReduce reduce;
  By by;

  LaunchSize size() const {
    const int64_t lines = reduce.outer * reduce.chunks;
    switch (by) {
      case By::lanes:
        return threadsFor(lines * reduce.lanes);
      case By::block:
        return {{lines}, {256}};
      case By::thread:
        return threadsFor(reduce.outer * reduce.inner);
      case By::columns:
        return {{lines * ceilDiv(reduce.inner, reduce.lanes)}, {kColumnThreads}};
      case By::fours:
        break;
    }
    return {{lines * ceilDiv(reduce.inner / 4, reduce.lanes)}, {kFourThreads}};
  }
};

void cut(DeviceReduce& reduce, int64_t chunks) {
  reduce.chunkSize = std::max<int64_t>(1, ceilDiv(reduce.n, std::max<int64_t>(1, chunks)));
  reduce.chunks = std::max<int64_t>(1, ceilDiv(reduce.n, reduce.chunkSize));
}

// Columns for the threads of a block of `threads`, then chunks that fill the device once with `resident` blocks on each
// multiprocessor; but a further pass costs more than a thread's walk over a few rows.
void cutColumns(DeviceReduce& reduce, int64_t columns, int64_t threads, int64_t resident) {
  int64_t lanes = std::min<int64_t>(columns, kWarp);
  while (lanes > 8 && reduce.n <= 1024 && reduce.outer * ceilDiv(columns, lanes) < kMultiprocessors) lanes /= 2;
  reduce.lanes = int32_t(lanes);
  const int64_t blocks = std::max<int64_t>(1, reduce.outer * ceilDiv(columns, lanes)), depth = threads / lanes;
  cut(reduce, std::min(reduce.n / (depth * 16), resident * kMultiprocessors / blocks));
}

Pass passOver(int64_t outer, int64_t n, int64_t inner, bool words) {
  Pass pass{};
  DeviceReduce& r = pass.reduce;
  r.outer = outer;
  r.n = n;
  r.inner = inner;
  cut(r, 1);
  if (inner == 1 && n <= 2048) {
    pass.by = Pass::By::lanes;
    r.lanes = int32_t(powerOfTwo(ceilDiv(n, 4), kWarp));
  } else if (inner == 1) {
    pass.by = Pass::By::block;
    cut(r, std::min(n / 8192, 6 * kMultiprocessors / std::max<int64_t>(outer, 1)));
  } else if (n <= 32 || outer * inner >= 2048 * kMultiprocessors) {
    pass.by = Pass::By::thread;
  } else if (words && inner % 4 == 0) {
    pass.by = Pass::By::fours;
    cutColumns(r, inner / 4, kFourThreads, 4);
  } else {
    pass.by = Pass::By::columns;
    cutColumns(r, inner, kColumnThreads, 2);
  }
  return pass;
}

std::vector<Pass> passesOver(const Dims& dims, std::span<const int64_t> axes, bool words) {
  std::vector<bool> reduced(size_t(dims.size()), false);
  for (int64_t axis : axes) reduced[size_t(axis)] = true;
  std::vector<Pass> passes;
  const auto add = [&](int64_t outer, int64_t n, int64_t inner) {
    passes.push_back(passOver(outer, n, inner, words));
    if (const int64_t chunks = passes.back().reduce.chunks; chunks > 1) {
      passes.push_back(passOver(outer, chunks, inner, words));
      cut(passes.back().reduce, 1);  // few enough to be folded at once
    }
  };
  int64_t inner = 1;
  for (int axis = dims.size() - 1; axis >= 0;) {
    if (!reduced[size_t(axis)]) {
      inner *= dims[axis--];
      continue;
    }
    int64_t n = 1, outer = 1;
    // Axes of one element join any run.
    for (; axis >= 0 && (reduced[size_t(axis)] || dims[axis] == 1); --axis) n *= dims[axis];
    for (int i = 0; i <= axis; ++i) outer *= dims[i];
    if (n != 1) add(outer, n, inner);
  }
  if (passes.empty()) add(elementCount(dims), 1, 1);
  return passes;
}

template <Reduce op, bool mean = false>
Lowering lower(const LowerContext& c) {
  const std::vector<int64_t> axes = c.attrs().integers("axes");
  std::vector<Pass> passes = passesOver(c.in[0].dims, axes, byteSize(c.in[0].dtype) == 4);
  int64_t room = 0;
  for (Pass& pass : passes) {
    pass.reduce.op = op;
    pass.reduce.dtype = c.in[0].dtype;
    const int64_t results = pass.reduce.outer * pass.reduce.chunks * pass.reduce.inner;
    if (&pass != &passes.back()) room = std::max(room, ceilDiv(results * byteSize(c.in[0].dtype), 64) * 64);
  }
  if (mean) {
    int64_t count = 1;
    for (int64_t axis : axes) count *= c.in[0].dims[int(axis)];
    passes.back().reduce.divisor = float(count);
  }
  const bool empty = mean && passes.back().reduce.divisor == 0.0f;
  Lowering lowering;
  lowering.launch = [passes, room, empty](const StepArgs& args) {
    const void* from = args.in<void>(0);
    for (size_t i = 0; i < passes.size(); ++i) {
      DeviceReduce reduce = passes[i].reduce;
      const bool last = i + 1 == passes.size();
      reduce.in = from;
      reduce.out = last ? args.out<void>() : args.shared + (i % 2 ? room : 0);
      from = reduce.out;
      // The mean of nothing is NaN, and a divisor of 0 means none.
      if (empty && last) {
        queueOf(args).fill(reduce.out, 0x7FC00000u, reduce.outer * reduce.chunks * reduce.inner);
        continue;
      }
      switch (passes[i].by) {
        case Pass::By::lanes:
          queueOf(args).launch(KERNEL(reduceByLanes), passes[i].size(), reduce);
          break;
        case Pass::By::block:
          queueOf(args).launch(KERNEL(reduceByBlock), passes[i].size(), reduce);
          break;
        case Pass::By::thread:
          queueOf(args).launch(KERNEL(reduceByThread), passes[i].size(), reduce);
          break;
        case Pass::By::columns:
          queueOf(args).launch(KERNEL(reduceByColumns), passes[i].size(), reduce);
          break;
        case Pass::By::fours:
          queueOf(args).launch(KERNEL(reduceByFours), passes[i].size(), reduce);
          break;
      }
    }
  };
  lowering.sharedScratch = size_t(passes.size() > 2 ? 2 * room : room);
  return lowering;
}

constexpr Launcher table[] = {
    {"reduceSum", lower<Reduce::sum>}, {"reduceMean", lower<Reduce::sum, true>}, {"reduceMax", lower<Reduce::max>},
    {"reduceMin", lower<Reduce::min>}, {"reduceProd", lower<Reduce::prod>},      {"reduceAny", lower<Reduce::any>},
    {"reduceAll", lower<Reduce::all>},
};

}  // namespace

Launchers reduceLaunchers() { return table; }

}  // namespace chainrule::cuda
