#include "ops/conv_forward.h"

namespace chainrule::ops {

double ConvForward::flop() const {
  return 2.0 * double(shape.n * shape.oh * shape.ow * shape.cout) * double(shape.filterRows());
}

ConvForward lowerConvForward(const LowerContext& c, const Dims& out) {
  const TensorType result[] = {{DType::f32, out, Layout::rowMajor}};
  ConvForward conv;
  conv.shape = convShape(c.attrs(), c.in[0].dims, c.in[1].dims, out);
  conv.epilogue = lowerEpilogue({c.graph, c.node, c.batch, c.in, result, c.kernels, c.used}, 2);
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
    conv.filterBytes = conv.packed ? 0 : size_t(conv.panels * conv.shape.filterRows() * 64);
    conv.islandOffset = size_t((cpu::convScratchBytes(conv.shape) + 63) / 64 * 64);
  }
  conv.scratchBytes = conv.islandOffset + conv.epilogue.scratch;
  return conv;
}

const float* ConvForward::filter(const StepArgs& args, std::byte* memory) const {
  const float* given = args.in<float>(1);
  if (filterBytes == 0) return given;
  float* made = reinterpret_cast<float*>(memory);
  if (kind == ConvKind::smallGroups)
    groups.arrange(given, made, args.split(shape.kh));
  else
    packFilter(*kernels, shape, given, made, args.split(panels));
  args.barrier();
  return made;
}

void ConvForward::run(const StepArgs& args, const float* filter, float* y, Range rows, Range panelRange,
                      std::byte* own) const {
  const bool inside = epilogue.takesBias();
  const float* bias = inside ? args.in<float>(epilogue.biasInput) : nullptr;
  const auto activation = inside ? epilogue.activation : cpu::Activation();
  if (rows.empty()) return;
  if (kind == ConvKind::smallGroups) {
    groups.forward(*kernels, args.in<float>(0), filter, bias, activation, y, rows, own);
  } else if (kind == ConvKind::depthwise) {
    kernels->depthwiseForward(shape, args.in<float>(0), filter, bias, activation, y, rows.begin, rows.end);
  } else if (!panelRange.empty()) {
    kernels->convForward(shape, args.in<float>(0), filter, bias, activation, y, rows.begin, rows.end, panelRange.begin,
                         panelRange.end, own);
  }
}

void ConvForward::finish(const StepArgs& args, float* y, Range elements, std::byte* own) const {
  if (finishes()) epilogue.apply(args, y, epilogue.takesBias(), elements.begin, elements.end, own + islandOffset);
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
  return {.rowSize = conv.rowSize,
          .sharedBytes = conv.filterBytes,
          .ownBytes = conv.scratchBytes,
          .cost = conv.cost(),
          .flop = conv.flop(),
          .prepare = prepare,
          .run = run,
          .runPart = runPart};
}

}  // namespace chainrule::ops
