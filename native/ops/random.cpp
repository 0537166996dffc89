#include "base/permutation.h"
#include "cpu/kernel_table.h"
#include "ops/registry.h"
#include "ops/shape_rules.h"

// Philox streams. A seed is uint32 [3]: two words of key and the number of the draw. Element e of global row r in a
// draw is a function of those alone, whatever the batch and the number of threads.

namespace chainrule::ops {
namespace {

void expectSeed(const InferContext& c, int input) {
  expectDType(c, input, DType::u32);
  if (!(c.in[size_t(input)].shape == Shape{Dim(3)}))
    fail("SHAPE", "a seed has shape [3], got ", toString(c.in[size_t(input)].shape));
}

template <DType dtype>
std::vector<ValueType> infer(const InferContext& c) {
  expectSeed(c, 0);
  return {typeOf(dtype, shapeAttr(c.attrs, "shape"))};
}

std::vector<ValueType> inferNext(const InferContext& c) {
  expectSeed(c, 0);
  return sameAsFirst(c);
}

std::vector<ValueType> inferPermutation(const InferContext& c) {
  expectSeed(c, 0);
  return {typeOf(DType::i32, {Dim(c.attrs.integer("size", 0))})};
}

std::vector<ValueType> inferDropout(const InferContext& c) {
  expectDType(c, 0, DType::f32);
  expectSeed(c, 1);
  const double rate = c.attrs.real("rate", 0);
  if (!(rate >= 0 && rate <= 1)) fail("VALUE", "rate must be between 0 and 1, got ", rate);
  return sameAsFirst(c);
}

std::vector<ValueId> gradientOfDropout(GradientContext& c) {
  return {apply("dropout", {c.grad(), c.in(1)}, c.attrs()).id, kNone};
}

// The tensor as rows; those of a batch are numbered across batches.
struct Rows {
  int64_t count = 1, size = 1;
  bool batch = false;
};

Rows rowsOf(const LowerContext& c) {
  const Dims& dims = c.out[0].dims;
  Rows rows;
  rows.batch = !dims.empty() && c.outShape()[0].perBatch;
  if (rows.batch || dims.size() > 1) rows.count = dims[0];
  rows.size = rows.count == 0 ? 0 : c.out[0].count() / rows.count;
  return rows;
}

cpu::RandomStream streamOf(const Rows& rows, const uint32_t* seed, const StepArgs& args) {
  return {seed[0], seed[1], seed[2], rows.batch ? args.rowOffset : 0, rows.size};
}

// `body(stream, range of rows)` for a seed at input `seedInput`.
template <typename Body>
Lowering lowerRows(const LowerContext& c, int seedInput, double costPerElement, Body body) {
  const Rows rows = rowsOf(c);
  return {.launch =
              [=](const StepArgs& args) {
                const Range range = args.split(rows.count);
                if (!range.empty()) body(args, streamOf(rows, args.in<uint32_t>(seedInput), args), range);
              },
          .cost = double(c.out[0].count()) * costPerElement};
}

Lowering lowerUniform(const LowerContext& c) {
  const float low = float(c.attrs().real("low", 0)), high = float(c.attrs().real("high", 1));
  return lowerRows(c, 0, 1, [=, f = c.kernels.randomUniform](const StepArgs& a, const cpu::RandomStream& s, Range r) {
    f(s, low, high, a.out<float>(), r.begin, r.end);
  });
}

template <bool truncated>
Lowering lowerNormal(const LowerContext& c) {
  const float mean = float(c.attrs().real("mean", 0)), deviation = float(c.attrs().real("stddev", 1));
  const auto kernel = truncated ? c.kernels.randomTruncatedNormal : c.kernels.randomNormal;
  return lowerRows(c, 0, 4, [=](const StepArgs& a, const cpu::RandomStream& s, Range r) {
    kernel(s, mean, deviation, a.out<float>(), r.begin, r.end);
  });
}

Lowering lowerBernoulli(const LowerContext& c) {
  const float p = float(c.attrs().real("p", 0.5));
  return lowerRows(c, 0, 1, [=, f = c.kernels.randomBernoulli](const StepArgs& a, const cpu::RandomStream& s, Range r) {
    f(s, p, a.out<uint8_t>(), r.begin, r.end);
  });
}

Lowering lowerBits(const LowerContext& c) {
  return lowerRows(c, 0, 1, [f = c.kernels.randomBits](const StepArgs& a, const cpu::RandomStream& s, Range r) {
    f(s, a.out<uint32_t>(), r.begin, r.end);
  });
}

Lowering lowerDropout(const LowerContext& c) {
  const float rate = float(c.attrs().real("rate", 0));
  return lowerRows(c, 1, 0.6, [=, f = c.kernels.dropout](const StepArgs& a, const cpu::RandomStream& s, Range r) {
    f(s, rate, a.in<float>(0), a.out<float>(), r.begin, r.end);
  });
}

Lowering lowerNext(const LowerContext&) {
  return {.launch =
              [](const StepArgs& args) {
                const uint32_t* seed = args.in<uint32_t>(0);
                uint32_t* next = args.out<uint32_t>();
                next[0] = seed[0];
                next[1] = seed[1];
                next[2] = seed[2] + 1;
              },
          .serial = true};
}

Lowering lowerPermutation(const LowerContext& c) {
  const int64_t size = c.out[0].count();
  return {.launch =
              [size](const StepArgs& args) {
                const uint32_t* seed = args.in<uint32_t>(0);
                permutation(seed[0], seed[1], seed[2], {args.out<int32_t>(), size_t(size)});
              },
          .cost = double(size) * 20,
          .serial = true};
}

const OpDef table[] = {
    {.name = "randomUniform",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = infer<DType::f32>,
     .lower = lowerUniform,
     .differentiable = false},
    {.name = "randomNormal",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = infer<DType::f32>,
     .lower = lowerNormal<false>,
     .differentiable = false},
    {.name = "randomTruncatedNormal",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = infer<DType::f32>,
     .lower = lowerNormal<true>,
     .differentiable = false},
    {.name = "randomBernoulli",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = infer<DType::boolean>,
     .lower = lowerBernoulli,
     .differentiable = false},
    {.name = "randomBits",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = infer<DType::u32>,
     .lower = lowerBits,
     .differentiable = false},
    {.name = "permutation",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = inferPermutation,
     .lower = lowerPermutation,
     .differentiable = false},
    {.name = "seedNext",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = inferNext,
     .lower = lowerNext,
     .differentiable = false},
    {.name = "dropout",
     .minInputs = 2,
     .maxInputs = 2,
     .infer = inferDropout,
     .gradient = gradientOfDropout,
     .lower = lowerDropout},
};

}  // namespace

std::span<const OpDef> randomOps() { return table; }

}  // namespace chainrule::ops
