#pragma once

// Tiles of 64 x 64 that the kernels of attention are made of, whatever computes their products: a Math says which
// elements of a tile a thread holds, and multiplies.

#include "base/hidden_score.h"
#include "cuda/attention.h"
#include "cuda/kernels/four.cuh"
#include "cuda/kernels/lane.cuh"

namespace chainrule::cuda {

constexpr int kTileDepth = 32;  // of a product of two tiles of rows at a time

// A thread's 16 elements; element [i][j] is the tile's at (Math::row(i, j), Math::column(i, j)).
struct TileValues {
  float v[4][4];
};

// Rows of a tensor: element (row, column) at data[row * stride + column]; zeros beyond `rows` and `columns`. wide: four
// columns can be moved at once.
struct TileSource {
  const float* data;
  int64_t stride, rows, columns;
  bool wide;
};
DEVICE float tileAt(const TileSource& x, int64_t row, int64_t column) {
  return row < x.rows && column < x.columns ? x.data[row * x.stride + column] : 0.0f;
}

// Rows of `sum` times `factors` (null: 1) into a tensor.
template <typename Math, int chunks>
DEVICE void tileStore(const TileValues (&sum)[chunks], const float* factors, float* to, int64_t stride, int64_t rows,
                      int64_t columns) {
#pragma unroll
  for (int chunk = 0; chunk < chunks; ++chunk) {
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 4; ++j) {
        const int64_t row = Math::row(i, j), column = chunk * kAttentionTile + Math::column(i, j);
        if (row < rows && column < columns)
          to[row * stride + column] = factors ? sum[chunk].v[i][j] * factors[row] : sum[chunk].v[i][j];
      }
    }
  }
}

// A head of one batch row.
struct AttentionHead {
  int64_t batch, head, keyHead;
};
// `columns` from `first` on of the rows from `row` on of a head of [n][length][heads][size].
DEVICE TileSource headRows(const float* x, int64_t batch, int64_t length, int64_t heads, int64_t head, int64_t size,
                           int64_t row, bool wide, int64_t first = 0) {
  const int64_t left = length - row;
  return {x + ((batch * length + row) * heads + head) * size + first, heads * size,
          left < kAttentionTile ? left : kAttentionTile, size - first, wide};
}

// Of what has the length of the queries (keys) and their heads.
DEVICE TileSource queryRows(const DeviceAttention& a, const AttentionHead& h, const float* x, int64_t size,
                            int64_t query, int64_t first = 0) {
  return headRows(x, h.batch, a.queries, a.heads, h.head, size, query, a.wide, first);
}
DEVICE TileSource keyRows(const DeviceAttention& a, const AttentionHead& h, const float* x, int64_t size, int64_t key,
                          int64_t first = 0) {
  return headRows(x, h.batch, a.keys, a.keyHeads, h.keyHead, size, key, a.wide, first);
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
template <typename Math>
DEVICE TileValues tileScores(const DeviceAttention& a, const AttentionHead& h, int64_t query, int64_t key,
                             float* memory) {
  TileValues tile = Math::product(queryRows(a, h, a.query, a.depth, query), keyRows(a, h, a.key, a.depth, key), memory);
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) {
      const int64_t q = query + Math::row(i, j), k = key + Math::column(i, j);
      if (q < a.queries && k < a.keys) tile.v[i][j] = scoreOf(a, h, q, k, tile.v[i][j]);
    }
  }
  return tile;
}

}  // namespace chainrule::cuda
