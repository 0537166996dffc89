#include <algorithm>
#include <initializer_list>

#include "cuda/autotune/autotune.h"
#include "cuda/kernels/conv_join.cuh"
#include "cuda/kernels/conv_narrow.cuh"
#include "cuda/kernels/depthwise.cuh"
#include "cuda/ops/conv_library.h"
#include "cuda/ops/product.h"
#include "cuda/ops/sizes.h"
#include "plan/conv_shape.h"

// The three passes of a convolution as products whose A is made of windows; groups are the products of a batch.

namespace chainrule::cuda {
namespace {

constexpr int kGroups = kGemmBatchRank - 1;  // axis of the batch
constexpr int64_t kMostBlocks = 132 * 16;
constexpr int64_t kNarrowSharedBytes = 48 << 10;  // of a filter
constexpr int64_t kNarrowPartPixels = 128;

Gemm grouped(const ConvShape& s, int64_t a, int64_t b, int64_t c) {
  Gemm gemm;
  gemm.batchDims[kGroups] = gemm.batchCount = s.groups;
  gemm.a.batch[kGroups] = a;
  gemm.b.batch[kGroups] = b;
  gemm.cBatch[kGroups] = c;
  return gemm;
}

// Windows of the input, one for each output pixel.
GemmWindow inputWindow(const ConvShape& s) {
  GemmWindow w;
  w.gridHeight = int32_t(s.oh);
  w.gridWidth = int32_t(s.ow);
  w.channels = int32_t(s.groupIn());
  w.height = int32_t(s.h);
  w.width = int32_t(s.w);
  w.image = s.h * s.w * s.cin;
  w.row = s.w * s.cin;
  w.pixel = s.cin;
  const int64_t taps[2] = {s.kh, s.kw}, step[2] = {s.strideH, s.strideW}, pad[2] = {s.padTop, s.padLeft},
                dilation[2] = {s.dilationH, s.dilationW};
  for (int axis : {0, 1}) {
    w.taps[axis] = int32_t(taps[axis]);
    w.step[axis] = int32_t(step[axis]);
    w.add[axis] = int32_t(-pad[axis]);
    w.tap[axis] = int32_t(dilation[axis]);
  }
  return w;
}

// Windows of the output's gradient, one for each input pixel: the outputs that it went into.
GemmWindow outputWindow(const ConvShape& s) {
  GemmWindow w = inputWindow(s);
  w.gridHeight = int32_t(s.h);
  w.gridWidth = int32_t(s.w);
  w.channels = int32_t(s.groupOut());
  w.height = int32_t(s.oh);
  w.width = int32_t(s.ow);
  w.image = s.oh * s.ow * s.cout;
  w.row = s.ow * s.cout;
  w.pixel = s.cout;
  for (int axis : {0, 1}) {
    w.divide[axis] = w.step[axis];
    w.step[axis] = 1;
    w.add[axis] = -w.add[axis];
    w.tap[axis] = -w.tap[axis];
  }
  return w;
}

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

// The product of the two operands, A being windows of the first.
Lowering lowerWindows(const LowerContext& c, const ConvShape& s, const Gemm& gemm, const GemmPlan& plan,
                      Epilogue epilogue, const OwnEpilogue& own) {
  Lowering lowering;
  lowering.flop = flopOf(s);
  lowering.sharedScratch = epilogue.place(size_t(plan.scratchBytes));
  lowering.launch = [=, factors = factorsOf(c)](const StepArgs& args) {
    Gemm now = gemm;
    now.a.data = args.in<void>(0);
    now.b.data = args.in<void>(1);
    now.c = epilogue.result(args);
    now.bias = own.bias(args);
    runGemm(queueOf(args), now, plan, args.shared, factors, true);
    epilogue.run(args);
  };
  return lowering;
}

// Windows of one pixel, one after the other, are a matrix as it lies.
bool isPointwise(const ConvShape& s) {
  return s.kh * s.kw == 1 && s.strideH == 1 && s.strideW == 1 && s.groups == 1 && s.oh == s.h && s.ow == s.w &&
         s.padTop == 0 && s.padLeft == 0;
}

// For a file of choices: what is convolved, and how.
std::string keyOf(const LowerContext& c, const ConvShape& s, ConvolutionPass pass, const OwnEpilogue& own) {
  const auto text = [](std::initializer_list<int64_t> sizes, char between) {
    std::string joined;
    for (const int64_t size : sizes) joined += (joined.empty() ? "" : std::string(1, between)) + std::to_string(size);
    return joined;
  };
  static constexpr const char* names[] = {"convolution ", "convolution's input ", "convolution's filter "};
  return names[int(pass)] + nameOf(factorsOf(c)) + " " + text({s.n, s.h, s.w, s.cin}, 'x') + " by " +
         text({s.kh, s.kw, s.groupIn(), s.cout}, 'x') + " is " + text({s.n, s.oh, s.ow, s.cout}, 'x') + ", strides " +
         text({s.strideH, s.strideW}, ' ') + ", dilations " + text({s.dilationH, s.dilationW}, ' ') + ", padding " +
         text({s.padTop, s.padLeft}, ' ') + ", groups " + text({s.groups}, ' ') + nameOf(own);
}

Lowering lowerPass(const LowerContext& c, const ConvShape& s, ConvolutionPass pass, Gemm gemm, Epilogue epilogue = {}) {
  if (isPointwise(s)) {
    Gemm product{.m = gemm.m, .n = gemm.n, .k = gemm.k, .cRow = gemm.n};
    const bool transposed = pass == ConvolutionPass::filter;
    product.a = rowsOperand(transposed ? gemm.m : gemm.k, transposed);
    product.b = columnsOperand(s.cout, pass == ConvolutionPass::input);
    return lowerProduct(c, product, epilogue);
  }
  const OwnEpilogue own = epilogue.take();
  gemm = withEpilogue(gemm, own);
  const DnnDevice* const cudnn = cudnnOf(c);
  const auto here = [&](const GemmPlan& plan) { return lowerWindows(c, s, gemm, plan, epilogue, own); };
  const auto byCudnn = [&](Refusal refusal) {
    return lowerByCudnn(c, *cudnn, s, pass, epilogue, own, here(planGemm(gemm)), refusal);
  };
  const auto byRule = [&] {
    std::optional<Lowering> lowering;
    if (cudnn && CudnnConvolution::pays(*cudnn, s)) lowering = byCudnn(Refusal::here);
    return lowering ? *lowering : here(planGemm(gemm));
  };
  if (c.autotune.empty()) return byRule();
  static constexpr const char* kCudnn = "cuDNN";
  const auto names = [&] {
    std::vector<std::string> names = tileNames(c, gemm, true);
    if (cudnn) names.push_back(kCudnn);
    return names;
  };
  const auto make = [&](std::string_view name) -> std::optional<Lowering> {
    if (const auto plan = planNamed(name, c, gemm, true)) return here(*plan);
    return cudnn && name == kCudnn ? byCudnn(Refusal::fails) : std::nullopt;
  };
  const std::string library = cudnn ? "cuDNN " + cudnn->library.version : "no cuDNN";
  return lowerFastest(c, {keyOf(c, s, pass, own), library, names, make, byRule});
}

Lowering lowerForward(const LowerContext& c) {
  const ConvShape s = convShape(c.attrs(), c.in[0].dims, c.in[1].dims, c.out[0].dims);
  Lowering lowering;
  lowering.flop = flopOf(s);
  Epilogue epilogue(c, 2);
  if (isDepthwise(s)) {  // of floats only
    const OwnEpilogue own = epilogue.take();
    lowering.launch = [=](const StepArgs& args) {
      queueOf(args).launch(KERNEL(depthwiseForward), elements(s.n * s.oh * s.ow * s.cout), s, args.in<float>(0),
                           args.in<float>(1), static_cast<const float*>(own.bias(args)), own.relu, args.out<float>());
      epilogue.run(args);
    };
    return lowering;
  }
  const int64_t filterBytes = s.filterRows() * ((s.cout + 3) / 4) * int64_t(sizeof(Four));
  if (isNarrow(s) && filterBytes <= kNarrowSharedBytes) {
    const OwnEpilogue own = epilogue.take();
    lowering.sharedScratch = epilogue.place(0);
    lowering.launch = [=, halves = factorsOf(c) == Factors::bf16](const StepArgs& args) {
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
  Gemm gemm = grouped(s, s.groupIn(), s.groupOut(), s.groupOut());
  gemm.m = s.n * s.oh * s.ow;
  gemm.n = s.groupOut();
  gemm.k = s.filterRows();
  gemm.window = inputWindow(s);
  gemm.b.x = 1;
  gemm.b.inner = gemm.cRow = s.cout;
  gemm.biasBatch = s.groupOut();
  return lowerPass(c, s, ConvolutionPass::forward, gemm, epilogue);
}

// Operands: the gradient of the output, the filter.
Lowering lowerInput(const LowerContext& c) {
  const ConvShape s = convShape(c.attrs(), c.out[0].dims, c.in[1].dims, c.in[0].dims);
  Lowering lowering;
  lowering.flop = flopOf(s);
  if (isDepthwise(s)) {
    lowering.launch = [=](const StepArgs& args) {
      queueOf(args).launch(KERNEL(depthwiseInput), elements(s.n * s.h * s.w * s.cin), s, args.in<float>(0),
                           args.in<float>(1), args.out<float>());
    };
    return lowering;
  }
  Gemm gemm = grouped(s, s.groupOut(), s.groupOut(), s.groupIn());
  gemm.m = s.n * s.h * s.w;
  gemm.n = s.groupIn();
  gemm.k = s.kh * s.kw * s.groupOut();
  gemm.window = outputWindow(s);
  gemm.b.x = s.cout;
  if (s.groupOut() > 1) {
    gemm.b.inner = 1;
    gemm.b.innerCount = s.groupOut();
    gemm.b.outer = s.groupIn() * s.cout;
  } else {
    gemm.b.inner = s.groupIn() * s.cout;
  }
  gemm.cRow = s.cin;
  return lowerPass(c, s, ConvolutionPass::input, gemm);
}

// Operands: the input, the gradient of the output.
Lowering lowerFilter(const LowerContext& c) {
  const ConvShape s = convShape(c.attrs(), c.in[0].dims, c.out[0].dims, c.in[1].dims);
  Lowering lowering;
  lowering.flop = flopOf(s);
  if (isDepthwise(s)) {
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
  if (isNarrow(s)) {
    const int64_t rows = s.filterRows(), count = rows * s.cout;
    const int64_t parts = std::clamp<int64_t>(s.n * s.oh * s.ow / kNarrowPartPixels, 1, 2 * kMultiprocessors);
    lowering.sharedScratch = size_t(parts * count * 4);
    lowering.launch = [=, halves = factorsOf(c) == Factors::bf16](const StepArgs& args) {
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
        queue.launch(KERNEL(convNarrowFilterFloat), size, s, args.in<float>(0), args.in<float>(1), parts, wide,
                     partial);
      }
      join(queue, partial, parts, count, args.out<float>());
    };
    return lowering;
  }
  Gemm gemm = grouped(s, s.groupIn(), s.groupOut(), s.groupOut());
  gemm.m = s.filterRows();
  gemm.n = s.groupOut();
  gemm.k = s.n * s.oh * s.ow;
  gemm.window = inputWindow(s);
  gemm.window.rowsAreTaps = true;
  gemm.b.x = 1;
  gemm.b.inner = gemm.cRow = s.cout;
  return lowerPass(c, s, ConvolutionPass::filter, gemm);
}

constexpr Launcher table[] = {{"conv2d", lowerForward}, {"conv2dInput", lowerInput}, {"conv2dFilter", lowerFilter}};

}  // namespace

Launchers convLaunchers() { return table; }

}  // namespace chainrule::cuda
