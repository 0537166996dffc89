#include "cuda/ops/conv_narrow.h"

#include <algorithm>

#include "cuda/kernels/conv_narrow.cuh"
#include "cuda/ops/conv_windows.h"
#include "cuda/ops/gemm.h"
#include "cuda/ops/sizes.h"
#include "plan/conv_shape.h"

namespace chainrule::cuda {
namespace {

constexpr int64_t kNarrowSharedBytes = 48 << 10;  // of a filter
constexpr int64_t kNarrowPartPixels = 128;

// Images of so few channels that the sums are short.
bool isNarrow(const ConvShape& s) {
  return s.groups == 1 && s.cin <= kNarrowChannels && s.filterRows() <= kNarrowRows && s.n * s.oh * s.ow < INT32_MAX &&
         s.h * s.w * s.cin < INT32_MAX;
}

Lowering narrowForward(const ConvShape& s, bool halves, int64_t filterBytes, Epilogue epilogue,
                       const OwnEpilogue& own) {
  Lowering lowering;
  lowering.sharedScratch = epilogue.place(0);
  lowering.launch = [=](const StepArgs& args) {
    LaunchSize size = itemsOfConvolution(s.n * s.oh * ceilDiv(s.ow, kNarrowPixels) * ceilDiv(s.cout, 4));
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
  const int64_t parts = partsFor(s.n * s.oh * s.ow, kNarrowPartPixels, 1, 2);
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
    joinFilterParts(queue, partial, parts, count, args.out<float>());
  };
  return lowering;
}

}  // namespace

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
