#pragma once

#include <cstdint>

#include "base/hidden_score.h"

// What the kernels of attention work on: a tile of scores of some queries and some keys.
namespace chainrule::cpu {

constexpr int64_t kAttentionRows = 64, kAttentionKeys = 128;  // a tile of scores is 32 KB

struct AttentionTile {
  int64_t rows = 0, keys = 0;
  int64_t stride = 0;  // floats from row to row, a multiple of 16
  float scale = 1;
  // Added to the scaled scores; strides 0 where all rows or all keys share. Null: none.
  const float* bias = nullptr;
  int64_t biasRow = 0, biasKey = 0;
  // 0 hides. Null: none.
  const uint8_t* mask = nullptr;
  int64_t maskRow = 0, maskKey = 0;
  // Row r sees the keys [r + bandBegin, r + bandEnd) of the tile.
  int64_t bandBegin = 0, bandEnd = 0;
};

}  // namespace chainrule::cpu
