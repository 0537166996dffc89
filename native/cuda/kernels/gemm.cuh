#pragma once

// Products of matrices, plain, batched, and with the windows of an image as A (convolution without im2col). A block
// makes a tile of C from tiles of A and B that it copies into shared memory, some steps ahead of the one that it works
// on. The sum of an element has an order that the shape fixes, whatever the grid.

#include "base/bfloat16.h"
#include "cuda/kernels/gemm_tile.cuh"
#include "cuda/kernels/index.cuh"

namespace chainrule::cuda {

// Offsets of product z of the batch.
struct GemmPlace {
  int64_t a = 0, b = 0, c = 0;
};
DEVICE GemmPlace gemmPlace(const Gemm& gemm, int64_t z) {
  GemmPlace place;
  for (int axis = kGemmBatchRank - 1; axis >= 0; --axis) {
    if (gemm.batchDims[axis] == 1) continue;
    const Quotient at = divide(z, gemm.batchDims[axis]);
    place.a += at.rest * gemm.a.batch[axis];
    place.b += at.rest * gemm.b.batch[axis];
    place.c += at.rest * gemm.cBatch[axis];
    z = at.quotient;
  }
  return place;
}

DEVICE float gemmNumber(const void* data, bool half, int64_t at) {
  return half ? floatOf(uint32_t(static_cast<const uint16_t*>(data)[at]) << 16) : static_cast<const float*>(data)[at];
}
// What the element of C at `at` becomes.
DEVICE float gemmValue(const Gemm& gemm, int64_t item, int64_t column, int64_t at, float old, float value) {
  if (gemm.bias) value += gemmNumber(gemm.bias, gemm.halfBias, item * gemm.biasBatch + column);
  if (gemm.accumulate) value += old;
  if (gemm.relu && !(value > 0)) return 0;
  return gemm.gate && !(gemmNumber(gemm.gate, gemm.halfGate, at) > 0) ? 0 : value;
}

// `count` neighbouring elements, 2 or 4, of the row that begins at `row` of C, as many as there are.
template <int count>
DEVICE void gemmWriteHalves(const Gemm& gemm, int64_t item, int64_t row, int64_t column, const float (&values)[count]) {
  struct alignas(2 * count) Run {
    uint16_t v[count];
  };
  uint16_t* const to = static_cast<uint16_t*>(gemm.c) + row + column;
  const bool wide = gemm.wideC && column + count <= gemm.n;
  Run run;
#pragma unroll
  for (int i = 0; i < count; ++i) {
    const bool inside = column + i < gemm.n;
    run.v[i] = roundToBfloat16(inside ? gemmValue(gemm, item, column + i, row + column + i, 0, values[i]) : 0.0f);
    if (!wide && inside) to[i] = run.v[i];
  }
  if (wide) *reinterpret_cast<Run*>(to) = run;
}
template <int count>
DEVICE void gemmWrite(const Gemm& gemm, int64_t item, int64_t row, int64_t column, const float (&values)[count]) {
  if (gemm.halfC) return gemmWriteHalves(gemm, item, row, column, values);
  struct alignas(4 * count) Run {
    float v[count];
  };
  float* const to = static_cast<float*>(gemm.c) + row + column;
  if (gemm.wideC && column + count <= gemm.n) {
    Run run = {};
    if (gemm.accumulate) run = *reinterpret_cast<const Run*>(to);
#pragma unroll
    for (int i = 0; i < count; ++i) run.v[i] = gemmValue(gemm, item, column + i, row + column + i, run.v[i], values[i]);
    *reinterpret_cast<Run*>(to) = run;
    return;
  }
#pragma unroll
  for (int i = 0; i < count; ++i) {
    if (column + i < gemm.n)
      to[i] = gemmValue(gemm, item, column + i, row + column + i, gemm.accumulate ? to[i] : 0, values[i]);
  }
}
template <int count>
DEVICE void gemmWritePartial(const Gemm& gemm, float* row, int64_t column, const float (&values)[count]) {
  struct alignas(4 * count) Run {
    float v[count];
  };
  if (gemm.n % 4 == 0 && column + count <= gemm.n) {
    Run run;
#pragma unroll
    for (int i = 0; i < count; ++i) run.v[i] = values[i];
    *reinterpret_cast<Run*>(row + column) = run;
    return;
  }
#pragma unroll
  for (int i = 0; i < count; ++i) {
    if (column + i < gemm.n) row[column + i] = values[i];
  }
}

// Bands of so many rows of tiles, each column by column: tiles that are made at the same time share operands.
constexpr uint32_t kGemmBand = 8;

// `Math` multiplies what lies in shared memory; see TensorMath and ExactMath. Both sides' copies of a step are ahead of
// it by `stages` - 1 steps.
template <typename Math, bool windowed>
DEVICE void gemmBody(const Gemm& gemm) {
  using A = typename Math::A;
  using B = typename Math::B;
  using Element = typename A::Element;
  constexpr int height = Math::height, width = Math::width, depth = Math::depth, stages = Math::stages;
  constexpr int stage = A::elements + B::elements;
  Element* const tiles = dynamicShared<Element>();
  WindowPart* const xParts = reinterpret_cast<WindowPart*>(tiles + stages * stage);
  WindowPart* const kParts = xParts + height;  // of two steps

  // Of 32 bits: divisions of 64 take as long as a small product.
  const uint32_t rowTiles = uint32_t(uint64_t(gemm.m + height - 1) / height),
                 columnTiles = uint32_t(uint64_t(gemm.n + width - 1) / width);
  const uint32_t band = blockIdx.x / (kGemmBand * columnTiles), within = blockIdx.x - band * kGemmBand * columnTiles;
  const uint32_t left = rowTiles - band * kGemmBand, bandRows = left < kGemmBand ? left : kGemmBand;
  const uint32_t tileColumn = within / bandRows;
  const int64_t row0 = int64_t(band * kGemmBand + within - tileColumn * bandRows) * height,
                column0 = int64_t(tileColumn) * width;

  for (int64_t z = blockIdx.y; z < gemm.batchCount * gemm.parts; z += gridDim.y) {
    const Quotient product = divide(z, gemm.parts);
    const int64_t item = product.quotient, part = product.rest;
    const GemmPlace place = gemmPlace(gemm, item);
    const Element* const dataA = static_cast<const Element*>(gemm.a.data) + place.a;
    const Element* const dataB = static_cast<const Element*>(gemm.b.data) + place.b;
    const int64_t begin = part * gemm.kPart, end = begin + gemm.kPart < gemm.k ? begin + gemm.kPart : gemm.k;
    const int steps = int((end - begin + depth - 1) / depth);
    PlainSource<Element, windowed && B::alongDepth> sourceB{gemm.b, dataB, column0, gemm.n, end, begin};
    PlainSource<Element, false> plainA{gemm.a, dataA, row0, gemm.m, end, begin};
    WindowSource<Element> windowA{gemm.window, dataA, xParts, kParts};
    // Parts of the windows' k, one step before the copies that need them.
    const auto prepare = [&](int step) {
      if constexpr (windowed) {
        for (int k = int(threadIdx.x); k < depth && step < steps; k += Math::threads)
          kParts[step % 2 * depth + k] =
              windowPart(gemm.window, !gemm.window.rowsAreTaps, begin + int64_t(step) * depth + k, end);
      }
    };
    const auto copy = [&](int step, int side) {
      if (step < steps) {
        Element* const to = tiles + side * stage;
        sourceB.firstK = begin + int64_t(step) * depth;
        if constexpr (windowed) {
          windowA.kParts = kParts + step % 2 * depth;
          A::fill(windowA, to, gemm.wideA);
        } else {
          plainA.firstK = sourceB.firstK;
          A::fill(plainA, to, gemm.wideA);
        }
        B::fill(sourceB, to + A::elements, gemm.wideB);
      }
      commitCopies();
    };

    if constexpr (windowed) {
      for (int i = int(threadIdx.x); i < height; i += Math::threads)
        xParts[i] = windowPart(gemm.window, gemm.window.rowsAreTaps, row0 + i, gemm.m);
      prepare(0);
    }
    for (int step = 0; step < stages - 1; ++step) {
      if constexpr (windowed) {
        syncBlock();
        prepare(step + 1);
      }
      copy(step, step);
    }

    Math math;
    math.clear();
    int side = 0;
    const auto after = [](int other) { return other == stages - 1 ? 0 : other + 1; };
    const auto tileA = [&](int of) { return tiles + of * stage; };
    const auto tileB = [&](int of) { return tiles + of * stage + A::elements; };
    // The copies of all for the next step are there, and nobody reads the step before this one any more.
    const auto awaitNext = [] {
      waitCopies<stages - 2>();
      syncBlock();
    };
    awaitNext();
    constexpr bool ahead = !windowed;  // the places of windows need the registers
    if constexpr (ahead) math.begin(tileA(0), tileB(0));
    for (int step = 0; step < steps; ++step) {
      const int next = after(side);
      math.template multiply<ahead>(
          tileA(side), tileB(side), tileA(next), tileB(next),
          [&] {
            copy(step + stages - 1, side == 0 ? stages - 1 : side - 1);
            prepare(step + stages);
          },
          awaitNext);
      side = next;
    }
    waitCopies<0>();
    syncBlock();
    if (math.join(reinterpret_cast<float*>(tiles))) {
      float* const partial = gemm.partial + (part * gemm.batchCount + item) * gemm.m * gemm.n;
      math.each([&](int i, int j, const auto& values) {
        const int64_t row = row0 + i, column = column0 + j;
        if (row >= gemm.m || column >= gemm.n) return;
        if (gemm.parts > 1) {
          gemmWritePartial(gemm, partial + row * gemm.n, column, values);
        } else {
          gemmWrite(gemm, item, place.c + row * gemm.cRow, column, values);
        }
      });
    }
    syncBlock();  // what `join` used is free for the next product
  }
}

// Slices of a block that sum every slices-th part of a step: the others hand their sums to the first, which adds them
// in order. True for the threads of the first.
template <int slices, int threads, int count>
DEVICE bool joinSlices(float (&sums)[count], float* memory) {
  if constexpr (slices > 1) {
    constexpr int each = threads / slices;
    const int slice = int(threadIdx.x) / each, thread = int(threadIdx.x) % each;
    if (slice > 0) {
#pragma unroll
      for (int i = 0; i < count; ++i) memory[((slice - 1) * count + i) * each + thread] = sums[i];
    }
    syncBlock();
    if (slice > 0) return false;
#pragma unroll
    for (int other = 0; other < slices - 1; ++other)
#pragma unroll
      for (int i = 0; i < count; ++i) sums[i] += memory[(other * count + i) * each + thread];
  }
  return true;
}

// Kernels of one kind of math, by tile and by whether A and B are contiguous along k (K) or not (X), plain or windowed.
// Where neither is (a product of two transposed matrices), A is read as if it were, element by element.
constexpr bool gemmK = true, gemmX = false, gemmPlain = false, gemmWindowed = true;
#define GEMM_DEFINE(math, tile, a, b, window)                                          \
  KERNEL_BODY __launch_bounds__(math##tile::threads, math##tile::blocks(gemm##window)) \
      gemm##math##tile##a##b##window(const __grid_constant__ Gemm gemm) {              \
    gemmBody<math##Math<math##tile, gemm##a, gemm##b>, gemm##window>(gemm);            \
  }
#define GEMM_KERNELS_PLAIN(math, tile) \
  GEMM_DEFINE(math, tile, K, K, Plain) \
  GEMM_DEFINE(math, tile, K, X, Plain) \
  GEMM_DEFINE(math, tile, X, X, Plain)
#define GEMM_KERNELS_WINDOWED(math, tile) \
  GEMM_DEFINE(math, tile, K, X, Windowed) \
  GEMM_DEFINE(math, tile, K, K, Windowed) \
  GEMM_DEFINE(math, tile, X, X, Windowed)

}  // namespace chainrule::cuda
