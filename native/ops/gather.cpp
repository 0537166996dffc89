#include <algorithm>
#include <cstring>

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
  return {typeOf(c.in[0].dtype == DType::bf16 ? DType::f32 : c.in[0].dtype, out)};
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

// What a run reports of an index outside the table.
struct GatherFault {
  int64_t rows, rowSize;  // of the table; indices of one row of the batch, 0 where axis 0 is not the batch
  explicit GatherFault(const LowerContext& c) : rows(c.in[0].dims[0]) {
    const Shape& indices = c.graph.type(c.node.inputs[1]).shape;
    rowSize = !indices.empty() && indices[0] == Dim(1, true) && c.batch > 0 ? c.in[1].count() / c.batch : 0;
  }
  void report(const StepArgs& args, int64_t position) const {
    args.fault->report({args.step, position, args.in<int32_t>(1)[position], rows, rowSize});
  }
};

Lowering lowerGather(const LowerContext& c) {
  const int64_t rows = c.in[0].dims[0], count = c.in[1].count();
  const int64_t rowBytes = rows == 0 ? 0 : c.in[0].bytes() / rows;
  const bool halves = c.in[0].dtype == DType::bf16;
  const GatherFault fault(c);
  return {.launch =
              [=, &k = c.kernels](const StepArgs& args) {
                const Range range = args.split(count, 16);
                int64_t bad = INT64_MAX;
                if (range.empty()) return;
                if (halves)
                  k.gatherBfloat16(args.in<uint16_t>(0), rows, rowBytes / 2, args.in<int32_t>(1), args.out<float>(),
                                   range.begin, range.end, &bad);
                else
                  k.gatherRows(args.in<void>(0), rows, rowBytes, args.in<int32_t>(1), args.out<void>(), range.begin,
                               range.end, &bad);
                if (bad != INT64_MAX) fault.report(args, bad);
              },
          .cost = double(count) * (5 + double(rowBytes) * 0.05)};
}

// Rows of a table of int8, each divided by its own scale.
std::vector<ValueType> inferGatherInt8(const InferContext& c) {
  expectDType(c, 0, DType::i8);
  expectDType(c, 1, DType::i32);
  expectDType(c, 2, DType::f32);
  const Shape &table = c.in[0].shape, &scale = c.in[2].shape;
  if (table.size() != 2 || scale.size() != 1 || !(scale[0] == table[0]))
    fail("SHAPE", "a table [rows, width] and a scale for each row are needed, got ", toString(table), " and ",
         toString(scale));
  Shape out = c.in[1].shape;
  out.push(table[1]);
  return {typeOf(DType::f32, out)};
}

Lowering lowerGatherInt8(const LowerContext& c) {
  const int64_t rows = c.in[0].dims[0], width = c.in[0].dims[1], count = c.in[1].count();
  const GatherFault fault(c);
  return {.launch =
              [=, gather = c.kernels.gatherInt8](const StepArgs& args) {
                const Range range = args.split(count, 16);
                int64_t bad = INT64_MAX;
                if (!range.empty())
                  gather(args.in<int8_t>(0), rows, width, args.in<float>(2), args.in<int32_t>(1), args.out<float>(),
                         range.begin, range.end, &bad);
                if (bad != INT64_MAX) fault.report(args, bad);
              },
          .cost = double(count) * (5 + double(width) * 0.3)};
}

// "group": so many neighbouring positions share a row of the incoming gradient.
Lowering lowerGatherGradient(const LowerContext& c) {
  const int64_t rows = c.out[0].dims[0], count = c.in[1].count(), width = rows == 0 ? 0 : c.out[0].count() / rows;
  const int64_t group = c.attrs().integer("group", 1);
  const auto launch = [=, scatter = c.kernels.scatterAddRows](const StepArgs& args) {
    float* table = args.out<float>();
    const Range range = args.split(rows * width, 16);
    std::fill(table + range.begin, table + range.end, 0.0f);
    args.barrier();
    scatter(args.in<float>(0), width, group, args.in<int32_t>(1), count, table, rows, args.member, args.members);
  };
  return {.launch = launch, .cost = double(count) * (3 + double(width) * 0.1) + double(c.out[0].count()) * 0.05};
}

