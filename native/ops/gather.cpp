#include "cpu/kernel_table.h"
#include "cpu/split.h"
#include "ops/registry.h"
#include "ops/shape_rules.h"

// Rows by index (embeddings), their gradient, and one-hot rows. An index outside the table fails the run.

namespace chainrule::ops {
namespace {

std::vector<ValueType> inferGather(const InferContext& c) {
  expectDType(c, 1, DType::i32);
  const Shape& table = c.in[0].shape;
  if (table.empty()) fail("SHAPE", "a scalar has no rows to gather");
  Shape out = c.in[1].shape;
  for (int i = 1; i < table.size(); ++i) out.push(table[i]);
  return {typeOf(c.in[0].dtype, out)};
}

std::vector<ValueId> gradientOfGather(GradientContext& c) {
  const Attrs shape = attrs({{"shape", encoded(c.in(0).shape())}});
  return {apply("gatherGradient", {c.grad(), c.in(1)}, shape).id, kNone};
}

std::vector<ValueType> inferGatherGradient(const InferContext& c) {
  expectDType(c, 0, DType::f32);
  expectDType(c, 1, DType::i32);
  return {typeOf(DType::f32, shapeAttr(c.attrs, "shape"))};
}

std::vector<ValueId> gradientOfGatherGradient(GradientContext& c) {
  return {apply("gather", {c.grad(), c.in(1)}).id, kNone};
}

Lowering lowerGather(const LowerContext& c) {
  const int64_t rows = c.in[0].dims[0], count = c.in[1].count();
  const int64_t rowBytes = rows == 0 ? 0 : c.in[0].bytes() / rows;
  const Shape& indices = c.graph.type(c.node.inputs[1]).shape;
  const int64_t rowSize = !indices.empty() && indices[0] == Dim(1, true) && c.batch > 0 ? count / c.batch : 0;
  return {.launch =
              [=, gather = c.kernels.gatherRows](const StepArgs& args) {
                const Range range = args.split(count, 16);
                int64_t bad = INT64_MAX;
                if (!range.empty())
                  gather(args.in<void>(0), rows, rowBytes, args.in<int32_t>(1), args.out<void>(), range.begin,
                         range.end, &bad);
                if (bad != INT64_MAX) args.fault->report({args.step, bad, args.in<int32_t>(1)[bad], rows, rowSize});
              },
          .cost = double(count) * (5 + double(rowBytes) * 0.05)};
}

Lowering lowerGatherGradient(const LowerContext& c) {
  const int64_t rows = c.out[0].dims[0], count = c.in[1].count(), width = rows == 0 ? 0 : c.out[0].count() / rows;
  const size_t orderBytes = size_t((count * 4 + 63) / 64 * 64);
  const auto launch = [=, sort = c.kernels.sortIndices, scatter = c.kernels.scatterAddRows](const StepArgs& args) {
    int32_t* order = reinterpret_cast<int32_t*>(args.shared);
    const int32_t* indices = args.in<int32_t>(1);
    if (args.member == 0) sort(indices, count, order, args.shared + orderBytes);
    args.barrier();
    const Range range = args.split(rows);
    if (!range.empty())
      scatter(args.in<float>(0), width, indices, order, count, args.out<float>(), false, range.begin, range.end);
  };
  return {.launch = launch,
          .cost = double(count) * (10 + double(width) * 0.3) + double(c.out[0].count()) * 0.1,
          .sharedScratch = orderBytes + size_t(cpu::sortScratchBytes(count))};
}

std::vector<ValueType> inferOneHot(const InferContext& c) {
  expectDType(c, 0, DType::i32);
  Shape out = c.in[0].shape;
  out.push(Dim(c.attrs.integer("depth", 0)));
  return {typeOf(DType::f32, out)};
}

Lowering lowerOneHot(const LowerContext& c) {
  const int64_t depth = c.attrs().integer("depth", 0), count = c.in[0].count();
  return {.launch =
              [=, oneHot = c.kernels.oneHot](const StepArgs& args) {
                const Range range = args.split(count);
                if (!range.empty()) oneHot(args.in<int32_t>(0), depth, 1, 0, args.out<float>(), range.begin, range.end);
              },
          .cost = double(count * depth) * 0.1 + double(count)};
}

const OpDef table[] = {
    {.name = "gather",
     .minInputs = 2,
     .maxInputs = 2,
     .infer = inferGather,
     .gradient = gradientOfGather,
     .lower = lowerGather,
     .needsRows = true},
    {.name = "gatherGradient",
     .minInputs = 2,
     .maxInputs = 2,
     .infer = inferGatherGradient,
     .gradient = gradientOfGatherGradient,
     .lower = lowerGatherGradient},
    {.name = "oneHot",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = inferOneHot,
     .lower = lowerOneHot,
     .differentiable = false},
};

}  // namespace

std::span<const OpDef> gatherOps() { return table; }

}  // namespace chainrule::ops
