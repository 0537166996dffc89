#pragma once

// Tiles of 64 x 64 that the kernels of attention are made of. 16 x 16 threads own 4 x 4 neighbouring elements each.

#include "base/hidden_score.h"
#include "cuda/attention.h"
#include "cuda/kernels/lane.cuh"

namespace chainrule::cuda {

constexpr int kTileRow = kAttentionTile + 4;  // floats: apart from 64, so that columns spread over the banks
constexpr int kTileFloats = kAttentionTile * kTileRow;
constexpr int kTileDepth = 32;  // of a product of two tiles of rows at a time

struct alignas(16) TileFour {
  float v[4];
};
struct TileValues {
  float v[4][4];
};

DEVICE int tileRow() { return int(threadIdx.x) / 16 * 4; }
DEVICE int tileColumn() { return int(threadIdx.x) % 16 * 4; }
DEVICE const TileFour& tileFour(const float* x) { return *reinterpret_cast<const TileFour*>(x); }

// Rows of a tensor: element (row, column) at data[row * stride + column]; zeros beyond `rows` and `columns`.
struct TileSource {
  const float* data;
  int64_t stride, rows, columns;
};
DEVICE float tileAt(const TileSource& x, int64_t row, int64_t column) {
  return row < x.rows && column < x.columns ? x.data[row * x.stride + column] : 0.0f;
}

// a b^T over the columns of both; `memory`: a tile of shared memory.
DEVICE TileValues tileProduct(const TileSource& a, const TileSource& b, float* memory) {
  float *const left = memory, *const right = memory + kTileDepth * kTileRow;
  TileValues sum = {};
  for (int64_t from = 0; from < a.columns; from += kTileDepth) {
    syncBlock();
    for (int i = int(threadIdx.x); i < kAttentionTile * kTileDepth; i += kAttentionThreads) {
      const int row = i / kTileDepth, column = i % kTileDepth;
      left[column * kTileRow + row] = tileAt(a, row, from + column);
      right[column * kTileRow + row] = tileAt(b, row, from + column);
    }
    syncBlock();
#pragma unroll 8
    for (int k = 0; k < kTileDepth; ++k) {
      const TileFour x = tileFour(left + k * kTileRow + tileRow()), y = tileFour(right + k * kTileRow + tileColumn());
      for (int i = 0; i < 4; ++i) {
        for (int j = 0; j < 4; ++j) sum.v[i][j] = fmaOf(x.v[i], y.v[j], sum.v[i][j]);
      }
    }
  }
  return sum;
}

// sum += t^T x, where t [64 inner][64 rows] lies in shared memory and x has the inner as rows; chunks of 64 columns.
template <int chunks>
DEVICE void tileAccumulate(const float* t, const TileSource& x, float* memory, TileValues (&sum)[chunks]) {
#pragma unroll
  for (int chunk = 0; chunk < chunks; ++chunk) {
    syncBlock();
    for (int i = int(threadIdx.x); i < kAttentionTile * kAttentionTile; i += kAttentionThreads) {
      const int row = i / kAttentionTile, column = i % kAttentionTile;
      memory[row * kTileRow + column] = tileAt(x, row, chunk * kAttentionTile + column);
    }
    syncBlock();
#pragma unroll 8
    for (int k = 0; k < kAttentionTile; ++k) {
      const TileFour a = tileFour(t + k * kTileRow + tileRow()), b = tileFour(memory + k * kTileRow + tileColumn());
      for (int i = 0; i < 4; ++i) {
        for (int j = 0; j < 4; ++j) sum[chunk].v[i][j] = fmaOf(a.v[i], b.v[j], sum[chunk].v[i][j]);
      }
    }
  }
}

// Rows of `sum` times `factors` (null: 1) into a tensor.
template <int chunks>
DEVICE void tileStore(const TileValues (&sum)[chunks], const float* factors, float* to, int64_t stride, int64_t rows,
                      int64_t columns) {
#pragma unroll
  for (int chunk = 0; chunk < chunks; ++chunk) {
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 4; ++j) {
        const int64_t row = tileRow() + i, column = chunk * kAttentionTile + tileColumn() + j;
        if (row < rows && column < columns)
          to[row * stride + column] = factors ? sum[chunk].v[i][j] * factors[row] : sum[chunk].v[i][j];
      }
    }
  }
}

// Into shared memory, [row][column] or [column][row].
DEVICE void tileKeep(const TileValues& tile, bool transposed, float* to) {
  for (int i = 0; i < 4; ++i) {
    TileFour four;
    for (int j = 0; j < 4; ++j) four.v[j] = transposed ? tile.v[j][i] : tile.v[i][j];
    const int row = (transposed ? tileColumn() : tileRow()) + i, column = transposed ? tileRow() : tileColumn();
    *reinterpret_cast<TileFour*>(to + row * kTileRow + column) = four;
  }
}

// A head of one batch row.
struct AttentionHead {
  int64_t batch, head, keyHead;
};
// `columns` from `first` on of the rows from `row` on of a head of [n][length][heads][size].
DEVICE TileSource headRows(const float* x, int64_t batch, int64_t length, int64_t heads, int64_t head, int64_t size,
                           int64_t row, int64_t first = 0) {
  const int64_t left = length - row;
  return {x + ((batch * length + row) * heads + head) * size + first, heads * size,
          left < kAttentionTile ? left : kAttentionTile, size - first};
}

// Whether a tile of queries sees any key of a tile by causality and window alone.
DEVICE bool tilesMeet(const DeviceAttention& a, int64_t query, int64_t key) {
  const int64_t lastQuery = (query + kAttentionTile < a.queries ? query + kAttentionTile : a.queries) - 1;
  const int64_t lastKey = (key + kAttentionTile < a.keys ? key + kAttentionTile : a.keys) - 1;
  if (a.causal && key > lastQuery) return false;
  return a.window == 0 || (key < lastQuery + a.window && lastKey > query - a.window);
}

// The score of a query and a key from their product.
DEVICE float scoreOf(const DeviceAttention& a, const AttentionHead& h, int64_t query, int64_t key, float product) {
  const auto at = [&](const int64_t* s) { return h.batch * s[0] + h.head * s[1] + query * s[2] + key * s[3]; };
  float score = product * a.scale;
  if (a.bias) score += a.bias[at(a.biasStrides)];
  bool seen = !a.causal || key <= query;
  if (a.window != 0) seen = seen && key > query - a.window && key < query + a.window;
  if (a.mask) seen = seen && a.mask[at(a.maskStrides)] != 0;
  return seen ? score : kHiddenScore;
}

// The scores of a tile, into `tile`; what is beyond the tensors stays a product with zeros.
DEVICE TileValues tileScores(const DeviceAttention& a, const AttentionHead& h, int64_t query, int64_t key,
                             float* memory) {
  TileValues tile = tileProduct(headRows(a.query, h.batch, a.queries, a.heads, h.head, a.depth, query),
                                headRows(a.key, h.batch, a.keys, a.keyHeads, h.keyHead, a.depth, key), memory);
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) {
      const int64_t q = query + tileRow() + i, k = key + tileColumn() + j;
      if (q < a.queries && k < a.keys) tile.v[i][j] = scoreOf(a, h, q, k, tile.v[i][j]);
    }
  }
  return tile;
}

}  // namespace chainrule::cuda
