#pragma once

// Products of matrices, plain, batched, and with the windows of an image as A (convolution without im2col). A block
// makes a tile of C: it brings tiles of A and B of depth kDepth into shared memory, the next one while it works on this
// one. The sum of an element runs over k in order, whatever the grid.

#include "cuda/gemm.h"
#include "cuda/kernels/mma.cuh"

namespace chainrule::cuda {

constexpr int kGemmDepth = 32, kGemmThreads = 256;

struct alignas(16) Four {
  float v[4];
};

// A tile in shared memory, `size` elements x by kGemmDepth k. alongK: the operand is contiguous along k, and so is the
// tile.
template <int size, bool alongK>
struct GemmTile {
  static constexpr int row = alongK ? kGemmDepth + 4 : size + 8;  // no two lanes of a fragment meet in a bank
  static constexpr int floats = alongK ? size * row : kGemmDepth * row;
  static constexpr int fours = size * kGemmDepth / 4 / kGemmThreads;  // of each thread
  DEVICE_MEMBER static float& at(float* tile, int x, int k) { return tile[alongK ? x * row + k : k * row + x]; }
  // Where a thread's i-th run of four begins.
  DEVICE_MEMBER static void place(int i, int& x, int& k) {
    const int four = i * kGemmThreads + int(threadIdx.x);
    if (alongK) {
      x = four / (kGemmDepth / 4);
      k = four % (kGemmDepth / 4) * 4;
    } else {
      x = four % (size / 4) * 4;
      k = four / (size / 4);
    }
  }
};

// A plain operand of one product of the batch. cut: its k counts (outer, inner).
template <bool cut>
struct PlainSource {
  const GemmOperand& operand;
  const float* data;
  int64_t xCount, kCount;
  bool wide;

  DEVICE_MEMBER int64_t depth(int64_t k) const {
    if (!cut) return k * operand.inner;
    const uint32_t outer = uint32_t(k) / uint32_t(operand.innerCount);  // k < 2^31: taps times channels
    return outer * operand.outer + (k - int64_t(outer) * operand.innerCount) * operand.inner;
  }
  template <bool alongK>
  DEVICE_MEMBER Four load(int64_t x, int64_t k) const {
    const bool inside = x < xCount && k < kCount;
    const bool whole = alongK ? k + 4 <= kCount : x + 4 <= xCount;
    if (wide && inside && whole) return *reinterpret_cast<const Four*>(data + x * operand.x + depth(k));
    Four four = {};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int64_t xi = alongK ? x : x + i, ki = alongK ? k + i : k;
      if (xi < xCount && ki < kCount) four.v[i] = data[xi * operand.x + depth(ki)];
    }
    return four;
  }
};

// The share of a pixel or a tap in the place of an element of a window.
struct WindowPart {
  int64_t offset;
  int32_t h, w;
};
DEVICE WindowPart windowPixel(const GemmWindow& g, int64_t i) {
  const int64_t row = i / g.gridWidth;
  const int32_t w = int32_t(i - row * g.gridWidth), h = int32_t(row % g.gridHeight);
  return {row / g.gridHeight * g.image, h * g.step[0] + g.add[0], w * g.step[1] + g.add[1]};
}
DEVICE WindowPart windowTap(const GemmWindow& g, int64_t i) {
  const int32_t tap = int32_t(i / g.channels), c = int32_t(i - int64_t(tap) * g.channels);
  return {c, tap / g.taps[1] * g.tap[0], tap % g.taps[1] * g.tap[1]};
}

// The parts of the rows stay, those of k change from tile to tile.
template <int size>
struct WindowSource {
  const GemmWindow& window;
  const float* data;
  int64_t xCount, kCount;
  bool wide;
  WindowPart *xParts, *kParts;  // in shared memory
  int64_t firstX, firstK;

