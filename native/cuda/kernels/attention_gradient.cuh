#pragma once

// Scores are computed again from what the forward pass kept of each query. Blocks over queries gather the gradients of
// queries and scores, blocks over keys those of keys and values, so every sum has one order.

#include "cuda/kernels/attention_exact.cuh"
#include "cuda/kernels/attention_tf32.cuh"

namespace chainrule::cuda {

struct SumOfFloats {
  DEVICE_MEMBER static float join(float a, float b) { return a + b; }
  DEVICE_MEMBER static float neutral(float) { return 0.0f; }
};

// The products of the output and its gradient; a warp for each query of a head.
KERNEL_BODY attentionDelta(const __grid_constant__ DeviceAttention a) {
  const int64_t row = globalThread() / kWarp, lane = globalThread() % kWarp;  // of [n][queries][heads]
  if (row >= a.n * a.queries * a.heads) return;
  float sum = 0.0f;
  for (int64_t i = lane; i < a.width; i += kWarp) {
    sum = fmaOf(a.result[row * a.width + i], a.arriving[row * a.width + i], sum);
  }
  sum = foldWarp<SumOfFloats>(sum);
  const int64_t head = row % a.heads, query = row / a.heads % a.queries, batch = row / a.heads / a.queries;
  if (lane == 0) a.delta[(batch * a.heads + head) * a.queries + query] = sum;
}

// What is known of 64 queries, in shared memory.
struct QueryFacts {
  float *peak, *share, *delta;
};
DEVICE QueryFacts queryFacts(float* memory) { return {memory, memory + kAttentionTile, memory + 2 * kAttentionTile}; }
// Returns whether one of them sees no key.
DEVICE bool loadQueryFacts(const DeviceAttention& a, const AttentionHead& h, int64_t query, const QueryFacts& rows) {
  const int64_t item = h.batch * a.heads + h.head, at = query + threadIdx.x;
  syncBlock();
  if (threadIdx.x < kAttentionTile) {
    const float* const kept = a.kept + item * 2 * a.queries;
    const bool inside = at < a.queries;
    rows.peak[threadIdx.x] = inside ? kept[at] : 0.0f;
    rows.share[threadIdx.x] = inside ? kept[a.queries + at] : 0.0f;
    rows.delta[threadIdx.x] = inside ? a.delta[item * a.queries + at] : 0.0f;
  }
  syncBlock();
  bool blind = false;
  for (int i = 0; i < kAttentionTile; ++i) blind = blind || isBlind(rows.peak[i]);
  return blind;
}

// Scores to shares, zero beyond the tensors.
DEVICE float shareOf(const DeviceAttention& a, const QueryFacts& rows, int64_t query, int64_t key, int row,
                     float score) {
  if (query >= a.queries || key >= a.keys) return 0.0f;
  return lane::exp(lane::Float(score - rows.peak[row])).v * rows.share[row];
}
template <typename Math>
DEVICE TileValues tileShares(const DeviceAttention& a, const QueryFacts& rows, int64_t query, int64_t key,
                             const TileValues& scores) {
  TileValues shares;
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) {
      const int row = Math::row(i, j);
      shares.v[i][j] = shareOf(a, rows, query + row, key + Math::column(i, j), row, scores.v[i][j]);
    }
  }
  return shares;
}

// The gradients of the scores of a tile.
template <typename Math>
DEVICE TileValues tileGradient(const DeviceAttention& a, const AttentionHead& h, const QueryFacts& rows, int64_t query,
                               int64_t key, float* memory) {
  const TileValues scores = tileScores<Math>(a, h, query, key, memory);
  TileValues d =
      Math::product(queryRows(a, h, a.arriving, a.width, query), keyRows(a, h, a.value, a.width, key), memory);
  const TileValues shares = tileShares<Math>(a, rows, query, key, scores);
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) {
      const float moved = shares.v[i][j] * (d.v[i][j] - rows.delta[Math::row(i, j)]);
      d.v[i][j] = scores.v[i][j] != kHiddenScore ? moved : 0.0f;
    }
  }
  return d;
}
DEVICE void scaleTile(TileValues& tile, float scale) {
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) tile.v[i][j] *= scale;
  }
}

template <typename Math>
DEVICE void storeScores(const DeviceAttention& a, const AttentionHead& h, int64_t query, int64_t key,
                        const TileValues& d) {
  float* const to = a.dScores + (h.batch * a.heads + h.head) * a.queries * a.keys;
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) {
      const int64_t q = query + Math::row(i, j), k = key + Math::column(i, j);
      if (q < a.queries && k < a.keys) to[q * a.keys + k] = d.v[i][j];
    }
  }
}

