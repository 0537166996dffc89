#include "ops/conv_forward.h"

#include "cpu/conv_rows.h"
#include "ops/panels.h"

namespace chainrule::ops {

double ConvForward::flop() const {
  return 2.0 * double(shape.n * shape.oh * shape.ow * shape.cout) * double(shape.filterRows());
}

ConvForward lowerConvForward(const LowerContext& c, const Dims& out) {
  const TensorType result[] = {{DType::f32, out, Layout::rowMajor}};
  ConvForward conv;
  conv.shape = convShape(c.attrs(), c.in[0].dims, c.in[1].dims, out);
  conv.epilogue = lowerEpilogue({c.graph, c.node, c.batch, c.in, result, c.kernels, c.used}, 2,
                                cpu::convIsPointwise(conv.shape) && convKind(conv.shape) == ConvKind::panels);
  conv.kernels = &c.kernels;
  conv.rowSize = conv.shape.ow * conv.shape.cout;
  conv.kind = convKind(conv.shape);
  if (conv.kind == ConvKind::smallGroups) {
    conv.groups = SmallGroups(conv.shape);
    conv.filterBytes = conv.groups.filterBytes();
    conv.islandOffset = (conv.groups.scratchBytes() + 63) / 64 * 64;
  } else if (conv.kind == ConvKind::panels) {
    conv.packed = c.in[1].layout == Layout::panel16;
    conv.panels = cpu::panelCount(conv.shape.groupOut()) * conv.shape.groups;
    conv.halves = c.in[1].dtype == DType::bf16;
    conv.streams = conv.halves && conv.packed && cpu::convIsPointwise(conv.shape);
    conv.filterBytes =
        conv.streams || (conv.packed && !conv.halves) ? 0 : size_t(conv.panels * conv.shape.filterRows() * 64);
    conv.islandOffset = size_t((cpu::convScratchBytes(conv.shape) + 63) / 64 * 64);
  }
  conv.scratchBytes = conv.islandOffset + conv.epilogue.scratch;
  return conv;
}

const float* ConvForward::filter(const StepArgs& args, std::byte* memory) const {
  const float* given = args.in<float>(1);
  if (filterBytes == 0) return given;
  float* made = reinterpret_cast<float*>(memory);
  const Range range = args.split(kind == ConvKind::smallGroups ? shape.kh : panels);
  if (kind == ConvKind::smallGroups)
    groups.arrange(given, made, range);
  else if (halves)
    widenToPanels(*kernels, args.in<uint16_t>(1), packed, {shape.filterRows(), shape.cout}, made, range);
  else
    packFilter(*kernels, shape, given, made, range);
  args.barrier();
  return made;
}

void ConvForward::run(const StepArgs& args, const float* filter, float* y, Range rows, Range panelRange,
                      std::byte* own) const {
  if (rows.empty()) return;
  const cpu::Finish finish = epilogue.finish(args);
  if (kind == ConvKind::smallGroups) {
    groups.forward(*kernels, args.in<float>(0), filter, finish.bias, finish.activation, y, rows, own);
  } else if (kind == ConvKind::depthwise) {
    kernels->depthwiseForward(shape, args.in<float>(0), filter, finish.bias, finish.activation, y, rows.begin,
                              rows.end);
  } else if (panelRange.empty()) {
    return;
  } else if (streams) {
    cpu::Gemm g{.m = shape.n * shape.h * shape.w, .n = shape.cout, .k = shape.cin, .a = args.in<float>(0)};
    g.aRow = shape.cin;
    g.halves = args.in<uint16_t>(1);
    g.bPanel = panelSize(DType::bf16, shape.cin, 16);
    g.c = y, g.cRow = shape.cout;
    g.finish = finish;
    kernels->gemm(g, rows.begin * shape.ow, rows.end * shape.ow, panelRange.begin, panelRange.end, own);
  } else {
    kernels->convForward(shape, args.in<float>(0), filter, finish, y, rows.begin, rows.end, panelRange.begin,
                         panelRange.end, own);
  }
}

void ConvForward::finish(const StepArgs& args, float* y, Range elements, std::byte* own) const {
  if (finishes()) epilogue.apply(args, y, epilogue.begins(), elements.begin, elements.end, own + islandOffset);
}

RowStage convRowStage(const LowerContext& c) {
  const ConvForward conv = lowerConvForward(c, c.out[0].dims);
  const auto prepare = [=](const StepArgs& args, std::byte* shared) -> const void* {
    return conv.filter(args, shared);
  };
  const auto run = [=](const StepArgs& args, const void* filter, Range rows, std::byte* own) {
    conv.runAll(args, static_cast<const float*>(filter), args.out<float>(), rows, own);
  };
  const auto runPart = [=](const StepArgs& args, const void* filter, std::byte* own) {
    const auto [rows, panels] = gridPart(args, conv.rows(), conv.panels);
    conv.run(args, static_cast<const float*>(filter), args.out<float>(), rows, panels, own);
    if (!conv.finishes()) return;
    args.barrier();
    conv.finish(args, args.out<float>(), args.split(conv.rows() * conv.rowSize, 512), own);
  };
  const auto source = [s = conv.shape](int input, Range rows) { return input == 0 ? rowsUnder(s, rows) : rows; };
  return {.rowSize = conv.rowSize,
          .sharedBytes = conv.filterBytes,
          .ownBytes = conv.scratchBytes,
          .cost = conv.cost(),
          .flop = conv.flop(),
          .prepare = prepare,
          .run = run,
          .runPart = runPart,
          .source = source};
}

}  // namespace chainrule::ops
