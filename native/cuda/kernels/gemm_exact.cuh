#pragma once

// Products in float32, each element a chain of fused multiply-adds.

#include "cuda/kernels/gemm.cuh"

namespace chainrule::cuda {

// As TensorTile; a thread makes own x own elements, in runs of four.
template <int height_, int width_, int depth_, int stages_, int own_, int slices_, int blocks_>
struct ExactTile {
  static constexpr int height = height_, width = width_, depth = depth_, stages = stages_;
  static constexpr int own = own_, slices = slices_;
  static constexpr int threads = height / own * (width / own) * slices;
  // Windows need more registers.
  static constexpr int blocks(bool windowed) { return blocks_ - windowed; }
};
using ExactMedium = ExactTile<128, 128, 16, 4, 8, 1, 2>;
using ExactSmall = ExactTile<64, 64, 32, 3, 8, 2, 3>;
using ExactTiny = ExactTile<32, 32, 64, 3, 4, 4, 2>;

template <typename Tile, bool aAlongK, bool bAlongK>
struct ExactMath : Tile {
  using A = GemmTile<float, Tile::height, Tile::depth, Tile::threads, aAlongK, aAlongK>;
  using B = GemmTile<float, Tile::width, Tile::depth, Tile::threads, bAlongK, bAlongK>;
  static constexpr int own = Tile::own, runs = own / 4, sliceDepth = Tile::depth / Tile::slices;
  static constexpr int across = Tile::width / own / 8;  // warps, of 4 x 8 threads
  float sum[own * own];

  DEVICE_MEMBER static int inSlice() { return int(threadIdx.x) % (Tile::threads / Tile::slices); }
  DEVICE_MEMBER static int row0() { return (inSlice() / kWarp / across * 4 + inSlice() % kWarp / 8) * 4; }
  DEVICE_MEMBER static int column0() { return (inSlice() / kWarp % across * 8 + inSlice() % 8) * 4; }

  DEVICE_MEMBER void clear() {
#pragma unroll
    for (float& element : sum) element = 0;
  }
  template <typename Of>
  DEVICE_MEMBER static void load(float (&x)[own], const float* tile, int k, int first, int size) {
#pragma unroll
    for (int run = 0; run < runs; ++run) {
      const Four four = *reinterpret_cast<const Four*>(tile + Of::at(first + run * (size / runs), k));
#pragma unroll
      for (int i = 0; i < 4; ++i) x[run * 4 + i] = four.v[i];
    }
  }
  DEVICE_MEMBER void begin(const float*, const float*) {}
  template <bool, typename Copy, typename AwaitNext>
  DEVICE_MEMBER void multiply(const float* a, const float* b, const float*, const float*, Copy copy,
                              AwaitNext awaitNext) {
    copy();
    const int k0 = Tile::slices > 1 ? int(threadIdx.x) / (Tile::threads / Tile::slices) * sliceDepth : 0;
#pragma unroll
    for (int k = 0; k < sliceDepth; ++k) {
      float x[own], y[own];
      load<A>(x, a, k0 + k, row0(), Tile::height);
      load<B>(y, b, k0 + k, column0(), Tile::width);
#pragma unroll
      for (int i = 0; i < own; ++i)
#pragma unroll
        for (int j = 0; j < own; ++j) sum[i * own + j] = fmaOf(x[i], y[j], sum[i * own + j]);
    }
    awaitNext();
  }
  DEVICE_MEMBER bool join(float* memory) { return joinSlices<Tile::slices, Tile::threads>(sum, memory); }
  template <typename Store>
  DEVICE_MEMBER void each(Store store) const {
#pragma unroll
    for (int i = 0; i < own; ++i)
#pragma unroll
      for (int run = 0; run < runs; ++run) {
        const float* const from = sum + i * own + run * 4;
        const float values[4] = {from[0], from[1], from[2], from[3]};
        store(row0() + i / 4 * (Tile::height / runs) + i % 4, column0() + run * (Tile::width / runs), values);
      }
  }
};

GEMM_KERNELS_PLAIN(Exact, Medium)
GEMM_KERNELS_PLAIN(Exact, Small)
GEMM_KERNELS_PLAIN(Exact, Tiny)
GEMM_KERNELS_WINDOWED(Exact, Medium)
GEMM_KERNELS_WINDOWED(Exact, Small)
GEMM_KERNELS_WINDOWED(Exact, Tiny)

KERNEL_BODY gemmJoin(const __grid_constant__ Gemm gemm) {
  const int64_t size = gemm.batchCount * gemm.m * gemm.n;
  for (int64_t i = globalThread(); i < size; i += globalThreads()) {
    float sum = gemm.partial[i];
    for (int64_t part = 1; part < gemm.parts; ++part) sum += gemm.partial[part * size + i];
    const int64_t column = i % gemm.n, row = i / gemm.n % gemm.m, item = i / (gemm.n * gemm.m);
    const int64_t at = gemmPlace(gemm, item).c + row * gemm.cRow + column;
    float* const to = static_cast<float*>(gemm.c) + at;
    const float value = gemmValue(gemm, item, column, at, gemm.accumulate ? *to : 0, sum);
    if (gemm.halfC) {
      static_cast<uint16_t*>(gemm.c)[at] = roundToBfloat16(value);
    } else {
      *to = value;
    }
  }
}

}  // namespace chainrule::cuda
