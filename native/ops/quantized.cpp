#include <algorithm>
#include <bit>

#include "base/panels.h"
#include "cpu/kernel_table.h"
#include "ops/epilogue.h"
#include "ops/int8_scratch.h"
#include "ops/panels.h"
#include "ops/registry.h"
#include "ops/shape_rules.h"

// Products with int8 weights: every row of x is quantized by its largest magnitude, the sums are exact integers, and
// both scales are divided out, as Keras does (Dense._int8_call). For inference: there is no gradient.

namespace chainrule::ops {
namespace {

std::vector<ValueType> infer(const InferContext& c) {
  expectDType(c, 0, DType::f32);
  expectDType(c, 1, DType::i8);
  expectDType(c, 2, DType::f32);
  const Shape &x = c.in[0].shape, &w = c.in[1].shape, &scale = c.in[2].shape;
  if (x.size() < 2 || w.size() != 2 || !(x.back() == w[0]) || scale.size() != 1 || !(scale[0] == w[1])) {
    fail("SHAPE", "weights ", toString(w), " with scales ", toString(scale), " do not fit ", toString(x),
         ": [rows, columns], a scale for each column and as many rows as x has columns are needed");
  }
  if (w[0].perBatch || w[0].value < 1 || w[0].value > cpu::kInt8Depth)
    fail("SHAPE", "weights ", toString(w), " must have 1 to ", cpu::kInt8Depth,
         " rows: sums of more products may not fit into 32 bits");
  Shape out = x;
  out.pop();
  out.push(w[1]);
  return {typeOf(DType::f32, out)};
}

Lowering lower(const LowerContext& c) {
  const Dims& w = c.in[1].dims;
  cpu::Int8Gemm shape{.m = c.out[0].count() / std::max<int64_t>(1, w[1]), .n = w[1], .k = w[0], .cRow = w[1]};
  const bool packed = c.in[1].layout == Layout::panel16;
  const int64_t panels = cpu::panelCount(shape.n);
  const Int8Scratch scratch(shape.m, shape.k, packed ? 0 : size_t(panelSize(DType::i8, shape.k, shape.n)));
  const Epilogue epilogue = lowerEpilogue(c, 3);
  if (epilogue.begins()) shape.activation = epilogue.activation;
  // Rows of a block whose output stays in L2 until the epilogue has run over it.
  const int64_t blockRows = std::max<int64_t>(4, (1 << 15) / std::max<int64_t>(1, shape.n) / 4 * 4);

  const auto launch = [=, &k = c.kernels](const StepArgs& args) {
    int8_t* rows = reinterpret_cast<int8_t*>(args.shared);
    float* scales = reinterpret_cast<float*>(args.shared + scratch.scales);
    cpu::Int8Gemm gemm = shape;
    gemm.a = rows;
    gemm.aScale = scales;
    gemm.b = args.in<int8_t>(1);
    gemm.bScale = args.in<float>(2);
    gemm.c = args.out<float>();
    if (epilogue.begins()) gemm.bias = args.in<float>(epilogue.biasInput);
    const Range own = args.split(shape.m);
    if (!own.empty()) k.quantizeRows(args.in<float>(0), shape.k, rows, scales, own.begin, own.end);
    if (!packed) {
      int8_t* weights = reinterpret_cast<int8_t*>(args.shared + scratch.weights);
      packInt8(gemm.b, {shape.k, shape.n}, weights, args.split(panels));
      gemm.b = weights;
    }
    args.barrier();
    const bool byRows = (shape.m + 3) / 4 >= std::min<int64_t>(panels, 4 * args.members) || args.members == 1;
    const bool remains = epilogue.remains(epilogue.begins());
    if (!byRows) {
      const Range range = args.split(panels);
      if (!range.empty()) k.gemmInt8(gemm, 0, shape.m, range.begin, range.end);
      if (!remains) return;
      args.barrier();
      const Range elements = args.split(shape.m * shape.n, cpu::kIslandTile);
      return epilogue.apply(args, gemm.c, epilogue.begins(), elements.begin, elements.end, args.own);
    }
    const Range part = args.split(shape.m, 4);
    for (int64_t row = part.begin; row < part.end;) {
      const int64_t end = remains ? std::min(row + blockRows, part.end) : part.end;
      k.gemmInt8(gemm, row, end, 0, panels);
      if (remains) epilogue.apply(args, gemm.c, epilogue.begins(), row * shape.n, end * shape.n, args.own);
      row = end;
    }
  };
  const double products = double(shape.m) * double(shape.n) * double(shape.k);
  return {.launch = launch,
          .cost = products * 0.0125 + double(shape.m) * double(shape.k) * 0.2 + 20 + epilogue.cost,
          .sharedScratch = scratch.end,
          .memberScratch = epilogue.scratch,
          .flop = 2 * products};
}

// Numbers already scaled to -127..127, rounded half to even.
std::vector<ValueType> inferToInt8(const InferContext& c) {
  expectDType(c, 0, DType::f32);
  return {typeOf(DType::i8, c.in[0].shape)};
}

Lowering lowerToInt8(const LowerContext& c) {
  const int64_t count = c.in[0].count();
  const auto launch = [count](const StepArgs& args) {
    const Range range = args.split(count, 64);
    const float* x = args.in<float>(0);
    int8_t* out = args.out<int8_t>();
    for (int64_t i = range.begin; i < range.end; ++i) {
      const float clipped = std::max(-127.0f, std::min(127.0f, x[i]));
      // Adding 1.5 * 2^23 leaves the integer in the low bits, rounded as every addition is.
      out[i] = int8_t(std::bit_cast<int32_t>(clipped + 12582912.0f));
    }
  };
  return {.launch = launch, .cost = double(count) * 0.5};
}

bool always(const Graph&, const Node&) { return true; }

const OpDef table[] = {
    {.name = "matmulInt8",
     .minInputs = 3,
     .maxInputs = 3 + kEpilogueInputs,
     .infer = infer,
     .lower = lower,
     .takesEpilogue = always,
     .takesPanel = always,
     .panelInput = 1},
    {.name = "toInt8",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = inferToInt8,
     .lower = lowerToInt8,
     .differentiable = false},
};

}  // namespace

std::span<const OpDef> quantizedOps() { return table; }

}  // namespace chainrule::ops
