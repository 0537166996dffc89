#pragma once

// softmax(scale q k^T + bias, where mask) v: a block walks over the keys for 64 queries of one head and never holds
// more scores than a tile (https://arxiv.org/abs/2205.14135).

#include "cuda/kernels/attention_exact.cuh"
#include "cuda/kernels/attention_tf32.cuh"

namespace chainrule::cuda {

// The running softmax of a row, kept by the four neighbouring threads that share it.
struct RowSoftmax {
  float peak = -3.4028234663852886e38f, total = 0.0f;
};

// `shares` [key][query] from scores to exp(score - peak); `shrink` gets what older sums are to be multiplied with.
template <typename Math>
DEVICE void softmaxTile(float* shares, int64_t keys, RowSoftmax& own, float* shrink) {
  const int row = int(threadIdx.x) / 4, part = int(threadIdx.x) % 4;
  float top = own.peak;
  for (int key = part; key < kAttentionTile && key < keys; key += 4) {
    const float score = shares[key * Math::kRow + row];
    top = score > top ? score : top;
  }
  for (int lane = 1; lane < 4; lane *= 2) {
    const float other = shuffleXor(top, lane);
    top = other > top ? other : top;
  }
  float sum = 0.0f;
  for (int key = part; key < kAttentionTile; key += 4) {
    float& share = shares[key * Math::kRow + row];
    share = key < keys ? lane::exp(lane::Float(share - top)).v : 0.0f;
    sum += share;
  }
  for (int lane = 1; lane < 4; lane *= 2) sum += shuffleXor(sum, lane);
  const float factor = lane::exp(lane::Float(own.peak - top)).v;
  own.total = fmaOf(own.total, factor, sum);
  own.peak = top;
  if (part == 0) shrink[row] = factor;
}

template <typename Math, int chunks>
DEVICE void attentionForward(const DeviceAttention& a) {
  float *const memory = dynamicShared<float>(), *const shares = memory + kAttentionTileFloats,
               *const rows = shares + kAttentionTileFloats;
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
      const TileValues scores = tileScores<Math>(a, h, query, key, memory);
      syncBlock();  // others may still read the shares before
      Math::keep(scores, true, shares);
      syncBlock();
      softmaxTile<Math>(shares, a.keys - key, own, rows);
      syncBlock();
#pragma unroll
      for (int chunk = 0; chunk < chunks; ++chunk) {
        for (int i = 0; i < 4; ++i) {
          for (int j = 0; j < 4; ++j) sum[chunk].v[i][j] *= rows[Math::row(i, j)];
        }
      }
      Math::accumulate(shares, keyRows(a, h, a.value, a.width, key, first), memory, sum);
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
  tileStore<Math>(sum, rows, a.output + ((h.batch * a.queries + query) * a.heads + head) * a.width + first,
                  a.heads * a.width, count, a.width - first);
}

#define ATTENTION_FORWARD(math, columns, chunks)                            \
  KERNEL_BODY __launch_bounds__(kAttentionThreads)                          \
      attention##columns##math(const __grid_constant__ DeviceAttention a) { \
    attentionForward<math##Tile, chunks>(a);                                \
  }
ATTENTION_FORWARD(Exact, 64, 1)
ATTENTION_FORWARD(Exact, 128, 2)
ATTENTION_FORWARD(Exact, 256, 4)
ATTENTION_FORWARD(Tf32, 64, 1)
ATTENTION_FORWARD(Tf32, 128, 2)
ATTENTION_FORWARD(Tf32, 256, 4)
#undef ATTENTION_FORWARD

}  // namespace chainrule::cuda