  DEVICE_MEMBER WindowPart part(bool tap, int64_t i, int64_t count) const {
    if (i >= count) return {0, INT32_MIN / 2, 0};
    return tap ? windowTap(window, i) : windowPixel(window, i);
  }
  DEVICE_MEMBER void prepareRows() const {
    for (int i = int(threadIdx.x); i < size; i += kGemmThreads)
      xParts[i] = part(window.rowsAreTaps, firstX + i, xCount);
  }
  DEVICE_MEMBER void prepareDepth() const {
    if (threadIdx.x < kGemmDepth) kParts[threadIdx.x] = part(!window.rowsAreTaps, firstK + threadIdx.x, kCount);
  }
  DEVICE_MEMBER bool find(const WindowPart& x, const WindowPart& k, int64_t& offset) const {
    int32_t h = x.h + k.h, w = x.w + k.w;
    if (window.divide[0] > 1) {
      if (h < 0 || h % window.divide[0] != 0) return false;
      h /= window.divide[0];
    }
    if (window.divide[1] > 1) {
      if (w < 0 || w % window.divide[1] != 0) return false;
      w /= window.divide[1];
    }
    offset = x.offset + k.offset + h * window.row + w * window.pixel;
    return h >= 0 && h < window.height && w >= 0 && w < window.width;
  }
  template <bool alongK>
  DEVICE_MEMBER Four load(int64_t x, int64_t k) const {
    const int xi = int(x - firstX), ki = int(k - firstK);
    Four four = {};
    int64_t offset;
    if (wide) {
      if (find(xParts[xi], kParts[ki], offset)) four = *reinterpret_cast<const Four*>(data + offset);
      return four;
    }
    for (int i = 0; i < 4; ++i) {
      if (find(xParts[alongK ? xi : xi + i], kParts[alongK ? ki + i : ki], offset)) four.v[i] = data[offset];
    }
    return four;
  }
};

// Exact: a thread makes elements 16 apart, each by a chain of fused multiply-adds.
template <int height, int width, bool aAlongK, bool bAlongK>
struct ExactMath {
  static constexpr int rows = height / 16, columns = width / 16;
  using A = GemmTile<height, aAlongK>;
  using B = GemmTile<width, bAlongK>;
  float sum[rows][columns];

  DEVICE_MEMBER static float prepare(float x) { return x; }
  DEVICE_MEMBER void clear() {
    for (auto& row : sum)
      for (float& element : row) element = 0;
  }
  DEVICE_MEMBER void multiply(float* a, float* b) {
    const int tx = int(threadIdx.x) % 16, ty = int(threadIdx.x) / 16;
#pragma unroll 4
    for (int k = 0; k < kGemmDepth; ++k) {
      float x[rows], y[columns];
#pragma unroll
      for (int i = 0; i < rows; ++i) x[i] = A::at(a, ty + 16 * i, k);
#pragma unroll
      for (int j = 0; j < columns; ++j) y[j] = B::at(b, tx + 16 * j, k);
#pragma unroll
      for (int i = 0; i < rows; ++i)
#pragma unroll
        for (int j = 0; j < columns; ++j) sum[i][j] = fmaOf(x[i], y[j], sum[i][j]);
    }
  }
  template <typename Store>
  DEVICE_MEMBER void each(Store store) const {
    const int tx = int(threadIdx.x) % 16, ty = int(threadIdx.x) / 16;
#pragma unroll
    for (int i = 0; i < rows; ++i)
#pragma unroll
      for (int j = 0; j < columns; ++j) store(ty + 16 * i, tx + 16 * j, sum[i][j]);
  }
};

// Tensor cores, factors rounded to tf32: eight warps, 2 x 4, each with its part of the tile.
template <int height, int width, bool aAlongK, bool bAlongK>
struct Tf32Math {
  static constexpr int warpRows = height / 2, warpColumns = width / 4;
  static constexpr int rows = warpRows / 16, columns = warpColumns / 8;
  using A = GemmTile<height, aAlongK>;
  using B = GemmTile<width, bAlongK>;
  float sum[rows][columns][4];

