#pragma once

#include "base/pieces.h"
#include "cpu/attention.h"
#include "cpu/split.h"
#include "plan/attention_sizes.h"

// Sizes and operands that the two directions of attention share.
namespace chainrule::ops {

struct Attention : AttentionSizes {
  int64_t queryBlocks() const { return (queries + cpu::kAttentionRows - 1) / cpu::kAttentionRows; }
  int64_t keyBlocks() const { return (keys + cpu::kAttentionKeys - 1) / cpu::kAttentionKeys; }
  int64_t depthColumns() const { return cpu::panelCount(depth) * cpu::kPanel; }
  int64_t widthColumns() const { return cpu::panelCount(width) * cpu::kPanel; }
  int64_t keyColumns() const { return cpu::panelCount(keys) * cpu::kPanel; }
  int64_t tileColumns() const { return std::min(cpu::kAttentionKeys, keyColumns()); }

  // Whether a block of queries sees any key of a block by causality and window alone.
  bool meets(int64_t query, int64_t rows, int64_t key, int64_t count) const {
    if (causal && key > query + rows - 1) return false;
    return window == 0 || (key < query + rows - 1 + window && key + count - 1 > query - window);
  }
  // Few queries of a head read its values where they lie.
  bool packsValues() const { return queries * group() > 4; }
  // What any of the products needs, in floats.
  int64_t gemmScratch() const {
    const int64_t k = std::max({depth, width, cpu::kAttentionKeys});
    return (cpu::gemmScratchBytes({.m = cpu::kAttentionKeys, .n = k, .k = k}) + 3) / 4;
  }
  cpu::AttentionTile tile(int64_t batch, int64_t head, int64_t query, int64_t key, const float* bias,
                          const uint8_t* mask) const;
};

Lowering lowerAttention(const LowerContext& c);
Lowering lowerAttentionGradient(const LowerContext& c);

}  // namespace chainrule::ops
