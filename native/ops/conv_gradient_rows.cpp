#include "ops/conv_gradient_rows.h"

#include <cstring>

#include "cpu/conv_rows.h"
#include "cpu/kernel_table.h"
#include "cpu/split.h"
#include "ops/chunks.h"
#include "ops/conv_groups.h"
#include "ops/conv_shape.h"

namespace chainrule::ops {
namespace {

constexpr int64_t kFilter = 32 << 10;  // weights that stay in L2 beside the rows
constexpr int64_t kRow = 32 << 10;     // floats of a row, several of which stay there

bool isImage(const ValueType& type) {
  return type.dtype == DType::f32 && type.layout == Layout::rowMajor && type.shape.size() == 4 &&
         !type.shape[1].perBatch && !type.shape[2].perBatch && !type.shape[3].perBatch;
}

RowRole roleOf(const Graph& graph, const Node& node, ValueId x, ValueId filter, ValueId y, RowRole role) {
  const ValueType &image = graph.type(x), &weights = graph.type(filter), &result = graph.type(y);
  if (!isImage(image) || !isImage(result) || weights.dtype != DType::f32 || weights.shape.size() != 4)
    return RowRole::none;
  const auto dims = [](const Shape& shape) { return concrete(shape, 1); };
  const ConvShape shape = convShape(node.attrs, dims(image.shape), dims(weights.shape), dims(result.shape));
  const bool fits = convKind(shape) == ConvKind::depthwise || cpu::convIsPointwise(shape);
  return fits && shape.filterRows() * shape.cout <= kFilter && shape.w * shape.cin <= kRow &&
                 shape.ow * shape.cout <= kRow
             ? role
             : RowRole::none;
}

}  // namespace

RowRole roleOfConv(const Graph& graph, const Node& node) {
  return roleOf(graph, node, node.inputs[0], node.inputs[1], node.first, RowRole::rows);
}
RowRole roleOfConvInput(const Graph& graph, const Node& node) {
  return roleOf(graph, node, node.first, node.inputs[1], node.inputs[0], RowRole::rows);
}
RowRole roleOfConvFilter(const Graph& graph, const Node& node) {
  return roleOf(graph, node, node.inputs[0], node.first, node.inputs[1], RowRole::sums);
}

RowStage convInputRowStage(const LowerContext& c) {
  const ConvShape s = convShape(c.attrs(), c.out[0].dims, c.in[1].dims, c.in[0].dims);
  const bool depthwise = convKind(s) == ConvKind::depthwise, panels = c.in[1].layout == Layout::panel16;
  const int64_t allPanels = cpu::panelCount(s.cin);
  RowStage stage;
  stage.rowSize = s.w * s.cin;
  stage.cost = flopOf(s) * 0.015;
  stage.flop = flopOf(s);
  stage.source = [=](int, Range rows) -> Range {
    const int64_t first = rows.begin + s.padTop - (s.kh - 1) * s.dilationH + s.strideH - 1;
    return {std::max<int64_t>(0, cpu::floorDiv(first, s.strideH)),
            std::min(s.oh, cpu::floorDiv(rows.end - 1 + s.padTop, s.strideH) + 1)};
  };
  if (depthwise) {
    stage.run = [=, &k = c.kernels](const StepArgs& args, const void*, Range rows, std::byte*) {
      k.depthwiseBackwardData(s, args.in<float>(0), args.in<float>(1), args.out<float>(), rows.begin, rows.end);
    };
    return stage;
  }
  stage.sharedBytes = size_t(allPanels * s.cout * 64);
  stage.ownBytes = size_t(cpu::convScratchBytes(s));
  stage.prepare = [=, &k = c.kernels](const StepArgs& args, std::byte* shared) -> const void* {
    float* transposed = reinterpret_cast<float*>(shared);
    const Range packs = args.split(allPanels);
    if (!packs.empty()) k.convPackTransposed(s, args.in<float>(1), panels, transposed, packs.begin, packs.end);
    args.barrier();
    return transposed;
  };
  stage.run = [=, &k = c.kernels](const StepArgs& args, const void* transposed, Range rows, std::byte* own) {
    k.convBackwardData(s, args.in<float>(0), static_cast<const float*>(transposed), args.out<float>(), rows.begin,
                       rows.end, 0, allPanels, own);
  };
  return stage;
}

namespace {

// dW of a pointwise convolution += x^T dy, over spans of pixels whose packed dy stays in L1.
struct PointwiseFilter {
  static constexpr int64_t kSpan = 256;
  const cpu::KernelTable* kernels;
  ConvShape shape;
  bool panel;   // the layout of dW
  bool direct;  // dy is used where it lies
  size_t packedBytes = 0;