  DEVICE_MEMBER static float prepare(float x) { return roundTf32(x); }
  DEVICE_MEMBER void clear() {
    for (auto& row : sum)
      for (auto& tile : row)
        for (float& element : tile) element = 0;
  }
  DEVICE_MEMBER void multiply(float* a, float* b) {
    const int warp = int(threadIdx.x) / 32, g = int(threadIdx.x) % 32 / 4, t = int(threadIdx.x) % 4;
    const int row = warp / 4 * warpRows + g, column = warp % 4 * warpColumns + g;
#pragma unroll
    for (int k = 0; k < kGemmDepth; k += 8) {
      float x[rows][4], y[columns][2];
#pragma unroll
      for (int i = 0; i < rows; ++i) {
        x[i][0] = A::at(a, row + 16 * i, k + t);
        x[i][1] = A::at(a, row + 16 * i + 8, k + t);
        x[i][2] = A::at(a, row + 16 * i, k + t + 4);
        x[i][3] = A::at(a, row + 16 * i + 8, k + t + 4);
      }
#pragma unroll
      for (int j = 0; j < columns; ++j) {
        y[j][0] = B::at(b, column + 8 * j, k + t);
        y[j][1] = B::at(b, column + 8 * j, k + t + 4);
      }
#pragma unroll
      for (int i = 0; i < rows; ++i)
#pragma unroll
        for (int j = 0; j < columns; ++j) mmaTf32(sum[i][j], x[i], y[j]);
    }
  }
  template <typename Store>
  DEVICE_MEMBER void each(Store store) const {
    const int warp = int(threadIdx.x) / 32, g = int(threadIdx.x) % 32 / 4, t = int(threadIdx.x) % 4;
    const int row = warp / 4 * warpRows + g, column = warp % 4 * warpColumns + 2 * t;
#pragma unroll
    for (int i = 0; i < rows; ++i)
#pragma unroll
      for (int j = 0; j < columns; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) store(row + 16 * i + e / 2 * 8, column + 8 * j + e % 2, sum[i][j][e]);
  }
};

template <typename Math, typename Tile, bool alongK, typename Source>
DEVICE void gemmFetch(const Source& source, int64_t firstX, int64_t firstK, Four (&fours)[Tile::fours]) {
#pragma unroll
  for (int i = 0; i < Tile::fours; ++i) {
    int x, k;
    Tile::place(i, x, k);
    fours[i] = source.template load<alongK>(firstX + x, firstK + k);
  }
}
template <typename Math, typename Tile>
DEVICE void gemmStore(const Four (&fours)[Tile::fours], float* tile) {
#pragma unroll
  for (int i = 0; i < Tile::fours; ++i) {
    int x, k;
    Tile::place(i, x, k);
    Four four = fours[i];
    for (float& v : four.v) v = Math::prepare(v);
    *reinterpret_cast<Four*>(&Tile::at(tile, x, k)) = four;
  }
}

// Offsets of product z of the batch.
struct GemmPlace {
  int64_t a = 0, b = 0, c = 0;
};
DEVICE GemmPlace gemmPlace(const Gemm& gemm, int64_t z) {
  GemmPlace place;
  for (int axis = kGemmBatchRank - 1; axis >= 0; --axis) {
    if (gemm.batchDims[axis] == 1) continue;
    const int64_t rest = z / gemm.batchDims[axis], index = z - rest * gemm.batchDims[axis];
    place.a += index * gemm.a.batch[axis];
    place.b += index * gemm.b.batch[axis];
    place.c += index * gemm.cBatch[axis];
    z = rest;
  }
  return place;
}

DEVICE void gemmWrite(const Gemm& gemm, int64_t item, float* c, int64_t row, int64_t column, float value) {
  float& to = c[row * gemm.cRow + column];
  if (gemm.bias) value += gemm.bias[item * gemm.biasBatch + column];
  if (gemm.accumulate) value += to;
  if (gemm.relu) value = value > 0 ? value : 0;
  to = value;
}

