#include "cuda/kernels/pool.cuh"

#include "cuda/ops/sizes.h"
#include "cuda/queue.h"

namespace chainrule::cuda {
namespace {

DevicePool poolOf(const Attrs& attrs, const Dims& x, const Dims& y) {
  const auto size = attrs.integers("size"), strides = attrs.integers("strides"), padding = attrs.integers("padding");
  for (int64_t extent : {x[1] + padding[0] + padding[1], x[2] + padding[2] + padding[3], x[3], size[0] * size[1]}) {
    if (extent > INT32_MAX) fail("UNSUPPORTED", "pooling over images of more than 2^31 - 1 rows, columns or channels");
  }
  const auto narrow = [](int64_t value) { return int32_t(value); };
  return {.images = x[0],
          .h = narrow(x[1]),
          .w = narrow(x[2]),
          .c = narrow(x[3]),
          .oh = narrow(y[1]),
          .ow = narrow(y[2]),
          .kh = narrow(size[0]),
          .kw = narrow(size[1]),
          .strideH = narrow(strides[0]),
          .strideW = narrow(strides[1]),
          .padTop = narrow(padding[0]),
          .padLeft = narrow(padding[2]),
          .wideIndex = size[0] * size[1] > 256,
          .four = false};
}

// Four channels at a time where all pointers allow it.
DevicePool aligned(DevicePool pool, std::initializer_list<const void*> pointers) {
  pool.four = pool.c % 4 == 0 && startAt16(pointers);
  return pool;
}
LaunchSize sizeFor(const DevicePool& pool, int32_t h, int32_t w) { return threadsFor(poolItems(pool, h, w)); }

Lowering lowerMax(const LowerContext& c) {
  const DevicePool shape = poolOf(c.attrs(), c.in[0].dims, c.out[0].dims);
  return {.launch = [shape, indexed = bool(c.used[1])](const StepArgs& args) {
    void* const index = indexed ? args.out<void>(1) : nullptr;
    const DevicePool pool = aligned(shape, {args.in<void>(0), args.out<void>(), index});
    queueOf(args).launch(KERNEL(maxPoolKernel), sizeFor(pool, pool.oh, pool.ow), pool, args.in<float>(0),
                         args.out<float>(), index);
  }};
}

Lowering lowerAverage(const LowerContext& c) {
  const DevicePool shape = poolOf(c.attrs(), c.in[0].dims, c.out[0].dims);
  return {.launch = [shape](const StepArgs& args) {
    const DevicePool pool = aligned(shape, {args.in<void>(0), args.out<void>()});
    queueOf(args).launch(KERNEL(averagePoolKernel), sizeFor(pool, pool.oh, pool.ow), pool, args.in<float>(0),
                         args.out<float>());
  }};
}

Lowering lowerMaxGradient(const LowerContext& c) {
  const DevicePool shape = poolOf(c.attrs(), c.out[0].dims, c.in[0].dims);
  return {.launch = [shape](const StepArgs& args) {
    const DevicePool pool = aligned(shape, {args.in<void>(0), args.in<void>(1), args.out<void>()});
    queueOf(args).launch(KERNEL(maxPoolGradientKernel), sizeFor(pool, pool.h, pool.w), pool, args.in<float>(0),
                         args.in<void>(1), args.out<float>());
  }};
}

Lowering lowerAverageGradient(const LowerContext& c) {
  const DevicePool shape = poolOf(c.attrs(), c.out[0].dims, c.in[0].dims);
  return {.launch = [shape](const StepArgs& args) {
    const DevicePool pool = aligned(shape, {args.in<void>(0), args.out<void>()});
    queueOf(args).launch(KERNEL(averagePoolGradientKernel), sizeFor(pool, pool.h, pool.w), pool, args.in<float>(0),
                         args.out<float>());
  }};
}

constexpr Launcher table[] = {{"maxPool", lowerMax},
                              {"avgPool", lowerAverage},
                              {"maxPoolGradient", lowerMaxGradient},
                              {"averagePoolGradient", lowerAverageGradient}};

}  // namespace

Launchers poolLaunchers() { return table; }

}  // namespace chainrule::cuda
