#include "cuda/ops/conv_direct.h"

#include <algorithm>

#include "cuda/kernels/conv_join.cuh"
#include "cuda/kernels/conv_narrow.cuh"
#include "cuda/kernels/depthwise.cuh"
#include "cuda/ops/gemm.h"
#include "cuda/ops/sizes.h"
#include "plan/conv_shape.h"

namespace chainrule::cuda {
namespace {

constexpr int64_t kMostBlocks = 132 * 16;
constexpr int64_t kNarrowSharedBytes = 48 << 10;  // of a filter
constexpr int64_t kNarrowPartPixels = 128;

LaunchSize elements(int64_t count) {
  LaunchSize size = threadsFor(count);
  size.grid.x = std::min(size.grid.x, kMostBlocks);
  return size;
}

// The gradient of the filter from its parts over the pixels.
void join(Queue& queue, const float* partial, int64_t parts, int64_t count, float* to) {
  queue.launch(KERNEL(convJoin), {{(count + kWarp - 1) / kWarp}, {kWarp * kJoinRows}}, partial, parts, count, to);
}

// Images of so few channels that the sums are short.
bool isNarrow(const ConvShape& s) {
  return s.groups == 1 && s.cin <= kNarrowChannels && s.filterRows() <= kNarrowRows && s.n * s.oh * s.ow < INT32_MAX &&
         s.h * s.w * s.cin < INT32_MAX;
}

bool isFours(const void* data, int64_t channels) {
  return channels % 4 == 0 && reinterpret_cast<uintptr_t>(data) % 16 == 0;
}

Lowering narrowForward(const ConvShape& s, bool halves, int64_t filterBytes, Epilogue epilogue,
                       const OwnEpilogue& own) {
  Lowering lowering;
  lowering.sharedScratch = epilogue.place(0);
  lowering.launch = [=](const StepArgs& args) {
    LaunchSize size = elements(s.n * s.oh * ceilDiv(s.ow, kNarrowPixels) * ceilDiv(s.cout, 4));
    size.sharedBytes = filterBytes;
    void* const y = epilogue.result(args);
    const NarrowResult to{y, own.bias(args), own.rounds, own.halfBias, own.relu, isFours(y, s.cout)};
    if (halves) {
      queueOf(args).launch(KERNEL(convNarrowForwardHalf), size, s, args.in<uint16_t>(0), args.in<uint16_t>(1), to);
    } else {
      queueOf(args).launch(KERNEL(convNarrowForwardFloat), size, s, args.in<float>(0), args.in<float>(1), to);
    }
    epilogue.run(args);
  };
  return lowering;
}

// Operands: the input, the gradient of the output.
Lowering narrowFilter(const ConvShape& s, bool halves) {
  Lowering lowering;
  const int64_t rows = s.filterRows(), count = rows * s.cout;
  const int64_t parts = std::clamp<int64_t>(s.n * s.oh * s.ow / kNarrowPartPixels, 1, 2 * kMultiprocessors);
  lowering.sharedScratch = size_t(parts * count * 4);
  lowering.launch = [=](const StepArgs& args) {
    Queue& queue = queueOf(args);
    float* partial = reinterpret_cast<float*>(args.shared);
    const LaunchSize size{{(s.cout + kNarrowColumns - 1) / kNarrowColumns, parts},
                          {kNarrowWarps * kWarp},
                          kNarrowWarps * rows * kNarrowColumns * int64_t(sizeof(float))};
    const bool wide = isFours(args.in<void>(1), s.cout);
    if (halves) {
      queue.launch(KERNEL(convNarrowFilterHalf), size, s, args.in<uint16_t>(0), args.in<uint16_t>(1), parts, wide,
                   partial);
    } else {
      queue.launch(KERNEL(convNarrowFilterFloat), size, s, args.in<float>(0), args.in<float>(1), parts, wide, partial);
    }
    join(queue, partial, parts, count, args.out<float>());
  };
  return lowering;
}

Lowering depthwiseForwardOf(const ConvShape& s, Epilogue epilogue) {
  const OwnEpilogue own = epilogue.take();
  Lowering lowering;
  lowering.launch = [=](const StepArgs& args) {
    queueOf(args).launch(KERNEL(depthwiseForward), elements(s.n * s.oh * s.ow * s.cout), s, args.in<float>(0),
                         args.in<float>(1), static_cast<const float*>(own.bias(args)), own.relu, args.out<float>());
    epilogue.run(args);
  };
  return lowering;
}

Lowering depthwiseFilterOf(const ConvShape& s) {
  Lowering lowering;
  const int64_t parts = std::clamp<int64_t>(s.n * s.oh * s.ow / 256, 1, 64), count = s.kh * s.kw * s.cout;
  lowering.sharedScratch = size_t(parts * count * 4);
  lowering.launch = [=](const StepArgs& args) {
    Queue& queue = queueOf(args);
    float* partial = reinterpret_cast<float*>(args.shared);
    const LaunchSize size{{(s.cout + kWarp - 1) / kWarp, s.kh * s.kw, parts}, {kWarp * kDepthwiseRows}};
    queue.launch(KERNEL(depthwiseFilter), size, s, args.in<float>(0), args.in<float>(1), parts, partial);
    join(queue, partial, parts, count, args.out<float>());
  };
  return lowering;
}

}  // namespace

Lowering lowerDepthwise(const ConvShape& s, ConvolutionPass pass, const Epilogue& epilogue) {
  Lowering lowering;
  switch (pass) {
    case ConvolutionPass::forward:
      lowering = depthwiseForwardOf(s, epilogue);
      break;
    case ConvolutionPass::input:
      lowering.launch = [=](const StepArgs& args) {
        queueOf(args).launch(KERNEL(depthwiseInput), elements(s.n * s.h * s.w * s.cin), s, args.in<float>(0),
                             args.in<float>(1), args.out<float>());
      };
      break;
    case ConvolutionPass::filter:
      lowering = depthwiseFilterOf(s);
      break;
  }
  lowering.flop = flopOf(s);
  return lowering;
}

std::optional<Lowering> lowerNarrow(const LowerContext& node, const ConvShape& s, ConvolutionPass pass,
                                    const Epilogue& epilogue, const OwnEpilogue& own) {
  const int64_t filterBytes = s.filterRows() * ((s.cout + 3) / 4) * int64_t(sizeof(Four));
  const bool forward = pass == ConvolutionPass::forward, halves = factorsOf(node) == Factors::bf16;
  if (pass == ConvolutionPass::input || !isNarrow(s) || (forward && filterBytes > kNarrowSharedBytes))
    return std::nullopt;
  Lowering lowering = forward ? narrowForward(s, halves, filterBytes, epilogue, own) : narrowFilter(s, halves);
  lowering.flop = flopOf(s);
  return lowering;
}

}  // namespace chainrule::cuda
