#pragma once

// Products on tensor cores: factors are rounded to tf32, sums are float32.

#include "cuda/kernels/gemm.cuh"

namespace chainrule::cuda {

// Tiles of C, the depth of a step and the steps in flight; warps down and across the tile, and slices of a step, that
// share the work; blocks that fit a multiprocessor. A warp's part of 64 x 64 lets the tensor cores wait for
// themselves, not for shared memory.
template <int height_, int width_, int depth_, int stages_, int down_, int across_, int slices_, int blocks_>
struct Tf32Tile {
  static constexpr int height = height_, width = width_, depth = depth_, stages = stages_;
  static constexpr int down = down_, across = across_, slices = slices_;
  static constexpr int threads = kWarp * down * across * slices;
  static constexpr int blocks(bool) { return blocks_; }
};
using Tf32Large = Tf32Tile<128, 256, 32, 4, 2, 4, 1, 1>;
using Tf32Medium = Tf32Tile<128, 128, 32, 3, 2, 2, 1, 2>;
using Tf32Small = Tf32Tile<64, 64, 32, 4, 2, 2, 1, 3>;
using Tf32Tiny = Tf32Tile<32, 32, 64, 3, 1, 1, 4, 4>;

// The fragments of an operand for `tiles` x 8 elements x and 8 k: values[i][h] is (element at(i, g), k t + 4 h).
template <typename Tile, int tiles>
struct Tf32Fragments {
  static constexpr bool alongK = Tile::rowsOfK;
  static_assert(tiles % 4 == 0);
  float values[tiles][2];

  // Along k neighbours g are neighbours in the tile; along x a lane has four neighbours, to read them at once.
  DEVICE_MEMBER static int at(int i, int g) { return alongK ? i * 8 + g : i / 4 * 32 + g * 4 + i % 4; }

  DEVICE_MEMBER void load(const float* tile, int x, int k) {
    const int lane = int(threadIdx.x) % kWarp, g = lane / 4, t = lane % 4;
    if constexpr (alongK) {
      const float* const row = tile + Tile::at(x + lane / 16 * 8 + lane % 8, k + lane / 8 % 2 * 4);
#pragma unroll
      for (int i = 0; i < tiles; i += 2) {
        float loaded[4];
        loadTiles(loaded, row + i * 8 * Tile::row);
        values[i][0] = loaded[0];
        values[i][1] = loaded[1];
        values[i + 1][0] = loaded[2];
        values[i + 1][1] = loaded[3];
      }
    } else {
#pragma unroll
      for (int h = 0; h < 2; ++h)
#pragma unroll
        for (int i = 0; i < tiles; i += 4) {
          const Four four = *reinterpret_cast<const Four*>(tile + Tile::at(x + i * 8 + g * 4, k + t + 4 * h));
#pragma unroll
          for (int e = 0; e < 4; ++e) values[i + e][h] = four.v[e];
        }
    }
  }
  DEVICE_MEMBER void round() {
#pragma unroll
    for (auto& tile : values)
#pragma unroll
      for (float& value : tile) value = roundTf32(value);
  }
};

template <typename Tile, bool aAlongK, bool bAlongK>
struct Tf32Math : Tile {
  using A = GemmTile<Tile::height, Tile::depth, Tile::threads, aAlongK, false>;
  using B = GemmTile<Tile::width, Tile::depth, Tile::threads, bAlongK, false>;
  static constexpr int warpRows = Tile::height / Tile::down, warpColumns = Tile::width / Tile::across;
  static constexpr int rows = warpRows / 16, columns = warpColumns / 8, sliceDepth = Tile::depth / Tile::slices;
  static constexpr int steps = sliceDepth / 8;
  using Rows = Tf32Fragments<A, 2 * rows>;
  using Columns = Tf32Fragments<B, columns>;
  float sum[rows * columns * 4];

  DEVICE_MEMBER static int warp() { return int(threadIdx.x) / kWarp % (Tile::down * Tile::across); }
  DEVICE_MEMBER static int slice() { return int(threadIdx.x) / kWarp / (Tile::down * Tile::across); }
  DEVICE_MEMBER static int row0() { return warp() / Tile::across * warpRows; }
  DEVICE_MEMBER static int column0() { return warp() % Tile::across * warpColumns; }

  DEVICE_MEMBER void clear() {
#pragma unroll
    for (float& element : sum) element = 0;
  }
  DEVICE_MEMBER void multiply(const float* a, const float* b) {
    const int k0 = Tile::slices > 1 ? slice() * sliceDepth : 0;
    Rows x[2];
    Columns y[2];
    x[0].load(a, row0(), k0);
    y[0].load(b, column0(), k0);
#pragma unroll
    for (int step = 0; step < steps; ++step) {
      Rows& nowX = x[step % 2];
      Columns& nowY = y[step % 2];
      if (step + 1 < steps) {
        x[1 - step % 2].load(a, row0(), k0 + 8 * (step + 1));
        y[1 - step % 2].load(b, column0(), k0 + 8 * (step + 1));
      }
      nowX.round();
      nowY.round();
#pragma unroll
      for (int i = 0; i < rows; ++i) {
        const float left[4] = {nowX.values[2 * i][0], nowX.values[2 * i + 1][0], nowX.values[2 * i][1],
                               nowX.values[2 * i + 1][1]};
#pragma unroll
        for (int j = 0; j < columns; ++j) mmaTf32(&sum[(i * columns + j) * 4], left, nowY.values[j]);
      }
    }
  }
  DEVICE_MEMBER bool join(float* memory) { return joinSlices<Tile::slices, Tile::threads>(sum, memory); }
  template <typename Store>
  DEVICE_MEMBER void each(Store store) const {
    const int g = int(threadIdx.x) % kWarp / 4, t = int(threadIdx.x) % 4;
#pragma unroll
    for (int i = 0; i < 2 * rows; ++i) {
      const int row = row0() + Rows::at(i, g);
      const auto element = [&](int j, int e) { return sum[(i / 2 * columns + j) * 4 + i % 2 * 2 + e]; };
      if constexpr (bAlongK) {
#pragma unroll
        for (int j = 0; j < columns; ++j) {
          const float run[2] = {element(j, 0), element(j, 1)};
          store(row, column0() + 8 * j + 2 * t, run);
        }
      } else {
#pragma unroll
        for (int j = 0; j < columns; j += 4)
#pragma unroll
          for (int e = 0; e < 2; ++e) {
            const float run[4] = {element(j, e), element(j + 1, e), element(j + 2, e), element(j + 3, e)};
            store(row, column0() + Columns::at(j, 2 * t + e), run);
          }
      }
    }
  }
};

GEMM_KERNELS_PLAIN(Tf32, Large)
GEMM_KERNELS_PLAIN(Tf32, Medium)
GEMM_KERNELS_PLAIN(Tf32, Small)
GEMM_KERNELS_PLAIN(Tf32, Tiny)
GEMM_KERNELS_WINDOWED(Tf32, Medium)
GEMM_KERNELS_WINDOWED(Tf32, Small)
GEMM_KERNELS_WINDOWED(Tf32, Tiny)

}  // namespace chainrule::cuda
