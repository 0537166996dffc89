#include <limits>

#include "cpu/kernel_table.h"
#include "ops/registry.h"
#include "ops/row_blocks.h"
#include "ops/row_sums.h"
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

// Mean and squares of chunks of rows lie behind each other.
Moments momentsAt(float* memory, int64_t columns, int64_t count = 0) { return {memory, memory + columns, count}; }

// Adds rows to `sum`; `own` has room for those of a block.
void addRows(const cpu::KernelTable& k, const RowBlocks& blocks, const float* x, int64_t rows, Moments& sum,
             float* own) {
  const int64_t columns = blocks.columns;
  for (int64_t row = 0; row < rows; row += blocks.blockRows) {
    Moments block = sum.count == 0 ? sum : momentsAt(own, columns);
    block.count = std::min(blocks.blockRows, rows - row);
    k.columnMoments(x + row * columns, block.count, columns, block.mean, block.squares);
    if (sum.count == 0)
      sum = block;
    else
      sum.add(block, 0, columns);
  }
}

// This member's columns of the mean and variance of all rows. A part that nobody reads has no memory, yet the other one
// needs it: `spare`.
template <typename CountOf>
void total(Range part, float* mean, float* variance, float* spare, const float* sums, int64_t chunks, int64_t columns,
           CountOf countOf) {
  const Moments room = momentsAt(spare, columns);
  Moments all{mean ? mean : room.mean, variance ? variance : room.squares};
  for (int64_t i = part.begin; i < part.end; ++i)
    all.mean[i] = all.squares[i] = std::numeric_limits<float>::quiet_NaN();
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const Moments next = momentsAt(const_cast<float*>(sums) + 2 * chunk * columns, columns, countOf(chunk));
    if (chunk > 0) {
      all.add(next, part.begin, part.end);
      continue;
    }
    for (int64_t i = part.begin; i < part.end; ++i) all.mean[i] = next.mean[i], all.squares[i] = next.squares[i];
    all.count = next.count;
  }
  for (int64_t i = part.begin; i < part.end; ++i) all.squares[i] /= float(all.count);
}

constexpr double kCost = 0.2;  // nanoseconds of an element

Lowering lower(const LowerContext& c) {
  const RowBlocks blocks(c.in[0].dims, c.attrs().integers("axes").size());
  const int64_t columns = blocks.columns, chunks = blocks.rows > 0 ? blocks.chunks : 0;
  const auto countOf = [=](int64_t chunk) {
    return std::min(blocks.chunkRows, blocks.rows - chunk * blocks.chunkRows);
  };
  const auto launch = [=, &k = c.kernels, wantsMean = bool(c.used[0]),
                       wantsVariance = bool(c.used[1])](const StepArgs& args) {
    float* const sums = reinterpret_cast<float*>(args.shared);
    const Range own = args.split(chunks);
    for (int64_t chunk = own.begin; chunk < own.end; ++chunk) {
      Moments sum = momentsAt(sums + 2 * chunk * columns, columns);
      addRows(k, blocks, args.in<float>(0) + chunk * blocks.chunkRows * columns, countOf(chunk), sum,
              reinterpret_cast<float*>(args.own));
    }
    args.barrier();
    total(args.split(columns, 16), wantsMean ? args.out<float>(0) : nullptr,
          wantsVariance ? args.out<float>(1) : nullptr, sums + 2 * chunks * columns, sums, chunks, columns, countOf);
  };
  return {.launch = launch,
          .cost = double(c.in[0].count()) * kCost,
          .sharedScratch = size_t(2 * (chunks + 1) * columns) * sizeof(float),
          .memberScratch = size_t(2 * columns) * sizeof(float)};
}

RowStage lowerRows(const LowerContext& c) {
  const Dims& dims = c.in[0].dims;
  const RowBlocks blocks(dims, 3);
  const int64_t columns = blocks.columns, pixels = dims[2];
  RowStage stage;
  stage.ownBytes = size_t(2 * columns) * sizeof(float);
  stage.cost = double(c.in[0].count()) * kCost;
  stage.sumFloats = 2 * columns;
  stage.add = [=, &k = c.kernels](const StepArgs& args, Range rows, float* sums, int64_t before, std::byte* own) {
    Moments sum = momentsAt(sums, columns, before * pixels);
    addRows(k, blocks, args.in<float>(0) + rows.begin * pixels * columns, (rows.end - rows.begin) * pixels, sum,
            reinterpret_cast<float*>(own));
  };
  stage.total = [=](const StepArgs& args, const RowSums& chunks) {
    // The members' scratch is not shared, but each needs its own columns of it only.
    total(args.split(columns, 16), args.out<float>(0), args.out<float>(1), reinterpret_cast<float*>(args.own),
          chunks.sums, chunks.chunks, columns, [&](int64_t chunk) { return chunks.rows[chunk] * pixels; });
  };
  return stage;
}

const OpDef table[] = {{.name = "moments",
                        .minInputs = 1,
                        .maxInputs = 1,
                        .infer = infer,
                        .lower = lower,
                        .lowerRows = lowerRows,
                        .rowRole = roleOfSums}};

}  // namespace

std::span<const OpDef> momentsOps() { return table; }

}  // namespace chainrule::ops