// The sum or mean of a bag of rows for each list of indices, as reduceSum(gather(table, indices), axis of the list) has
// it and with its bits; the rows stay in cache.
std::vector<ValueType> inferGatherReduce(const InferContext& c) {
  if (c.in[0].dtype != DType::bf16) expectDType(c, 0, DType::f32);
  expectDType(c, 1, DType::i32);
  Shape out = c.in[1].shape;
  out.pop();
  for (int i = 1; i < c.in[0].shape.size(); ++i) out.push(c.in[0].shape[i]);
  return {typeOf(DType::f32, out)};
}

constexpr int64_t kKnownAhead = 32;  // ids of the next bag, whose rows are asked for early

Lowering lowerGatherReduce(const LowerContext& c) {
  const int64_t rows = c.in[0].dims[0], length = c.in[1].dims.back(),
                width = c.in[0].count() / std::max<int64_t>(rows, 1);
  const int64_t bags = length == 0 ? 0 : c.in[1].count() / length;
  const int64_t chunkRows = cpu::reduceChunkRows(length, width), chunks = (length + chunkRows - 1) / chunkRows;
  const bool mean = c.attrs().integer("mean", 0) != 0, halves = c.in[0].dtype == DType::bf16;
  const GatherFault fault(c);
  const auto launch = [=, &k = c.kernels](const StepArgs& args) {
    const int32_t* const indices = args.in<int32_t>(1);
    float* const partial = reinterpret_cast<float*>(args.own);
    float* const bag = partial + chunks * width;
    int32_t* const ids =
        reinterpret_cast<int32_t*>(bag);  // what is looked at is what is read, whatever JavaScript writes
    int64_t bad = INT64_MAX;
    const Range range = args.split(bags);
    for (int64_t i = range.begin; i < range.end; ++i) {
      float* const out = args.out<float>() + i * width;
      for (int64_t chunk = 0; chunk < chunks; ++chunk) {
        const int64_t first = i * length + chunk * chunkRows, count = std::min(chunkRows, length - chunk * chunkRows);
        float* const sum = chunks > 1 ? partial + chunk * width : out;
        if (halves) {
          int64_t found = INT64_MAX;
          k.gatherBfloat16(args.in<uint16_t>(0), rows, width, indices + first, bag, 0, count, &found);
          if (found != INT64_MAX) bad = std::min(bad, first + found);
          k.reduceOuter(cpu::Reduce::sum, DType::f32, bag, count, width, sum, 0, width);
          continue;
        }
        const int64_t known = std::min(count + kKnownAhead, bags * length - first);
        std::memcpy(ids, indices + first, size_t(known) * 4);
        const int64_t outside = k.findOutside(ids, 0, int32_t(std::min<int64_t>(rows, INT32_MAX)), 0, count);
        if (outside < 0)
          k.gatherSum(args.in<float>(0), width, ids, count, known, sum);
        else
          bad = std::min(bad, first + outside), std::fill_n(sum, width, 0.0f);
      }
      if (chunks > 1) k.reduceOuter(cpu::Reduce::sum, DType::f32, partial, chunks, width, out, 0, width);
      for (int64_t k = 0; mean && k < width; ++k) out[k] /= float(length);
    }
    if (bad != INT64_MAX) fault.report(args, bad);
  };
  return {.launch = launch,
          .cost = double(c.in[1].count()) * (2 + double(width) * 0.05),
          .memberScratch = size_t(chunks * width + (halves ? chunkRows * width : chunkRows + kKnownAhead)) * 4 + 64};
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

bool widensTable(const Graph&, const Node&, int input) { return input == 0; }

const OpDef table[] = {
    {.name = "gather",
     .minInputs = 2,
     .maxInputs = 2,
     .infer = inferGather,
     .gradient = gradientOfGather,
     .lower = lowerGather,
     .widens = widensTable,
     .needsRows = true},
    {.name = "gatherInt8",
     .minInputs = 3,
     .maxInputs = 3,
     .infer = inferGatherInt8,
     .lower = lowerGatherInt8,
     .needsRows = true},
    {.name = "gatherGradient",
     .minInputs = 2,
     .maxInputs = 2,
     .infer = inferGatherGradient,
     .gradient = gradientOfGatherGradient,
     .lower = lowerGatherGradient},
    {.name = "gatherReduce",
     .minInputs = 2,
     .maxInputs = 2,
     .infer = inferGatherReduce,
     .lower = lowerGatherReduce,
     .differentiable = false,
     .widens = widensTable,
     .needsRows = true},
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
