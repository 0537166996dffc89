#pragma once

// softmax(scale q k^T + bias, where mask) v: a block walks over the keys for 64 queries of one head and never holds
// more scores than a tile (https://arxiv.org/abs/2205.14135).

#include "cuda/kernels/attention_tile.cuh"

namespace chainrule::cuda {

// The running softmax of a row, kept by the four neighbouring threads that share it.
struct RowSoftmax {
  float peak = -3.4028234663852886e38f, total = 0.0f;
};

// `shares` [key][query] from scores to exp(score - peak); `shrink` gets what older sums are to be multiplied with.
DEVICE void softmaxTile(float* shares, int64_t keys, RowSoftmax& own, float* shrink) {
  const int row = int(threadIdx.x) / 4, part = int(threadIdx.x) % 4;
  float top = own.peak;
  for (int key = part; key < kAttentionTile && key < keys; key += 4) {
    const float score = shares[key * kTileRow + row];
    top = score > top ? score : top;
  }
  for (int lane = 1; lane < 4; lane *= 2) {
    const float other = shuffleXor(top, lane);
    top = other > top ? other : top;
  }
  float sum = 0.0f;
  for (int key = part; key < kAttentionTile; key += 4) {
    float& share = shares[key * kTileRow + row];
    share = key < keys ? lane::exp(lane::Float(share - top)).v : 0.0f;
    sum += share;
  }
  for (int lane = 1; lane < 4; lane *= 2) sum += shuffleXor(sum, lane);
  const float factor = lane::exp(lane::Float(own.peak - top)).v;
  own.total = fmaOf(own.total, factor, sum);
  own.peak = top;
  if (part == 0) shrink[row] = factor;
}

template <int chunks>
DEVICE void attentionForward(const DeviceAttention& a) {
  float *const memory = dynamicShared<float>(), *const shares = memory + kTileFloats,
               *const rows = shares + kTileFloats;
  const int64_t tiles = (a.queries + kAttentionTile - 1) / kAttentionTile, item = int64_t(blockIdx.x) / tiles;
  const int64_t query = int64_t(blockIdx.x) % tiles * kAttentionTile, head = item % a.heads;
  const AttentionHead h{item / a.heads, head, head / (a.heads / a.keyHeads)};
  const int64_t first = int64_t(blockIdx.y) * chunks * kAttentionTile;  // column of the values
  const int64_t count = a.queries - query < kAttentionTile ? a.queries - query : kAttentionTile;
  const int row = int(threadIdx.x) / 4;
  RowSoftmax own;
  TileValues sum[chunks] = {};
  bool started = false;
  // The keys that causality and the window leave, then the others for queries that saw none.
  for (int hidden = 0; hidden < 2; ++hidden) {
    if (hidden) {
      syncBlock();
      if (threadIdx.x % 4 == 0) rows[row] = own.peak;
      syncBlock();
      bool blind = false;
      for (int64_t i = 0; i < count; ++i) blind = blind || isBlind(rows[i]);
      if (started && !blind) break;
    }
    for (int64_t key = 0; key < a.keys; key += kAttentionTile) {
      if (tilesMeet(a, query, key) == (hidden != 0)) continue;
      started = true;
      const TileValues scores = tileScores(a, h, query, key, memory);
      syncBlock();  // others may still read the shares before
      tileKeep(scores, true, shares);
      syncBlock();
      softmaxTile(shares, a.keys - key, own, rows);
      syncBlock();
      for (int i = 0; i < 4; ++i) {
        const float shrink = rows[tileRow() + i];
#pragma unroll
        for (int chunk = 0; chunk < chunks; ++chunk) {
          for (int j = 0; j < 4; ++j) sum[chunk].v[i][j] *= shrink;
        }
      }
      tileAccumulate<chunks>(shares, headRows(a.value, h.batch, a.keys, a.keyHeads, h.keyHead, a.width, key, first),
                             memory, sum);
    }
  }
  const float share = 1.0f / own.total;
  syncBlock();
  if (threadIdx.x % 4 == 0) {
    rows[row] = share;
    if (a.statistics && blockIdx.y == 0 && row < count) {
      float* const to = a.statistics + item * 2 * a.queries + query + row;
      to[0] = own.peak;
      to[a.queries] = share;
    }
  }
  syncBlock();
  tileStore<chunks>(sum, rows, a.output + ((h.batch * a.queries + query) * a.heads + head) * a.width + first,
                    a.heads * a.width, count, a.width - first);
}

KERNEL_BODY __launch_bounds__(kAttentionThreads) attention64(const __grid_constant__ DeviceAttention a) {
  attentionForward<1>(a);
}
KERNEL_BODY __launch_bounds__(kAttentionThreads) attention128(const __grid_constant__ DeviceAttention a) {
  attentionForward<2>(a);
}
KERNEL_BODY __launch_bounds__(kAttentionThreads) attention256(const __grid_constant__ DeviceAttention a) {
  attentionForward<4>(a);
}

}  // namespace chainrule::cuda
