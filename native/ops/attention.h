#pragma once

#include "cpu/attention.h"
#include "cpu/split.h"
#include "ops/scratch.h"
#include "plan/backend.h"

// Sizes and operands that the two directions of attention share.
namespace chainrule::ops {

struct Attention {
  int64_t n = 0, queries = 0, keys = 0;
  int64_t heads = 0, keyHeads = 0;
  int64_t depth = 0, width = 0;  // of a query and key, of a value
  float scale = 1;
  bool causal = false, hasBias = false, hasMask = false;
  int64_t window = 0;  // keys at most window - 1 away, 0: all
  // Of bias and mask, [batch][head][query][key]; 0 where they are shared.
  int64_t biasStrides[4] = {}, maskStrides[4] = {};

  int64_t group() const { return heads / keyHeads; }  // query heads that share one head of keys
  int64_t queryBlocks() const { return (queries + cpu::kAttentionRows - 1) / cpu::kAttentionRows; }
  int64_t keyBlocks() const { return (keys + cpu::kAttentionKeys - 1) / cpu::kAttentionKeys; }
  int64_t depthColumns() const { return cpu::panelCount(depth) * cpu::kPanel; }
  int64_t widthColumns() const { return cpu::panelCount(width) * cpu::kPanel; }
  int64_t keyColumns() const { return cpu::panelCount(keys) * cpu::kPanel; }
  int64_t tileColumns() const { return std::min(cpu::kAttentionKeys, keyColumns()); }

  // Inputs: query, key, value, [bias], [mask]; those of the gradient go on with statistics, output, its gradient.
  int biasInput() const { return 3; }
  int maskInput() const { return 3 + hasBias; }
  int inputCount() const { return maskInput() + hasMask; }

  // Whether a block of queries sees any key of a block by causality and window alone.
  bool meets(int64_t query, int64_t rows, int64_t key, int64_t count) const {
    if (causal && key > query + rows - 1) return false;
    return window == 0 || (key < query + rows - 1 + window && key + count - 1 > query - window);
  }
  // What any of the products needs, in floats.
  int64_t gemmScratch() const {
    const int64_t k = std::max({depth, width, cpu::kAttentionKeys});
    return (cpu::gemmScratchBytes({.m = cpu::kAttentionKeys, .n = k, .k = k}) + 3) / 4;
  }
  cpu::AttentionTile tile(int64_t batch, int64_t head, int64_t query, int64_t key, const float* bias,
                          const uint8_t* mask) const;
};

// What is known while tracing, and with the sizes of a plan.
Attention attentionOf(const Attrs& attrs);
Attention attentionOf(const LowerContext& c);

// A query that sees no key: its largest score is a hidden one. It looks at all keys alike, also those that blocks skip.
inline bool isBlind(float peak) { return peak <= cpu::kHiddenScore / 2; }

Lowering lowerAttention(const LowerContext& c);
Lowering lowerAttentionGradient(const LowerContext& c);

}  // namespace chainrule::ops
