#include "cuda/kernels/lines.cuh"

#include "cuda/ops/sizes.h"
#include "cuda/queue.h"

namespace chainrule::cuda {
namespace {

DeviceLine linesOf(const LowerContext& c) {
  const AxisSplit split = splitAt(c.in[0].dims, int(c.attrs().integer("axis", 0)));
  DeviceLine line{};
  line.outer = split.outer;
  line.n = split.n;
  line.inner = split.inner;
  line.dtype = c.in[0].dtype;
  return line;
}
DeviceLine bound(DeviceLine line, const StepArgs& args) {
  line.in = args.in<void>(0);
  line.out = args.out<void>();
  return line;
}

template <bool minimum>
Lowering lowerArg(const LowerContext& c) {
  DeviceLine line = linesOf(c);
  line.backwards = minimum;
  line.lanes = int32_t(powerOfTwo(ceilDiv(line.n, 4), kWarp));
  Lowering lowering;
  lowering.launch = [line](const StepArgs& args) {
    Queue& queue = queueOf(args);
    if (line.inner > 1) {
      queue.launch(KERNEL(argByThread), threadsFor(line.outer * line.inner), bound(line, args));
    } else if (line.n <= 2048) {
      queue.launch(KERNEL(argByLanes), threadsFor(line.outer * line.lanes), bound(line, args));
    } else {
      queue.launch(KERNEL(argByBlock), {{line.outer}, {256}}, bound(line, args));
    }
  };
  return lowering;
}

template <bool product>
Lowering lowerCumulative(const LowerContext& c) {
  DeviceLine line = linesOf(c);
  line.product = product;
  line.exclusive = c.attrs().integer("exclusive", 0) != 0;
  line.backwards = c.attrs().integer("reverse", 0) != 0;
  Lowering lowering;
  lowering.launch = [line](const StepArgs& args) {
    if (line.n == 0) return;
    if (line.inner > 1 || line.n <= 8) {
      queueOf(args).launch(KERNEL(cumulateByThread), threadsFor(line.outer * line.inner, 128), bound(line, args));
    } else {
      const int64_t threads = std::clamp<int64_t>(ceilDiv(line.n, kWarp) * kWarp, kWarp, 256);
      queueOf(args).launch(KERNEL(cumulateByBlock), {{line.outer}, {threads}}, bound(line, args));
    }
  };
  return lowering;
}

constexpr Launcher table[] = {
    {"argmax", lowerArg<false>},
    {"argmin", lowerArg<true>},
    {"cumsum", lowerCumulative<false>},
    {"cumprod", lowerCumulative<true>},
};

}  // namespace

Launchers lineLaunchers() { return table; }

}  // namespace chainrule::cuda
