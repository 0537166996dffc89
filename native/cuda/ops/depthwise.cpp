#include "cuda/ops/depthwise.h"

#include "cuda/kernels/depthwise.cuh"
#include "cuda/ops/sizes.h"
#include "plan/conv_shape.h"

namespace chainrule::cuda {
namespace {

// One filter for each channel, four channels at a time; places of pixels fit into an int.
bool hasFours(const ConvShape& s) {
  return s.groupOut() == 1 && s.cout % 4 == 0 && s.h * s.w * s.cin < INT32_MAX && s.oh * s.ow * s.cout < INT32_MAX;
}

void launchWindows(Queue& queue, const GemmWindow& window, const ConvShape& s, const float* x, const float* filter,
                   const float* bias, bool relu, float* y) {
  const int64_t fours = s.cout / 4, strips = ceilDiv(window.gridWidth, kDepthwisePixels);
  queue.launch(KERNEL(depthwiseWindows), itemsOfConvolution(s.n * window.gridHeight * strips * fours), window, s.n,
               int(fours), reinterpret_cast<const Four*>(x), reinterpret_cast<const Four*>(filter), bias, relu,
               reinterpret_cast<Four*>(y));
}

Lowering lowering(const ConvShape& shape) {
  Lowering result;
  result.flop = flopOf(shape);
  return result;
}

}  // namespace

Lowering lowerDepthwise(const ConvShape& s, Epilogue epilogue) {
  const OwnEpilogue own = epilogue.take();
  Lowering result = lowering(s);
  result.launch = [=](const StepArgs& args) {
    Queue& queue = queueOf(args);
    const float *const x = args.in<float>(0), *const filter = args.in<float>(1);
    const float* const bias = static_cast<const float*>(own.bias(args));
    float* const y = args.out<float>();
    if (hasFours(s) && startAt16({x, filter, y})) {
      launchWindows(queue, inputWindow(s), s, x, filter, bias, own.relu, y);
    } else {
      queue.launch(KERNEL(depthwiseForward), itemsOfConvolution(s.n * s.oh * s.ow * s.cout), s, x, filter, bias,
                   own.relu, y);
    }
    epilogue.run(args);
  };
  return result;
}

Lowering lowerDepthwiseInput(const ConvShape& s) {
  Lowering result = lowering(s);
  result.launch = [=](const StepArgs& args) {
    Queue& queue = queueOf(args);
    const float *const dy = args.in<float>(0), *const filter = args.in<float>(1);
    float* const dx = args.out<float>();
    if (hasFours(s) && startAt16({dy, filter, dx})) {
      launchWindows(queue, outputWindow(s), s, dy, filter, nullptr, false, dx);
    } else {
      queue.launch(KERNEL(depthwiseInput), itemsOfConvolution(s.n * s.h * s.w * s.cin), s, dy, filter, dx);
    }
  };
  return result;
}

Lowering lowerDepthwiseFilter(const ConvShape& s) {
  const int64_t count = s.kh * s.kw * s.cout, fours = s.cout / 4;
  const int64_t tiles = hasFours(s) ? ceilDiv(fours, kWarp) : ceilDiv(s.cout, kWarp);
  const int64_t taps = hasFours(s) ? s.kh * ceilDiv(s.kw, kFilterTaps) : s.kh * s.kw;
  constexpr int64_t kLeastPixels = 256, kResident = 4;
  const int64_t parts = partsFor(s.n * s.oh * s.ow, kLeastPixels, tiles * taps, kResident);
  Lowering result = lowering(s);
  result.sharedScratch = size_t(parts * count) * sizeof(float);
  result.launch = [=](const StepArgs& args) {
    Queue& queue = queueOf(args);
    const float *const x = args.in<float>(0), *const dy = args.in<float>(1);
    float* const partial = reinterpret_cast<float*>(args.shared);
    if (hasFours(s)) {  // wherever the operands start: another kernel would add in another order
      const int64_t lanes = ceilDiv(fours, tiles);
      queue.launch(KERNEL(depthwiseFilterFours), {{tiles, taps, parts}, {kFilterThreads}}, s, x, dy, startAt16({x, dy}),
                   int(lanes), parts, reinterpret_cast<Four*>(partial));
    } else {
      const LaunchSize size{{ceilDiv(s.cout, kWarp), s.kh * s.kw, parts}, {kWarp * kDepthwiseRows}};
      queue.launch(KERNEL(depthwiseFilter), size, s, x, dy, parts, partial);
    }
    joinFilterParts(queue, partial, parts, count, args.out<float>());
  };
  return result;
}

}  // namespace chainrule::cuda
