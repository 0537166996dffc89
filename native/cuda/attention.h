#pragma once

#include <cstdint>

// Attention as its kernels take it (plan/attention_sizes.h): query [n, queries, heads, depth], key [n, keys, keyHeads,
// depth], value [n, keys, keyHeads, width].
namespace chainrule::cuda {

constexpr int kAttentionTile = 64;                                           // queries and keys of a tile of scores
constexpr int kAttentionThreads = 256;                                       // each owns 16 elements of a tile
constexpr int kAttentionTileFloats = kAttentionTile * (kAttentionTile + 8);  // room for a tile in shared memory

struct DeviceAttention {
  int64_t n = 0, queries = 0, keys = 0, heads = 0, keyHeads = 0, depth = 0, width = 0;
  float scale = 1;
  bool causal = false;
  int64_t window = 0;
  int64_t biasStrides[4] = {}, maskStrides[4] = {};  // [batch][head][query][key]
  bool wide = false;  // every row of a head starts at 16 bytes, and four columns can be moved at once
  const float *query = nullptr, *key = nullptr, *value = nullptr, *bias = nullptr;
  const uint8_t* mask = nullptr;
  float* output = nullptr;
  float* statistics = nullptr;  // [n][heads][2][queries]: the largest score, 1 / the sum of the shares; or null
  // Of the gradient; null: nobody asks.
  const float* kept = nullptr;      // the statistics
  const float* result = nullptr;    // the output
  const float* arriving = nullptr;  // its gradient
  float* delta = nullptr;           // [n][heads][queries]: their products, summed
  float *dQuery = nullptr, *dKey = nullptr, *dValue = nullptr, *dScores = nullptr;
};

}  // namespace chainrule::cuda
