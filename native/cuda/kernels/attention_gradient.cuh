#pragma once

// Scores are computed again from what the forward pass kept of each query. Blocks over queries gather the gradients of
// queries and scores, blocks over keys those of keys and values, so every sum has one order.

#include "cuda/kernels/attention_tile.cuh"

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
struct QueryRows {
  float *peak, *share, *delta;
};
DEVICE QueryRows queryRows(float* memory) { return {memory, memory + kAttentionTile, memory + 2 * kAttentionTile}; }
// Returns whether one of them sees no key.
DEVICE bool loadQueryRows(const DeviceAttention& a, const AttentionHead& h, int64_t query, const QueryRows& rows) {
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
DEVICE float shareOf(const DeviceAttention& a, const QueryRows& rows, int64_t query, int64_t key, int row,
                     float score) {
  if (query >= a.queries || key >= a.keys) return 0.0f;
  return lane::exp(lane::Float(score - rows.peak[row])).v * rows.share[row];
}
DEVICE TileValues tileShares(const DeviceAttention& a, const QueryRows& rows, int64_t query, int64_t key,
                             const TileValues& scores) {
  TileValues shares;
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) {
      const int row = tileRow() + i;
      shares.v[i][j] = shareOf(a, rows, query + row, key + tileColumn() + j, row, scores.v[i][j]);
    }
  }
  return shares;
}

// The gradients of the scores of a tile.
DEVICE TileValues tileGradient(const DeviceAttention& a, const AttentionHead& h, const QueryRows& rows, int64_t query,
                               int64_t key, float* memory) {
  const TileValues scores = tileScores(a, h, query, key, memory);
  TileValues d = tileProduct(headRows(a.arriving, h.batch, a.queries, a.heads, h.head, a.width, query),
                             headRows(a.value, h.batch, a.keys, a.keyHeads, h.keyHead, a.width, key), memory);
  const TileValues shares = tileShares(a, rows, query, key, scores);
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) {
      const float moved = shares.v[i][j] * (d.v[i][j] - rows.delta[tileRow() + i]);
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

DEVICE void storeScores(const DeviceAttention& a, const AttentionHead& h, int64_t query, int64_t key,
                        const TileValues& d) {
  float* const to = a.dScores + (h.batch * a.heads + h.head) * a.queries * a.keys;
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) {
      const int64_t q = query + tileRow() + i, k = key + tileColumn() + j;
      if (q < a.queries && k < a.keys) to[q * a.keys + k] = d.v[i][j];
    }
  }
}

// Of 64 queries of a head.
template <int chunks>
DEVICE void attentionQueryGradient(const DeviceAttention& a) {
  float *const memory = dynamicShared<float>(), *const tile = memory + kTileFloats;
  const QueryRows rows = queryRows(tile + kTileFloats);
  const int64_t tiles = (a.queries + kAttentionTile - 1) / kAttentionTile, item = int64_t(blockIdx.x) / tiles;
  const int64_t query = int64_t(blockIdx.x) % tiles * kAttentionTile, head = item % a.heads;
  const AttentionHead h{item / a.heads, head, head / (a.heads / a.keyHeads)};
  const int64_t first = int64_t(blockIdx.y) * chunks * kAttentionTile;
  const bool all = loadQueryRows(a, h, query, rows), storesScores = a.dScores && blockIdx.y == 0;
  TileValues sum[chunks] = {};
  for (int64_t key = 0; key < a.keys; key += kAttentionTile) {
    if (!all && !tilesMeet(a, query, key)) {
      if (storesScores) storeScores(a, h, query, key, {});
      continue;
    }
    TileValues d = tileGradient(a, h, rows, query, key, memory);
    if (storesScores) storeScores(a, h, query, key, d);
    if (!a.dQuery) continue;
    scaleTile(d, a.scale);
    syncBlock();
    tileKeep(d, true, tile);
    tileAccumulate<chunks>(tile, headRows(a.key, h.batch, a.keys, a.keyHeads, h.keyHead, a.depth, key, first), memory,
                           sum);
  }
  if (!a.dQuery) return;
  const TileSource place = headRows(a.query, h.batch, a.queries, a.heads, head, a.depth, query, first);
  tileStore<chunks>(sum, nullptr, a.dQuery + (place.data - a.query), place.stride, place.rows, place.columns);
}

// Of 64 keys of a head, or of their values: sums over the queries of all heads that look at them.
template <int chunks, bool ofValues>
DEVICE void attentionKeyGradient(const DeviceAttention& a) {
  float *const memory = dynamicShared<float>(), *const tile = memory + kTileFloats;
  const QueryRows rows = queryRows(tile + kTileFloats);
  const int64_t tiles = (a.keys + kAttentionTile - 1) / kAttentionTile, item = int64_t(blockIdx.x) / tiles;
  const int64_t key = int64_t(blockIdx.x) % tiles * kAttentionTile, group = a.heads / a.keyHeads;
  const int64_t first = int64_t(blockIdx.y) * chunks * kAttentionTile, keyHead = item % a.keyHeads;
  const int64_t size = ofValues ? a.width : a.depth;
  AttentionHead h{item / a.keyHeads, 0, keyHead};
  TileValues sum[chunks] = {};
  for (h.head = keyHead * group; h.head < (keyHead + 1) * group; ++h.head) {
    for (int64_t query = 0; query < a.queries; query += kAttentionTile) {
      const bool all = loadQueryRows(a, h, query, rows);
      if (!all && !tilesMeet(a, query, key)) continue;
      TileValues d;
      if (ofValues) {
        d = tileShares(a, rows, query, key, tileScores(a, h, query, key, memory));
      } else {
        d = tileGradient(a, h, rows, query, key, memory);
        scaleTile(d, a.scale);
      }
      syncBlock();
      tileKeep(d, false, tile);
      tileAccumulate<chunks>(
          tile, headRows(ofValues ? a.arriving : a.query, h.batch, a.queries, a.heads, h.head, size, query, first),
          memory, sum);
    }
  }
  const float* const from = ofValues ? a.value : a.key;
  const TileSource place = headRows(from, h.batch, a.keys, a.keyHeads, keyHead, size, key, first);
  tileStore<chunks>(sum, nullptr, (ofValues ? a.dValue : a.dKey) + (place.data - from), place.stride, place.rows,
                    place.columns);
}

#define ATTENTION_GRADIENT(name, body) \
  KERNEL_BODY __launch_bounds__(kAttentionThreads) name(const __grid_constant__ DeviceAttention a) { body(a); }
ATTENTION_GRADIENT(attentionQuery64, attentionQueryGradient<1>)
ATTENTION_GRADIENT(attentionQuery128, attentionQueryGradient<2>)
ATTENTION_GRADIENT(attentionQuery256, attentionQueryGradient<4>)
ATTENTION_GRADIENT(attentionKey64, (attentionKeyGradient<1, false>))
ATTENTION_GRADIENT(attentionKey128, (attentionKeyGradient<2, false>))
ATTENTION_GRADIENT(attentionKey256, (attentionKeyGradient<4, false>))
ATTENTION_GRADIENT(attentionValue64, (attentionKeyGradient<1, true>))
ATTENTION_GRADIENT(attentionValue128, (attentionKeyGradient<2, true>))
ATTENTION_GRADIENT(attentionValue256, (attentionKeyGradient<4, true>))
#undef ATTENTION_GRADIENT

}  // namespace chainrule::cuda