// Of 64 queries of a head.
template <typename Math, int chunks>
DEVICE void attentionQueryGradient(const DeviceAttention& a) {
  float *const memory = dynamicShared<float>(), *const tile = memory + kAttentionTileFloats;
  const QueryFacts rows = queryFacts(tile + kAttentionTileFloats);
  const int64_t tiles = (a.queries + kAttentionTile - 1) / kAttentionTile, item = int64_t(blockIdx.x) / tiles;
  const int64_t query = int64_t(blockIdx.x) % tiles * kAttentionTile, head = item % a.heads;
  const AttentionHead h{item / a.heads, head, head / (a.heads / a.keyHeads)};
  const int64_t first = int64_t(blockIdx.y) * chunks * kAttentionTile;
  const bool all = loadQueryFacts(a, h, query, rows), storesScores = a.dScores && blockIdx.y == 0;
  TileValues sum[chunks] = {};
  for (int64_t key = 0; key < a.keys; key += kAttentionTile) {
    if (!all && !tilesMeet(a, query, key)) {
      if (storesScores) storeScores<Math>(a, h, query, key, {});
      continue;
    }
    TileValues d = tileGradient<Math>(a, h, rows, query, key, memory);
    if (storesScores) storeScores<Math>(a, h, query, key, d);
    if (!a.dQuery) continue;
    scaleTile(d, a.scale);
    syncBlock();
    Math::keep(d, true, tile);
    Math::accumulate(tile, keyRows(a, h, a.key, a.depth, key, first), memory, sum);
  }
  if (!a.dQuery) return;
  const TileSource place = queryRows(a, h, a.query, a.depth, query, first);
  tileStore<Math>(sum, nullptr, a.dQuery + (place.data - a.query), place.stride, place.rows, place.columns);
}

// Of 64 keys of a head, or of their values: sums over the queries of all heads that look at them.
template <typename Math, int chunks, bool ofValues>
DEVICE void attentionKeyGradient(const DeviceAttention& a) {
  float *const memory = dynamicShared<float>(), *const tile = memory + kAttentionTileFloats;
  const QueryFacts rows = queryFacts(tile + kAttentionTileFloats);
  const int64_t tiles = (a.keys + kAttentionTile - 1) / kAttentionTile, item = int64_t(blockIdx.x) / tiles;
  const int64_t key = int64_t(blockIdx.x) % tiles * kAttentionTile, group = a.heads / a.keyHeads;
  const int64_t first = int64_t(blockIdx.y) * chunks * kAttentionTile, keyHead = item % a.keyHeads;
  const int64_t size = ofValues ? a.width : a.depth;
  AttentionHead h{item / a.keyHeads, 0, keyHead};
  TileValues sum[chunks] = {};
  for (h.head = keyHead * group; h.head < (keyHead + 1) * group; ++h.head) {
    for (int64_t query = 0; query < a.queries; query += kAttentionTile) {
      const bool all = loadQueryFacts(a, h, query, rows);
      if (!all && !tilesMeet(a, query, key)) continue;
      TileValues d;
      if (ofValues) {
        d = tileShares<Math>(a, rows, query, key, tileScores<Math>(a, h, query, key, memory));
      } else {
        d = tileGradient<Math>(a, h, rows, query, key, memory);
        scaleTile(d, a.scale);
      }
      syncBlock();
      Math::keep(d, false, tile);
      Math::accumulate(tile, queryRows(a, h, ofValues ? a.arriving : a.query, size, query, first), memory, sum);
    }
  }
  const float* const from = ofValues ? a.value : a.key;
  const TileSource place = keyRows(a, h, from, size, key, first);
  tileStore<Math>(sum, nullptr, (ofValues ? a.dValue : a.dKey) + (place.data - from), place.stride, place.rows,
                  place.columns);
}

#define ATTENTION_GRADIENT(name, body) \
  KERNEL_BODY __launch_bounds__(kAttentionThreads) name(const __grid_constant__ DeviceAttention a) { body(a); }
#define ATTENTION_GRADIENTS(math, columns, chunks)                                                   \
  ATTENTION_GRADIENT(attentionQuery##columns##math, (attentionQueryGradient<math##Tile, chunks>))    \
  ATTENTION_GRADIENT(attentionKey##columns##math, (attentionKeyGradient<math##Tile, chunks, false>)) \
  ATTENTION_GRADIENT(attentionValue##columns##math, (attentionKeyGradient<math##Tile, chunks, true>))
ATTENTION_GRADIENTS(Exact, 64, 1)
ATTENTION_GRADIENTS(Exact, 128, 2)
ATTENTION_GRADIENTS(Exact, 256, 4)
ATTENTION_GRADIENTS(Tf32, 64, 1)
ATTENTION_GRADIENTS(Tf32, 128, 2)
ATTENTION_GRADIENTS(Tf32, 256, 4)
#undef ATTENTION_GRADIENTS
#undef ATTENTION_GRADIENT

}  // namespace chainrule::cuda
