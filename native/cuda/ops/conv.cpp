#include <algorithm>

#include "cuda/kernels/conv_narrow.cuh"
#include "cuda/ops/conv_library.h"
#include "cuda/ops/depthwise.h"
#include "cuda/ops/product.h"
#include "cuda/ops/sizes.h"
#include "plan/conv_shape.h"

// The three passes of a convolution as products whose A is made of windows; groups are the products of a batch.

namespace chainrule::cuda {
namespace {

constexpr int kGroups = kGemmBatchRank - 1;       // axis of the batch
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

// Images of so few channels that the sums are short.
bool isNarrow(const ConvShape& s) {
  return s.groups == 1 && s.cin <= kNarrowChannels && s.filterRows() <= kNarrowRows && s.n * s.oh * s.ow < INT32_MAX &&
         s.h * s.w * s.cin < INT32_MAX;
}

// The product of the two operands, A being windows of the first.
Lowering lowerWindows(const LowerContext& c, const ConvShape& s, Gemm gemm, Epilogue epilogue, const OwnEpilogue& own) {
  Lowering lowering;
  lowering.flop = flopOf(s);
  lowering.sharedScratch = epilogue.place(size_t(planGemm(gemm)));
  lowering.launch = [=, factors = factorsOf(c)](const StepArgs& args) {
    Gemm now = gemm;
    now.a.data = args.in<void>(0);
    now.b.data = args.in<void>(1);
    now.c = epilogue.result(args);
    now.bias = own.bias(args);
    runGemm(queueOf(args), now, args.shared, factors, true);
    epilogue.run(args);
  };
  return lowering;
}

// Windows of one pixel, one after the other, are a matrix as it lies.
bool isPointwise(const ConvShape& s) {
  return s.kh * s.kw == 1 && s.strideH == 1 && s.strideW == 1 && s.groups == 1 && s.oh == s.h && s.ow == s.w &&
         s.padTop == 0 && s.padLeft == 0;
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
  return lowerByCudnn(c, s, pass, epilogue, own, lowerWindows(c, s, withEpilogue(gemm, own), epilogue, own));
}

Lowering lowerForward(const LowerContext& c) {
  const ConvShape s = convShape(c.attrs(), c.in[0].dims, c.in[1].dims, c.out[0].dims);
  Lowering lowering;
  lowering.flop = flopOf(s);
  Epilogue epilogue(c, 2);
  if (isDepthwise(s)) return lowerDepthwise(c, s, epilogue);
  const int64_t filterBytes = s.filterRows() * ((s.cout + 3) / 4) * int64_t(sizeof(Four));
  if (isNarrow(s) && filterBytes <= kNarrowSharedBytes) {
    const OwnEpilogue own = epilogue.take();
    lowering.sharedScratch = epilogue.place(0);
    lowering.launch = [=, halves = factorsOf(c) == Factors::bf16](const StepArgs& args) {
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
  if (isDepthwise(s)) return lowerDepthwiseInput(c, s);
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
  if (isDepthwise(s)) return lowerDepthwiseFilter(c, s);
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
      joinFilterParts(queue, partial, parts, count, args.out<float>());
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
