#include "cpu/kernel_table.h"
#include "ops/pool_shape.h"
#include "ops/registry.h"
#include "ops/row_stage.h"
#include "ops/shape_rules.h"
#include "ops/window.h"

namespace chainrule::ops {
namespace {

Window windowOfPool(const InferContext& c) { return windowOf(c, c.attrs.integers("size")); }

Shape pooledShape(const InferContext& c) {
  expectDType(c, 0, DType::f32);
  expectRank(c, 0, 4);
  const Window window = windowOfPool(c);
  Shape out = c.in[0].shape;
  for (int axis : {0, 1}) out[1 + axis] = window.outputs(axis, out[1 + axis]);
  return out;
}

std::vector<ValueType> inferMax(const InferContext& c) {
  const Shape out = pooledShape(c);
  const auto size = c.attrs.integers("size");
  return {typeOf(DType::f32, out), typeOf(size[0] * size[1] > 256 ? DType::i32 : DType::u8, out)};
}
std::vector<ValueType> inferAverage(const InferContext& c) { return {typeOf(DType::f32, pooledShape(c))}; }
std::vector<ValueType> inferGradient(const InferContext& c) {
  return {typeOf(DType::f32, shapeAttr(c.attrs, "shape"))};
}

Attrs withInputShape(GradientContext& c) {
  Attrs attributes = c.attrs();
  attributes.set("shape", encoded(c.in(0).shape()));
  return attributes;
}

std::vector<ValueId> gradientOfMax(GradientContext& c) {
  return {apply("maxPoolGradient", {c.grad(), c.out(1)}, withInputShape(c)).id};
}
std::vector<ValueId> gradientOfAverage(GradientContext& c) {
  return {apply("averagePoolGradient", {c.grad()}, withInputShape(c)).id};
}
std::vector<ValueId> gradientOfAverageGradient(GradientContext& c) {
  return {apply("avgPool", {c.grad()}, c.attrs()).id};
}

RowStage rowStage(const LowerContext& c) {
  const cpu::PoolShape shape = poolShape(c.attrs(), c.in[0].dims, c.out[0].dims);
  const bool maximum = c.out.size() == 2, indexed = maximum && c.used[1];
  const auto run = [=, &k = c.kernels](const StepArgs& args, const void*, Range rows, std::byte*) {
    if (rows.empty()) return;
    if (maximum)
      k.maxPool(shape, args.in<float>(0), args.out<float>(), indexed ? args.out<void>(1) : nullptr, rows.begin,
                rows.end);
    else
      k.averagePool(shape, args.in<float>(0), args.out<float>(), rows.begin, rows.end);
  };
  const auto runPart = [=](const StepArgs& args, const void*, std::byte* own) {
    run(args, nullptr, args.split(shape.n * shape.oh), own);
  };
  return {.rowSize = shape.ow * shape.c, .cost = double(c.in[0].count()) * 0.3, .run = run, .runPart = runPart};
}

Lowering lower(const LowerContext& c) {
  const RowStage stage = rowStage(c);
  return {.launch = [run = stage.runPart](const StepArgs& args) { run(args, nullptr, args.own); }, .cost = stage.cost};
}

bool always(const Graph&, const Node&) { return true; }

Lowering lowerMaxGradient(const LowerContext& c) {
  const cpu::PoolShape shape = poolShape(c.attrs(), c.out[0].dims, c.in[0].dims);
  return {.launch =
              [=, pool = c.kernels.maxPoolBackward](const StepArgs& args) {
                const Range rows = args.split(shape.n * shape.h);
                if (!rows.empty())
                  pool(shape, args.in<float>(0), args.in<void>(1), args.out<float>(), rows.begin, rows.end);
              },
          .cost = double(c.out[0].count()) * 0.4};
}

Lowering lowerAverageGradient(const LowerContext& c) {
  const cpu::PoolShape shape = poolShape(c.attrs(), c.out[0].dims, c.in[0].dims);
  return {.launch =
              [=, pool = c.kernels.averagePoolBackward](const StepArgs& args) {
                const Range rows = args.split(shape.n * shape.h);
                if (!rows.empty()) pool(shape, args.in<float>(0), args.out<float>(), rows.begin, rows.end);
              },
          .cost = double(c.out[0].count()) * 0.4};
}

const OpDef table[] = {
    // Parts: the maxima, and where in its window each lies (not produced unless the gradient needs it).
    {.name = "maxPool",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = inferMax,
     .gradient = gradientOfMax,
     .lower = lower,
     .window = windowOfPool,
     .lowerRows = rowStage,
     .channelwise = always},
    {.name = "avgPool",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = inferAverage,
     .gradient = gradientOfAverage,
     .lower = lower,
     .window = windowOfPool,
     .lowerRows = rowStage,
     .channelwise = always},
    {.name = "maxPoolGradient", .minInputs = 2, .maxInputs = 2, .infer = inferGradient, .lower = lowerMaxGradient},
    {.name = "averagePoolGradient",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = inferGradient,
     .gradient = gradientOfAverageGradient,
     .lower = lowerAverageGradient},
};

}  // namespace

std::span<const OpDef> poolOps() { return table; }

}  // namespace chainrule::ops