  PointwiseFilter(const LowerContext& c, const ConvShape& s)
      : kernels(&c.kernels), shape(s), panel(c.out[0].layout == Layout::panel16), direct(s.cout % cpu::kPanel == 0) {
    if (!direct) packedBytes = size_t(cpu::panelCount(s.cout) * kSpan * 64);
  }
  cpu::Gemm product(int64_t pixels) const {
    cpu::Gemm g{.m = shape.cin, .n = shape.cout, .k = pixels, .aRow = 1, .aCol = shape.cin};
    g.bRow = direct ? shape.cout : cpu::kPanel;
    g.bPanel = direct ? cpu::kPanel : pixels * cpu::kPanel;
    g.cRow = panel ? cpu::kPanel : shape.cout;
    g.cPanel = panel ? shape.cin * cpu::kPanel : cpu::kPanel;
    g.cPadded = panel;
    return g;
  }
  void add(const float* x, const float* dy, int64_t pixels, float* sums, bool accumulate, std::byte* own) const {
    const int64_t panels = cpu::panelCount(shape.cout);
    for (int64_t p = 0; p < pixels; p += kSpan, accumulate = true) {
      cpu::Gemm g = product(std::min(kSpan, pixels - p));
      g.a = x + p * shape.cin, g.b = dy + p * shape.cout, g.c = sums, g.accumulate = accumulate;
      if (!direct) {
        float* packed = reinterpret_cast<float*>(own);
        kernels->packB(g.b, shape.cout, 1, g.k, g.n, packed, 0, panels);
        g.b = packed;
      }
      kernels->gemm(g, 0, g.m, 0, panels, own + packedBytes);
    }
  }
};

}  // namespace

RowStage convFilterRowStage(const LowerContext& c) {
  const ConvShape s = convShape(c.attrs(), c.in[0].dims, c.out[0].dims, c.in[1].dims);
  const int64_t size = c.out[0].physicalCount();
  RowStage stage;
  stage.cost = flopOf(s) * 0.015;
  stage.flop = flopOf(s);
  stage.source = [=](int input, Range rows) { return input == 0 ? rowsUnder(s, rows) : rows; };
  stage.sumFloats = size;
  stage.total = [=, &k = c.kernels](const StepArgs& args, const RowSums& chunks) {
    addChunks(args, k, chunks.sums, chunks.chunks, size, args.out<float>());
  };
  if (convKind(s) == ConvKind::depthwise) {
    stage.add = [=, &k = c.kernels](const StepArgs& args, Range rows, float* sums, int64_t before, std::byte*) {
      if (before == 0) std::memset(sums, 0, size_t(size) * sizeof(float));
      k.depthwiseBackwardFilter(s, args.in<float>(0), args.in<float>(1), sums, rows.begin, rows.end);
    };
    return stage;
  }
  const PointwiseFilter filter(c, s);
  stage.ownBytes = filter.packedBytes + size_t(cpu::gemmScratchBytes(filter.product(PointwiseFilter::kSpan)));
  stage.add = [=](const StepArgs& args, Range rows, float* sums, int64_t before, std::byte* own) {
    const int64_t first = rows.begin * s.w, pixels = (rows.end - rows.begin) * s.w;
    filter.add(args.in<float>(0) + first * s.cin, args.in<float>(1) + first * s.cout, pixels, sums, before > 0, own);
  };
  return stage;
}

}  // namespace chainrule::ops
