#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/panels.h"
#include "cpu/kernel_table.h"
#include "ops/epilogue.h"
#include "ops/int8_scratch.h"
#include "ops/panels.h"
#include "ops/registry.h"
#include "ops/window.h"
#include "plan/conv_shape.h"

// A convolution with int8 weights [kh * kw * cin, cout]: every image is quantized by its largest magnitude, the windows
// of a few output rows are laid out as rows of bytes, and those are multiplied as in matmulInt8.

namespace chainrule::ops {
namespace {

std::vector<int64_t> windowSize(const Attrs& attrs) { return attrs.integers("window"); }

std::vector<ValueType> infer(const InferContext& c) {
  expectDType(c, 0, DType::f32);
  expectDType(c, 1, DType::i8);
  expectDType(c, 2, DType::f32);
  expectRank(c, 0, 4);
  expectRank(c, 1, 2);
  const Shape &x = c.in[0].shape, &w = c.in[1].shape, &scale = c.in[2].shape;
  const std::vector<int64_t> size = windowSize(c.attrs);
  const Window window = windowOf(c, size);
  const int64_t depth = size[0] * size[1] * x[3].value;
  if (w[0].value != depth || depth < 1 || depth > cpu::kInt8Depth || scale.size() != 1 || !(scale[0] == w[1])) {
    fail("SHAPE", "weights ", toString(w), " with scales ", toString(scale), " do not fit ", toString(x),
         ": a window of ", size[0], " x ", size[1], " has ", depth, " numbers (1 to ", cpu::kInt8Depth,
         " are possible)");
  }
  return {typeOf(DType::f32, {x[0], window.outputs(0, x[1]), window.outputs(1, x[2]), w[1]})};
}

// The window of output pixel (row, column) as kh * kw * cin bytes; those outside the image are `zero`.
void copyWindow(const ConvShape& s, const int8_t* image, int64_t row, int64_t column, int8_t zero, int8_t* out) {
  const int64_t left = column * s.strideW - s.padLeft, run = s.kw * s.cin;
  const bool inside = left >= 0 && left + s.kw <= s.w && s.dilationW == 1;
  for (int64_t ky = 0; ky < s.kh; ++ky, out += run) {
    const int64_t y = row * s.strideH - s.padTop + ky * s.dilationH;
    if (y < 0 || y >= s.h) {
      std::memset(out, zero, size_t(run));
    } else if (inside) {
      std::memcpy(out, image + (y * s.w + left) * s.cin, size_t(run));
    } else {
      for (int64_t kx = 0; kx < s.kw; ++kx) {
        const int64_t x = left + kx * s.dilationW;
        if (x < 0 || x >= s.w)
          std::memset(out + kx * s.cin, zero, size_t(s.cin));
        else
          std::memcpy(out + kx * s.cin, image + (y * s.w + x) * s.cin, size_t(s.cin));
      }
    }
  }
}

// Images in parts, where there are fewer of them than members. The maximum of all is the same however they are split.
constexpr int64_t kParts = 16;

void quantizeInParts(const cpu::KernelTable& k, const StepArgs& args, int64_t count, int64_t pixels, int64_t imageBytes,
                     int8_t* images, float* scales, float* maxima) {
  const Range mine = args.split(count * kParts);
  const auto begin = [&](int64_t part) { return pixels * part / kParts / 4 * 4; };
  const auto end = [&](int64_t part) { return part + 1 == kParts ? pixels : begin(part + 1); };
  const float* const x = args.in<float>(0);
  for (int64_t i = mine.begin; i < mine.end; ++i) {
    const int64_t image = i / kParts, part = i % kParts;
    maxima[i] = begin(part) < end(part) ? k.largestMagnitude(x + image * pixels, begin(part), end(part)) : 0.0f;
  }
  args.barrier();
  for (int64_t i = mine.begin; i < mine.end; ++i) {
    const int64_t image = i / kParts, part = i % kParts;
    const float* const of = maxima + image * kParts;
    float largest = 0;
    for (int64_t p = 0; p < kParts; ++p) largest = of[p] > largest || std::isnan(of[p]) ? of[p] : largest;
    const float scale =
        k.quantizePart(x + image * pixels, largest, images + image * imageBytes, begin(part), end(part));
    if (part == 0) scales[image] = scale;
  }
}

constexpr int64_t kPixels = 64;  // of a block of windows, at least: enough rows for the product to reuse its weights

Lowering lower(const LowerContext& c) {
  const auto size = windowSize(c.attrs());
  const ConvShape s =
      convShape(c.attrs(), c.in[0].dims, {size[0], size[1], c.in[0].dims[3], c.out[0].dims[3]}, c.out[0].dims);
  const int64_t depth = s.filterRows(), stride = panelRows(DType::i8, depth), panels = cpu::panelCount(s.cout);
  const int64_t pixels = s.h * s.w * s.cin, imageBytes = panelRows(DType::i8, pixels), rowSize = s.ow * s.cout;
  const bool packed = c.in[1].layout == Layout::panel16;
  const int64_t blockRows = std::min(s.oh, (kPixels + s.ow - 1) / std::max<int64_t>(1, s.ow));
  const Int8Scratch scratch(s.n, pixels, packed ? 0 : size_t(panelSize(DType::i8, depth, s.cout)));
  // Of a member: windows as rows and the scale of their image for each.
  const Int8Scratch own(blockRows * s.ow, depth, 0);
  const Epilogue epilogue = lowerEpilogue(c, 3);
  const bool inside = epilogue.begins();
  // What the kernels write for 0, which is what lies around an image.
  const float nothing = 0;
  float unused;
  int8_t zero[4];
  c.kernels.quantizeRows(&nothing, 1, zero, &unused, 0, 1);

  const auto launch = [=, &k = c.kernels, zero = zero[0]](const StepArgs& args) {
    int8_t* images = reinterpret_cast<int8_t*>(args.shared);
    float* scales = reinterpret_cast<float*>(args.shared + scratch.scales);
    if (s.n < args.members) {
      quantizeInParts(k, args, s.n, pixels, imageBytes, images, scales,
                      reinterpret_cast<float*>(args.shared + scratch.end));
    } else {
      const Range mine = args.split(s.n);
      k.quantizeRows(args.in<float>(0), pixels, images, scales, mine.begin, mine.end);
    }
    const int8_t* weights = args.in<int8_t>(1);
    if (!packed) {
      int8_t* made = reinterpret_cast<int8_t*>(args.shared + scratch.weights);
      packInt8(weights, {depth, s.cout}, made, args.split(panels));
      weights = made;
    }
    args.barrier();
    int8_t* windows = reinterpret_cast<int8_t*>(args.own);
    float* rowScales = reinterpret_cast<float*>(args.own + own.scales);
    cpu::Int8Gemm gemm{.n = s.cout, .k = depth, .a = windows, .aScale = rowScales, .b = weights};
    gemm.bScale = args.in<float>(2);
    gemm.cRow = s.cout;
    if (inside) gemm.bias = args.in<float>(epilogue.biasInput), gemm.activation = epilogue.activation;
    const Range rows = args.split(s.n * s.oh);
    for (int64_t row = rows.begin; row < rows.end;) {
      const int64_t image = row / s.oh, first = row % s.oh;
      const int64_t end = std::min({row + blockRows, rows.end, (image + 1) * s.oh});
      gemm.m = (end - row) * s.ow;
      std::fill_n(rowScales, gemm.m, scales[image]);
      for (int64_t i = 0; i < gemm.m; ++i)
        copyWindow(s, images + image * imageBytes, first + i / s.ow, i % s.ow, zero, windows + i * stride);
      gemm.c = args.out<float>() + row * rowSize;
      k.gemmInt8(gemm, 0, gemm.m, 0, panels);
      if (epilogue.remains(inside))
        epilogue.apply(args, args.out<float>(), inside, row * rowSize, end * rowSize, args.own + own.end);
      row = end;
    }
  };
  const double products = double(s.n * s.oh * s.ow * s.cout) * double(depth);
  return {.launch = launch,
          .cost = products * 0.008 + epilogue.cost,
          .sharedScratch = scratch.end + size_t(s.n * kParts * 4),
          .memberScratch = own.end + epilogue.scratch,
          .flop = 2 * products};
}

bool always(const Graph&, const Node&) { return true; }

const OpDef table[] = {{.name = "conv2dInt8",
                        .minInputs = 3,
                        .maxInputs = 3 + kEpilogueInputs,
                        .infer = infer,
                        .lower = lower,
                        .takesEpilogue = always,
                        .takesPanel = always,
                        .panelInput = 1}};

}  // namespace

std::span<const OpDef> convInt8Ops() { return table; }

}  // namespace chainrule::ops
