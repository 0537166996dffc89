#include <cstring>

#include "cpu/kernel_table.h"
#include "cpu/split.h"
#include "ops/chunks.h"
#include "ops/conv_forward.h"
#include "ops/conv_gradient_rows.h"
#include "ops/panels.h"
#include "ops/registry.h"

// conv2d over NHWC with a filter [kh, kw, cin / groups, cout], and its two gradients as ops of their own; the three are
// each other's derivatives.

namespace chainrule::ops {
namespace {

Window windowOfFilter(const InferContext& c) {
  const Shape& filter = c.in[1].shape;
  return windowOf(c, {filter[0].value, filter[1].value});
}

std::vector<ValueType> infer(const InferContext& c) {
  expectFactor(c, 0);
  if (c.in[1].dtype != DType::bf16) expectFactor(c, 1);
  expectRank(c, 0, 4);
  expectRank(c, 1, 4);
  const Shape &x = c.in[0].shape, &w = c.in[1].shape;
  const int64_t groups = c.attrs.integer("groups", 1);
  if (groups < 1 || x[3].value != w[2].value * groups || w[3].value % groups != 0) {
    fail("SHAPE", "filter ", toString(w), " with ", groups, " groups does not fit ", toString(x), ": it needs ",
         w[2].value * groups, " input channels and filters that divide into the groups");
  }
  const Window window = windowOfFilter(c);
  return {typeOf(productDType(c.attrs), {x[0], window.outputs(0, x[1]), window.outputs(1, x[2]), w[3]})};
}

std::vector<ValueType> inferShape(const InferContext& c) {
  const Layout layout = c.attrs.integer("outPanel", 0) ? Layout::panel16 : Layout::rowMajor;
  return {{DType::f32, shapeAttr(c.attrs, "shape"), layout}};
}

// The input of a convolution from its outputs (a transposed convolution): the declared shape must give those outputs.
std::vector<ValueType> inferInput(const InferContext& c) {
  expectFactor(c, 0);
  expectFactor(c, 1);
  expectRank(c, 0, 4);
  expectRank(c, 1, 4);
  const Shape x = shapeAttr(c.attrs, "shape"), &y = c.in[0].shape, &w = c.in[1].shape;
  const int64_t groups = c.attrs.integer("groups", 1);
  if (x.size() != 4 || groups < 1 || !(x[0] == y[0]) || !(y[3] == w[3]) || x[3].value != w[2].value * groups) {
    fail("SHAPE", "filter ", toString(w), " with ", groups, " groups does not take ", toString(y), " to ", toString(x));
  }
  const Window window = windowOfFilter(c);
  if (!(window.outputs(0, x[1]) == y[1]) || !(window.outputs(1, x[2]) == y[2]))
    fail("SHAPE", "a convolution of ", toString(x), " does not give ", toString(y));
  return {typeOf(DType::f32, x)};
}

Attrs withShape(Attrs attributes, Expr like) {
  attributes.set("shape", encoded(like.shape()));
  return attributes;
}

std::vector<ValueId> gradient(GradientContext& c) {
  return {apply("conv2dInput", {c.grad(), c.in(1)}, withShape(c.attrs(), c.in(0))).id,
          apply("conv2dFilter", {c.in(0), c.grad()}, withShape(c.attrs(), c.in(1))).id};
}
std::vector<ValueId> gradientOfInput(GradientContext& c) {
  return {apply("conv2d", {c.grad(), c.in(1)}, c.attrs()).id,
          apply("conv2dFilter", {c.grad(), c.in(0)}, withShape(c.attrs(), c.in(1))).id};
}
std::vector<ValueId> gradientOfFilter(GradientContext& c) {
  return {apply("conv2dInput", {c.in(1), c.grad()}, withShape(c.attrs(), c.in(0))).id,
          apply("conv2d", {c.in(0), c.grad()}, c.attrs()).id};
}

double costOf(const ConvShape& s) { return flopOf(s) * 0.015; }

Lowering lowerForward(const LowerContext& c) {
  const ConvForward conv = lowerConvForward(c, c.out[0].dims);
  // Output rows of a block that stays in L2 until the epilogue has run over it.
  const int64_t blockRows = std::max<int64_t>(1, (1 << 15) / std::max<int64_t>(1, conv.rowSize));
  const auto launch = [=](const StepArgs& args) {
    const float* filter = conv.filter(args, args.shared);
    float* y = args.out<float>();
    const auto [own, panels] = gridPart(args, conv.rows(), conv.panels);
    if (!conv.finishes()) return conv.run(args, filter, y, own, panels, args.own);
    if (panels.end - panels.begin < conv.panels) {
      conv.run(args, filter, y, own, panels, args.own);
      args.barrier();
      return conv.finish(args, y, args.split(conv.rows() * conv.rowSize, 512), args.own);
    }
    for (int64_t row = own.begin; row < own.end; row += blockRows)
      conv.runAll(args, filter, y, {row, std::min(row + blockRows, own.end)}, args.own);
  };
  return {.launch = launch,
          .cost = conv.cost(),
          .sharedScratch = conv.filterBytes,
          .memberScratch = conv.scratchBytes,
          .flop = conv.flop()};
}

Lowering lowerSmallInput(const LowerContext& c, const ConvShape& shape) {
  const int64_t rows = shape.n * shape.h;
  const bool depthwise = convKind(shape) == ConvKind::depthwise;
  const SmallGroups groups = depthwise ? SmallGroups() : SmallGroups(shape);
  const auto launch = [=, &k = c.kernels](const StepArgs& args) {
    const float* filter = args.in<float>(1);
    if (!depthwise && groups.filterBytes() > 0) {
      float* arranged = reinterpret_cast<float*>(args.shared);
      groups.arrangeForInput(filter, arranged, args.split(shape.kh));
      args.barrier();
      filter = arranged;
    }
    const Range part = args.split(rows);
    if (part.empty()) return;
    if (depthwise)
      k.depthwiseBackwardData(shape, args.in<float>(0), filter, args.out<float>(), part.begin, part.end);
    else
      groups.backwardData(k, args.in<float>(0), filter, args.out<float>(), part, args.own);
  };
  return {.launch = launch,
          .cost = costOf(shape),
          .sharedScratch = depthwise ? 0 : groups.filterBytes(),
          .memberScratch = depthwise ? 0 : groups.inputScratchBytes(),
          .flop = flopOf(shape)};
}

// In chunks of rows, each with sums of its own.
Lowering lowerSmallFilter(const LowerContext& c, const ConvShape& shape) {
  const int64_t rows = shape.n * shape.oh, size = c.out[0].count(), chunks = cpu::depthwiseFilterChunks(shape);
  const bool depthwise = convKind(shape) == ConvKind::depthwise;
  const SmallGroups groups = depthwise ? SmallGroups() : SmallGroups(shape);
  const bool arranged = !depthwise && groups.filterBytes() > 0, apart = arranged || chunks > 1;
  const auto launch = [=, &k = c.kernels](const StepArgs& args) {
    float* const sums = apart ? reinterpret_cast<float*>(args.shared) : args.out<float>();
    const Range part = args.split(chunks);
    for (int64_t chunk = part.begin; chunk < part.end; ++chunk) {
      float* const own = sums + chunk * size;
      std::memset(own, 0, size_t(size) * 4);
      const Range range{rows * chunk / chunks, rows * (chunk + 1) / chunks};
      if (depthwise)
        k.depthwiseBackwardFilter(shape, args.in<float>(0), args.in<float>(1), own, range.begin, range.end);
      else
        groups.backwardFilter(k, args.in<float>(0), args.in<float>(1), own, range, args.own);
    }
    float* const total = arranged && chunks > 1 ? sums + chunks * size : sums;
    if (chunks > 1) addChunks(args, k, sums, chunks, size, arranged ? total : args.out<float>());
    if (!arranged) return;
    args.barrier();
    groups.restore(total, args.out<float>(), args.split(shape.kh));
  };
  const int64_t copies = apart ? chunks + (arranged && chunks > 1) : 0;
  return {.launch = launch,
          .cost = costOf(shape),
          .sharedScratch = size_t(copies * size * 4),
          .memberScratch = depthwise ? 0 : groups.scratchBytes(),
          .flop = flopOf(shape)};
}

Lowering lowerInput(const LowerContext& c) {
  const ConvShape shape = convShape(c.attrs(), c.out[0].dims, c.in[1].dims, c.in[0].dims);
  const int64_t rows = shape.n * shape.h;
  if (convKind(shape) != ConvKind::panels) return lowerSmallInput(c, shape);
  const bool panels = c.in[1].layout == Layout::panel16;
  const int64_t allPanels = cpu::panelCount(shape.groupIn()) * shape.groups;
  const auto launch = [=, &k = c.kernels](const StepArgs& args) {
    float* transposed = reinterpret_cast<float*>(args.shared);
    const Range packs = args.split(allPanels);
    if (!packs.empty()) k.convPackTransposed(shape, args.in<float>(1), panels, transposed, packs.begin, packs.end);
    args.barrier();
    const auto [own, ownPanels] = gridPart(args, rows, allPanels);
    if (own.empty() || ownPanels.empty()) return;
    k.convBackwardData(shape, args.in<float>(0), transposed, args.out<float>(), own.begin, own.end, ownPanels.begin,
                       ownPanels.end, args.own);
  };
  return {.launch = launch,
          .cost = costOf(shape),
          .sharedScratch = size_t(allPanels * shape.kh * shape.kw * shape.groupOut() * 64),
          .memberScratch = size_t(cpu::convScratchBytes(shape)),
          .flop = flopOf(shape)};
}

Lowering lowerFilter(const LowerContext& c) {
  const ConvShape shape = convShape(c.attrs(), c.in[0].dims, c.out[0].dims, c.in[1].dims);
  if (convKind(shape) != ConvKind::panels) return lowerSmallFilter(c, shape);
  const bool panel = c.out[0].layout == Layout::panel16;
  const cpu::ConvFilterSplit split = cpu::convFilterSplit(shape);
  const int64_t size = c.out[0].physicalCount();
  const auto launch = [=, &k = c.kernels](const StepArgs& args) {
    float* target = split.chunks > 1 ? reinterpret_cast<float*>(args.shared) : args.out<float>();
    const Range items = args.split(split.items());
    if (!items.empty()) {
      const int64_t rowStride = panel ? 16 : shape.cout, panelStride = panel ? shape.filterRows() * 16 : 16;
      k.convBackwardFilter(shape, args.in<float>(0), args.in<float>(1), target, size, shape.groupOut(), rowStride,
                           panelStride, panel, items.begin, items.end, args.own);
    }
    if (split.chunks > 1) addChunks(args, k, target, split.chunks, size, args.out<float>());
  };
  return {.launch = launch,
          .cost = costOf(shape),
          .sharedScratch = split.chunks > 1 ? size_t(split.chunks * size * 4) : 0,
          .memberScratch = size_t(cpu::convScratchBytes(shape)),
          .flop = flopOf(shape)};
}

// Packed filters only for one group: with more, panels would not line up with the groups.
bool oneGroup(const Graph&, const Node& node) { return node.attrs.integer("groups", 1) == 1; }
bool widens(const Graph& graph, const Node& node, int input) { return input == 1 && oneGroup(graph, node); }
bool depthwise(const Graph& graph, const Node& node) {
  const ValueId image = node.op->name == "conv2dInput" ? node.first : node.inputs[0];
  const int64_t groups = node.attrs.integer("groups", 1);
  return groups > 1 && Dim(groups) == graph.type(image).shape[3];
}
// With a channel of its own for each group there is no product of matrices in it.
bool isProduct(const Graph& graph, const Node& node) { return !depthwise(graph, node); }
int filterInput(const Graph&, const Node&) { return 1; }
bool always(const Graph&, const Node&) { return true; }

const OpDef table[] = {
    {.name = "conv2d",
     .minInputs = 2,
     .maxInputs = 2 + kEpilogueInputs,
     .infer = infer,
     .gradient = gradient,
     .lower = lowerForward,
     .takesEpilogue = always,
     .takesPanel = oneGroup,
     .panelInput = 1,
     .columnsInput = filterInput,
     .window = windowOfFilter,
     .lowerRows = convRowStage,
     .channelwise = depthwise,
     .rowRole = roleOfConv,
     .widens = widens,
     .multipliesHalves = isProduct},
    {.name = "conv2dInput",
     .minInputs = 2,
     .maxInputs = 2,
     .infer = inferInput,
     .gradient = gradientOfInput,
     .lower = lowerInput,
     .takesPanel = oneGroup,
     .panelInput = 1,
     .lowerRows = convInputRowStage,
     .rowRole = roleOfConvInput,
     .multipliesHalves = isProduct},
    {.name = "conv2dFilter",
     .minInputs = 2,
     .maxInputs = 2,
     .infer = inferShape,
     .gradient = gradientOfFilter,
     .lower = lowerFilter,
     .panelOutput = oneGroup,
     .lowerRows = convFilterRowStage,
     .rowRole = roleOfConvFilter,
     .rowInputs = 2,
     .multipliesHalves = isProduct},
};

}  // namespace

std::span<const OpDef> convOps() { return table; }

}  // namespace chainrule::ops
