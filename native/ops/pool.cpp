#include "cpu/kernel_table.h"
#include "ops/pool_shape.h"
#include "ops/registry.h"
#include "ops/shape_rules.h"
#include "ops/window.h"

namespace chainrule::ops {
namespace {

Shape pooledShape(const InferContext& c) {
  expectDType(c, 0, DType::f32);
  expectRank(c, 0, 4);
  const Window window = windowOf(c, c.attrs.integers("size"));
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

Lowering lowerMax(const LowerContext& c) {
  const cpu::PoolShape shape = poolShape(c.attrs(), c.in[0].dims, c.out[0].dims);
  return {.launch =
              [=, pool = c.kernels.maxPool, indexed = bool(c.used[1])](const StepArgs& args) {
                const Range rows = args.split(shape.n * shape.oh);
                if (!rows.empty())
                  pool(shape, args.in<float>(0), args.out<float>(), indexed ? args.out<void>(1) : nullptr, rows.begin,
                       rows.end);
              },
          .cost = double(c.in[0].count()) * 0.3};
}

Lowering lowerAverage(const LowerContext& c) {
  const cpu::PoolShape shape = poolShape(c.attrs(), c.in[0].dims, c.out[0].dims);
  return {.launch =
              [=, pool = c.kernels.averagePool](const StepArgs& args) {
                const Range rows = args.split(shape.n * shape.oh);
                if (!rows.empty()) pool(shape, args.in<float>(0), args.out<float>(), rows.begin, rows.end);
              },
          .cost = double(c.in[0].count()) * 0.3};
}

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
     .lower = lowerMax,
     .pools = true},
    {.name = "avgPool",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = inferAverage,
     .gradient = gradientOfAverage,
     .lower = lowerAverage,
     .pools = true},
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
