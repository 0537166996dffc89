#pragma once

// Products of attention's tiles on the tensor cores, of factors rounded to tf32: each of 8 warps owns 16 rows of 32
// columns, as four results of mma.m16n8k8 (mma.cuh).

#include "cuda/kernels/attention_tile.cuh"
#include "cuda/kernels/mma.cuh"

namespace chainrule::cuda {

struct Tf32Tile {
  static constexpr int kRow = kAttentionTile + 8;   // floats: lanes (g, t) read the banks 8 t + g,
  static constexpr int kDepthRow = kTileDepth + 4;  // and 4 g + t

  DEVICE_MEMBER static int row(int, int j) { return firstRow() + group() + j / 2 * 8; }
  DEVICE_MEMBER static int column(int i, int j) { return firstColumn() + i * 8 + place() * 2 + j % 2; }

  // As ExactTile has them.
  DEVICE_MEMBER static TileValues product(const TileSource& a, const TileSource& b, float* memory) {
    float *const left = memory, *const right = memory + kAttentionTile * kDepthRow;
    TileValues sum = {};
#pragma unroll 1  // here and in stage: the addresses of several rounds would not fit into registers
    for (int64_t from = 0; from < a.columns; from += kTileDepth) {
      syncBlock();
      stage<kTileDepth, kDepthRow>(a, from, left);
      stage<kTileDepth, kDepthRow>(b, from, right);
      finishCopies();
      syncBlock();
      const float* const x = left + (firstRow() + group()) * kDepthRow + place();
      const float* const y = right + (firstColumn() + group()) * kDepthRow + place();
#pragma unroll
      for (int k = 0; k < kTileDepth; k += 8) {
        const float factors[4] = {roundTf32(x[k]), roundTf32(x[8 * kDepthRow + k]), roundTf32(x[k + 4]),
                                  roundTf32(x[8 * kDepthRow + k + 4])};
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          mmaTf32(sum.v[i], factors, {roundTf32(y[i * 8 * kDepthRow + k]), roundTf32(y[i * 8 * kDepthRow + k + 4])});
        }
      }
    }
    return sum;
  }

  template <int chunks>
  DEVICE_MEMBER static void accumulate(const float* t, const TileSource& x, float* memory, TileValues (&sum)[chunks]) {
#pragma unroll
    for (int chunk = 0; chunk < chunks; ++chunk) {
      syncBlock();
      stage<kAttentionTile, kRow>(x, chunk * kAttentionTile, memory);
      finishCopies();
      syncBlock();
      const float* const rows = t + place() * kRow + firstRow() + group();
      const float* const columns = memory + place() * kRow + firstColumn() + group();
#pragma unroll
      for (int k = 0; k < kAttentionTile; k += 8) {
        const float factors[4] = {roundTf32(rows[k * kRow]), roundTf32(rows[k * kRow + 8]),
                                  roundTf32(rows[(k + 4) * kRow]), roundTf32(rows[(k + 4) * kRow + 8])};
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          mmaTf32(sum[chunk].v[i], factors,
                  {roundTf32(columns[k * kRow + i * 8]), roundTf32(columns[(k + 4) * kRow + i * 8])});
        }
      }
    }
  }

  DEVICE_MEMBER static void keep(const TileValues& tile, bool transposed, float* to) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int at = row(i, j), by = column(i, j);
        to[transposed ? by * kRow + at : at * kRow + by] = tile.v[i][j];
      }
    }
  }

 private:
  DEVICE_MEMBER static int firstRow() { return int(threadIdx.x) / kWarp / 2 * 16; }
  DEVICE_MEMBER static int firstColumn() { return int(threadIdx.x) / kWarp % 2 * 32; }
  DEVICE_MEMBER static int group() { return int(threadIdx.x) % kWarp / 4; }
  DEVICE_MEMBER static int place() { return int(threadIdx.x) % 4; }

  // `size` columns of all rows from column `from` on, rows `stride` floats apart.
  template <int size, int stride>
  DEVICE_MEMBER static void stage(const TileSource& source, int64_t from, float* to) {
    constexpr int fours = size / 4;
#pragma unroll 1
    for (int i = int(threadIdx.x); i < kAttentionTile * fours; i += kAttentionThreads) {
      const int row = i / fours, column = i % fours * 4;
      float* const target = to + row * stride + column;
      if (source.wide) {
        copyAsync<16>(target, source.data + row * source.stride + from + column,
                      row < source.rows && from + column < source.columns);
      } else {
#pragma unroll
        for (int e = 0; e < 4; ++e) target[e] = tileAt(source, row, from + column + e);
      }
    }
  }
};

}  // namespace chainrule::cuda
