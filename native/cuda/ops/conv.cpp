#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "cuda/autotune/autotune.h"
#include "cuda/ops/conv_library.h"
#include "cuda/ops/conv_narrow.h"
#include "cuda/ops/depthwise.h"
#include "cuda/ops/product.h"
#include "plan/conv_shape.h"

// The three passes of a convolution: as products whose A is made of windows, groups being the products of a batch, or
// in one of the other ways there are for some shapes.

namespace chainrule::cuda {
namespace {

constexpr int kGroups = kGemmBatchRank - 1;  // axis of the batch

Gemm grouped(const ConvShape& s, int64_t a, int64_t b, int64_t c) {
  Gemm gemm;
  gemm.batchDims[kGroups] = gemm.batchCount = s.groups;
  gemm.a.batch[kGroups] = a;
  gemm.b.batch[kGroups] = b;
  gemm.cBatch[kGroups] = c;
  return gemm;
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

Lowering lowerPass(const LowerContext& c, const ConvShape& s, ConvolutionPass pass, Gemm gemm,
                   const Epilogue& whole = {}) {
  Epilogue epilogue = whole;
  const OwnEpilogue own = epilogue.take();
  const std::optional<Lowering> narrow = lowerNarrow(c, s, pass, epilogue, own);
  if (!narrow && isPointwise(s)) {
    Gemm product{.m = gemm.m, .n = gemm.n, .k = gemm.k, .cRow = gemm.n};
    const bool transposed = pass == ConvolutionPass::filter;
    product.a = rowsOperand(transposed ? gemm.m : gemm.k, transposed);
    product.b = columnsOperand(s.cout, pass == ConvolutionPass::input);
    return lowerProduct(c, product, whole);
  }
  if (narrow && c.autotune.empty()) return *narrow;  // without looking for a library
  gemm = withEpilogue(gemm, own);
  const DnnDevice* const cudnn = cudnnOf(c);
  const auto here = [&](const GemmPlan& plan) { return lowerWindows(c, s, gemm, plan, epilogue, own); };
  const auto byCudnn = [&](Refusal refusal) {
    return lowerByCudnn(c, *cudnn, s, pass, epilogue, own, here(planGemm(gemm)), refusal);
  };
  const auto byRule = [&] {
    std::optional<Lowering> lowering = narrow;
    if (!lowering && cudnn && CudnnConvolution::pays(*cudnn, s)) lowering = byCudnn(Refusal::here);
    return lowering ? *lowering : here(planGemm(gemm));
  };
  if (c.autotune.empty()) return byRule();
  static constexpr const char *kNarrow = "few channels", *kCudnn = "cuDNN";
  const auto names = [&] {
    std::vector<std::string> names = tileNames(c, gemm, true);
    if (narrow) names.push_back(kNarrow);
    if (cudnn) names.push_back(kCudnn);
    return names;
  };
  const auto make = [&](std::string_view name) -> std::optional<Lowering> {
    if (const auto plan = planNamed(name, c, gemm, true)) return here(*plan);
    if (name == kNarrow) return narrow;
    return cudnn && name == kCudnn ? byCudnn(Refusal::fails) : std::nullopt;
  };
  const std::string library = cudnn ? "cuDNN " + cudnn->library.version : "no cuDNN";
  return lowerFastest(c, {keyOf(c, s, pass, own), library, names, make, byRule});
}

Lowering lowerForward(const LowerContext& c) {
  const ConvShape s = convShape(c.attrs(), c.in[0].dims, c.in[1].dims, c.out[0].dims);
  const Epilogue epilogue(c, 2);
  if (isDepthwise(s)) return lowerDepthwise(s, epilogue);
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
  if (isDepthwise(s)) return lowerDepthwiseInput(s);
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
  if (isDepthwise(s)) return lowerDepthwiseFilter(s);
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
