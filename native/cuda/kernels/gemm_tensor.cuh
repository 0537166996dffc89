#pragma once

// Products on tensor cores, whatever the kind of their factors; sums are float32.

#include "cuda/kernels/gemm.cuh"

namespace chainrule::cuda {

// Tiles of C, the depth of a step and the steps in flight; warps down and across the tile, and slices of a step, that
// share the work; blocks that fit a multiprocessor. A warp's part of 64 x 64 lets the tensor cores wait for
// themselves, not for shared memory.
template <int height_, int width_, int depth_, int stages_, int down_, int across_, int slices_, int blocks_>
struct TensorTile {
  static constexpr int height = height_, width = width_, depth = depth_, stages = stages_;
  static constexpr int down = down_, across = across_, slices = slices_;
  static constexpr int threads = kWarp * down * across * slices;
  static constexpr int blocks(bool) { return blocks_; }
};

// Fragments<Tile, tiles, left> holds `tiles` x 8 elements x and `depth` k of an operand, the left or the right one;
// load() takes them from its tile in shared memory, round() makes them what multiply() reads.
template <typename Tile, typename Element, template <typename, int, bool> class Fragments, bool aAlongK, bool bAlongK>
struct TensorMath : Tile {
  using A = GemmTile<Element, Tile::height, Tile::depth, Tile::threads, aAlongK, false>;
  using B = GemmTile<Element, Tile::width, Tile::depth, Tile::threads, bAlongK, false>;
  static constexpr int warpRows = Tile::height / Tile::down, warpColumns = Tile::width / Tile::across;
  static constexpr int rows = warpRows / 16, columns = warpColumns / 8, sliceDepth = Tile::depth / Tile::slices;
  using Rows = Fragments<A, 2 * rows, true>;
  using Columns = Fragments<B, columns, false>;
  static constexpr int steps = sliceDepth / Rows::depth;
  static_assert(steps % 2 == 0);  // the first fragments of every step come into the same registers
  float sum[rows * columns * 4];
  Rows x[2];
  Columns y[2];

  DEVICE_MEMBER static int warp() { return int(threadIdx.x) / kWarp % (Tile::down * Tile::across); }
  DEVICE_MEMBER static int slice() { return int(threadIdx.x) / kWarp / (Tile::down * Tile::across); }
  DEVICE_MEMBER static int row0() { return warp() / Tile::across * warpRows; }
  DEVICE_MEMBER static int column0() { return warp() % Tile::across * warpColumns; }
  DEVICE_MEMBER static int k0() { return Tile::slices > 1 ? slice() * sliceDepth : 0; }

  DEVICE_MEMBER void clear() {
#pragma unroll
    for (float& element : sum) element = 0;
  }
  DEVICE_MEMBER void load(int to, const Element* a, const Element* b, int step) {
    x[to].load(a, row0(), k0() + Rows::depth * step);
    y[to].load(b, column0(), k0() + Rows::depth * step);
  }
  DEVICE_MEMBER void begin(const Element* a, const Element* b) { load(0, a, b, 0); }
  // Fragments are fetched while those before them are multiplied; ahead: the first of the next step, too.
  template <bool ahead, typename Copy, typename AwaitNext>
  DEVICE_MEMBER void multiply(const Element* a, const Element* b, const Element* nextA, const Element* nextB, Copy copy,
                              AwaitNext awaitNext) {
    if constexpr (!ahead) {
      copy();
      load(0, a, b, 0);
    }
#pragma unroll
    for (int step = 0; step < steps; ++step) {
      if (step + 1 < steps) {
        load(1 - step % 2, a, b, step + 1);
      } else {
        awaitNext();
        if constexpr (ahead) load(0, nextA, nextB, 0);
      }
      if (ahead && step == 0) copy();
      Rows& nowX = x[step % 2];
      Columns& nowY = y[step % 2];
      nowX.round();
      nowY.round();
#pragma unroll
      for (int i = 0; i < rows; ++i)
#pragma unroll
        for (int j = 0; j < columns; ++j) Rows::multiply(&sum[(i * columns + j) * 4], nowX, i, nowY, j);
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
      if constexpr (Columns::inOrder) {
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

}  // namespace chainrule::cuda