template <typename Math, int height, int width, bool aAlongK, bool bAlongK, bool windowed>
DEVICE void gemmBody(const Gemm& gemm) {
  using A = GemmTile<height, aAlongK>;
  using B = GemmTile<width, bAlongK>;
  float* const tiles = dynamicShared<float>();  // A B A B
  WindowPart* const parts = reinterpret_cast<WindowPart*>(tiles + 2 * (A::floats + B::floats));
  const int64_t rowTiles = (gemm.m + height - 1) / height;
  const int64_t column0 = blockIdx.x / rowTiles * width, row0 = blockIdx.x % rowTiles * height;

  for (int64_t z = blockIdx.y; z < gemm.batchCount * gemm.parts; z += gridDim.y) {
    const int64_t item = z / gemm.parts, part = z % gemm.parts;
    const GemmPlace place = gemmPlace(gemm, item);
    const int64_t begin = part * gemm.kPart, end = begin + gemm.kPart < gemm.k ? begin + gemm.kPart : gemm.k;
    const PlainSource<windowed && bAlongK> sourceB{gemm.b, gemm.b.data + place.b, gemm.n, end, gemm.wideB};
    const PlainSource<false> plainA{gemm.a, gemm.a.data + place.a, gemm.m, end, gemm.wideA};
    WindowSource<height> windowA{gemm.window, gemm.a.data + place.a, gemm.m, end,  gemm.wideA,
                                 parts,       parts + height,        row0,   begin};
    Four nextA[A::fours], nextB[B::fours];
    const auto fetch = [&](int64_t k) {
      if constexpr (windowed) {
        syncBlock();  // the parts of the tile before have been read
        windowA.firstK = k;
        windowA.prepareDepth();
        syncBlock();
        gemmFetch<Math, A, aAlongK>(windowA, row0, k, nextA);
      } else {
        gemmFetch<Math, A, aAlongK>(plainA, row0, k, nextA);
      }
      gemmFetch<Math, B, bAlongK>(sourceB, column0, k, nextB);
    };
    const auto keep = [&](int side) {
      gemmStore<Math, A>(nextA, tiles + side * (A::floats + B::floats));
      gemmStore<Math, B>(nextB, tiles + side * (A::floats + B::floats) + A::floats);
    };
    if constexpr (windowed) windowA.prepareRows();

    Math math;
    math.clear();
    int side = 0;
    fetch(begin);
    syncBlock();  // the last tile of the product before has been read
    keep(0);
    syncBlock();
    for (int64_t k = begin; k < end; k += kGemmDepth) {
      const bool more = k + kGemmDepth < end;
      if (more) fetch(k + kGemmDepth);
      float* const tile = tiles + side * (A::floats + B::floats);
      math.multiply(tile, tile + A::floats);
      side ^= 1;
      if (more) keep(side);
      syncBlock();
    }
    float* const partial = gemm.partial + (part * gemm.batchCount + item) * gemm.m * gemm.n;
    math.each([&](int i, int j, float value) {
      const int64_t row = row0 + i, column = column0 + j;
      if (row >= gemm.m || column >= gemm.n) return;
      if (gemm.parts > 1) {
        partial[row * gemm.n + column] = value;
      } else {
        gemmWrite(gemm, item, gemm.c + place.c, row, column, value);
      }
    });
  }
}

#define GEMM_KERNEL(math, size, a, b, window)                                                                     \
  KERNEL_BODY __launch_bounds__(kGemmThreads) gemm##math##size##a##b##window(const __grid_constant__ Gemm gemm) { \
    gemmBody<math##Math<size, size, gemm##a, gemm##b>, size, size, gemm##a, gemm##b, gemm##window>(gemm);         \
  }
// Names: math, size of the tile, whether A and B are contiguous along k (K) or not (X), plain or windowed.
constexpr bool gemmK = true, gemmX = false, gemmPlain = false, gemmWindowed = true;
#define GEMM_KERNELS(math, size)          \
  GEMM_KERNEL(math, size, K, K, Plain)    \
  GEMM_KERNEL(math, size, K, X, Plain)    \
  GEMM_KERNEL(math, size, X, K, Plain)    \
  GEMM_KERNEL(math, size, X, X, Plain)    \
  GEMM_KERNEL(math, size, K, X, Windowed) \
  GEMM_KERNEL(math, size, K, K, Windowed) \
  GEMM_KERNEL(math, size, X, X, Windowed)
GEMM_KERNELS(Exact, 128)
GEMM_KERNELS(Exact, 64)
GEMM_KERNELS(Exact, 32)
GEMM_KERNELS(Tf32, 128)
GEMM_KERNELS(Tf32, 64)
#undef GEMM_KERNELS
#undef GEMM_KERNEL

KERNEL_BODY gemmJoin(const __grid_constant__ Gemm gemm) {
  const int64_t size = gemm.batchCount * gemm.m * gemm.n;
  for (int64_t i = globalThread(); i < size; i += globalThreads()) {
    float sum = gemm.partial[i];
    for (int64_t part = 1; part < gemm.parts; ++part) sum += gemm.partial[part * size + i];
    const int64_t column = i % gemm.n, row = i / gemm.n % gemm.m, item = i / (gemm.n * gemm.m);
    gemmWrite(gemm, item, gemm.c + gemmPlace(gemm, item).c, row, column, sum);
  }
}

}  // namespace chainrule::cuda
