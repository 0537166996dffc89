#include <limits>

#include "cpu/kernel_table.h"
#include "ops/registry.h"
#include "ops/row_blocks.h"
#include "ops/shape_rules.h"

// Mean and variance over leading axes in one pass over memory: those of blocks in cache, put together by Chan's formula
// (https://doi.org/10.1080/00031305.1983.10483115). Made by passes/sums.cpp.

namespace chainrule::ops {
namespace {

std::vector<ValueType> infer(const InferContext& c) {
  expectDType(c, 0, DType::f32);
  Shape rest;
  for (int i = int(c.attrs.integers("axes").size()); i < c.in[0].shape.size(); ++i) rest.push(c.in[0].shape[i]);
  return {typeOf(DType::f32, rest), typeOf(DType::f32, rest)};
}

// Of `count` rows by column; the squares are those of deviations from the mean.
struct Moments {
  float *mean, *squares;
  int64_t count = 0;

  void add(const Moments& other, int64_t begin, int64_t end) {
    const float all = float(count + other.count), share = float(other.count) / all;
    const float both = float(count) * share;
    for (int64_t i = begin; i < end; ++i) {
      const float apart = other.mean[i] - mean[i];
      mean[i] += apart * share;
      squares[i] += other.squares[i] + apart * apart * both;
    }
    count += other.count;
  }
};

Lowering lower(const LowerContext& c) {
  const RowBlocks blocks(c.in[0].dims, c.attrs().integers("axes").size());
  const int64_t columns = blocks.columns;
  const auto at = [=](std::byte* memory, int64_t index) {
    float* mean = reinterpret_cast<float*>(memory) + 2 * index * columns;
    return Moments{mean, mean + columns};
  };
  const auto launch = [=, run = c.kernels.columnMoments, wantsMean = bool(c.used[0]),
                       wantsVariance = bool(c.used[1])](const StepArgs& args) {
    const Range own = args.split(blocks.chunks);
    for (int64_t chunk = own.begin; chunk < own.end; ++chunk) {
      Moments sum = at(args.shared, chunk);
      blocks.ofChunk(chunk, [&](int64_t row, int64_t count) {
        Moments block = sum.count == 0 ? sum : at(args.own, 0);
        block.count = count;
        run(args.in<float>(0) + row * columns, count, columns, block.mean, block.squares);
        if (sum.count == 0)
          sum = block;
        else
          sum.add(block, 0, columns);
      });
    }
    args.barrier();
    const Range part = args.split(columns, 16);
    // A part that nobody reads has no memory, yet the other one needs it.
    const Moments spare = at(args.shared, blocks.chunks);
    Moments all{wantsMean ? args.out<float>(0) : spare.mean, wantsVariance ? args.out<float>(1) : spare.squares};
    for (int64_t i = part.begin; i < part.end; ++i)
      all.mean[i] = all.squares[i] = std::numeric_limits<float>::quiet_NaN();
    for (int64_t chunk = 0; chunk < blocks.chunks && blocks.rows > 0; ++chunk) {
      Moments next = at(args.shared, chunk);
      next.count = std::min(blocks.chunkRows, blocks.rows - chunk * blocks.chunkRows);
      if (chunk > 0) {
        all.add(next, part.begin, part.end);
        continue;
      }
      for (int64_t i = part.begin; i < part.end; ++i) all.mean[i] = next.mean[i], all.squares[i] = next.squares[i];
      all.count = next.count;
    }
    for (int64_t i = part.begin; i < part.end; ++i) all.squares[i] /= float(blocks.rows);
  };
  return {.launch = launch,
          .cost = double(c.in[0].count()) * 0.2,
          .sharedScratch = size_t(2 * (blocks.chunks + 1) * columns) * sizeof(float),
          .memberScratch = size_t(2 * columns) * sizeof(float)};
}

const OpDef table[] = {{.name = "moments", .minInputs = 1, .maxInputs = 1, .infer = infer, .lower = lower}};

}  // namespace

std::span<const OpDef> momentsOps() { return table; }

}  // namespace chainrule::ops
