#pragma once

// Products of attention's tiles that keep all bits: 16 x 16 threads own 4 x 4 neighbouring elements each.

#include "cuda/kernels/attention_tile.cuh"

namespace chainrule::cuda {

struct ExactTile {
  static constexpr int kRow = kAttentionTile + 4;  // floats: apart from 64, so that columns spread over the banks

  DEVICE_MEMBER static int row(int i, int) { return firstRow() + i; }
  DEVICE_MEMBER static int column(int, int j) { return firstColumn() + j; }

  // a b^T over the columns of both; `memory`: a tile of shared memory.
  DEVICE_MEMBER static TileValues product(const TileSource& a, const TileSource& b, float* memory) {
    float *const left = memory, *const right = memory + kTileDepth * kRow;
    TileValues sum = {};
    for (int64_t from = 0; from < a.columns; from += kTileDepth) {
      syncBlock();
      for (int i = int(threadIdx.x); i < kAttentionTile * kTileDepth; i += kAttentionThreads) {
        const int row = i / kTileDepth, column = i % kTileDepth;
        left[column * kRow + row] = tileAt(a, row, from + column);
        right[column * kRow + row] = tileAt(b, row, from + column);
      }
      syncBlock();
#pragma unroll 8
      for (int k = 0; k < kTileDepth; ++k) {
        addProducts(four(left + k * kRow + firstRow()), four(right + k * kRow + firstColumn()), sum);
      }
    }
    return sum;
  }

  // sum += t^T x, where t [64 inner][64 rows] was kept in shared memory and x has the inner as rows; chunks of 64
  // columns.
  template <int chunks>
  DEVICE_MEMBER static void accumulate(const float* t, const TileSource& x, float* memory, TileValues (&sum)[chunks]) {
#pragma unroll
    for (int chunk = 0; chunk < chunks; ++chunk) {
      syncBlock();
      for (int i = int(threadIdx.x); i < kAttentionTile * kAttentionTile; i += kAttentionThreads) {
        const int row = i / kAttentionTile, column = i % kAttentionTile;
        memory[row * kRow + column] = tileAt(x, row, chunk * kAttentionTile + column);
      }
      syncBlock();
#pragma unroll 8
      for (int k = 0; k < kAttentionTile; ++k) {
        addProducts(four(t + k * kRow + firstRow()), four(memory + k * kRow + firstColumn()), sum[chunk]);
      }
    }
  }

  // Into shared memory, [row][column] or [column][row].
  DEVICE_MEMBER static void keep(const TileValues& tile, bool transposed, float* to) {
    for (int i = 0; i < 4; ++i) {
      Four own;
      for (int j = 0; j < 4; ++j) own.v[j] = transposed ? tile.v[j][i] : tile.v[i][j];
      const int row = (transposed ? firstColumn() : firstRow()) + i, column = transposed ? firstRow() : firstColumn();
      *reinterpret_cast<Four*>(to + row * kRow + column) = own;
    }
  }

 private:
  DEVICE_MEMBER static int firstRow() { return int(threadIdx.x) / 16 * 4; }
  DEVICE_MEMBER static int firstColumn() { return int(threadIdx.x) % 16 * 4; }
  DEVICE_MEMBER static const Four& four(const float* x) { return *reinterpret_cast<const Four*>(x); }
  DEVICE_MEMBER static void addProducts(const Four& x, const Four& y, TileValues& sum) {
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 4; ++j) sum.v[i][j] = fmaOf(x.v[i], y.v[j], sum.v[i][j]);
    }
  }
};

}  // namespace chainrule::cuda
