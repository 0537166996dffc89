#include "ops/registry.h"
#include "ops/shape_rules.h"

// Values that are bound rather than computed, and two that only know the batch.

namespace chainrule::ops {
namespace {

std::vector<ValueType> inferInput(const InferContext& c) {
  return {c.graph.inputTypes[size_t(c.attrs.integer("index", 0))]};
}
std::vector<ValueType> inferConstant(const InferContext& c) {
  return {c.graph.constants[size_t(c.attrs.integer("index", 0))].type};
}
std::vector<ValueType> inferVariable(const InferContext& c) {
  return {c.graph.variables[size_t(c.attrs.integer("index", 0))].type};
}
std::vector<ValueType> inferPlaceholder(const InferContext& c) {
  return {typeOf(dtypeFromName(c.attrs.text("dtype", "float32")).value_or(DType::f32), shapeAttr(c.attrs, "shape"))};
}
std::vector<ValueType> inferBatchSize(const InferContext&) { return {typeOf(DType::i32, {})}; }
std::vector<ValueType> inferIota(const InferContext& c) { return {typeOf(DType::i32, shapeAttr(c.attrs, "shape"))}; }

Lowering lowerBatchSize(const LowerContext& c) {
  const int32_t value = int32_t(c.attrs().integer("scale", 1) * c.batch);
  return {.launch = [value](const StepArgs& args) { *args.out<int32_t>() = value; }, .serial = true};
}

Lowering lowerIota(const LowerContext& c) {
  const AxisSplit split = splitAt(c.out[0].dims, int(c.attrs().integer("axis", 0)));
  return {.launch =
              [split](const StepArgs& args) {
                const Range range = args.split(split.outer * split.n);
                for (int64_t i = range.begin; i < range.end; ++i) {
                  std::fill_n(args.out<int32_t>() + i * split.inner, split.inner, int32_t(i % split.n));
                }
              },
          .cost = double(c.out[0].count())};
}

const OpDef table[] = {
    {.name = "input", .infer = inferInput, .source = true},
    {.name = "constant", .infer = inferConstant, .source = true},
    {.name = "variable", .infer = inferVariable, .source = true},
    {.name = "placeholder", .infer = inferPlaceholder, .source = true},
    {.name = "batchSize", .infer = inferBatchSize, .lower = lowerBatchSize, .differentiable = false},
    {.name = "iota", .infer = inferIota, .lower = lowerIota, .differentiable = false},
};

}  // namespace

std::span<const OpDef> sourceOps() { return table; }

}  // namespace chainrule::ops
