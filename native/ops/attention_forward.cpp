#include <cstring>

#include "cpu/kernel_table.h"
#include "ops/attention.h"

// One piece of work is a block of queries of one head: it walks over the keys in blocks and never holds more scores
// than a tile (https://arxiv.org/abs/2205.14135).

namespace chainrule::ops {
namespace {

struct Forward {
  Attention a;
  bool keepsStatistics = false;
  // Floats into the scratch of a member.
  int64_t keyPanels = 0, valuePanels = 0, scores = 0, output = 0, peak = 0, total = 0, share = 0, gemm = 0;
};

struct Run {
  const Forward& f;
  const Attention& a;
  const cpu::KernelTable& k;
  const StepArgs& args;

  float* at(int64_t offset) const { return reinterpret_cast<float*>(args.own) + offset; }

  const float* values(int64_t batch, int64_t keyHead, int64_t key) const {
    return args.in<float>(2) + ((batch * a.keys + key) * a.keyHeads + keyHead) * a.width;
  }

  // Whole panels of keys behind which a mask that heads and queries share hides all; all of them if it hides every key.
  int64_t seenKeys(int64_t batch) const {
    const int64_t* const strides = a.maskStrides;
    if (!a.hasMask || strides[1] != 0 || strides[2] != 0 || strides[3] == 0) return a.keys;
    const uint8_t* const mask = args.in<uint8_t>(a.maskInput()) + batch * strides[0];
    int64_t end = a.keys;
    while (end > 0 && !mask[end - 1]) --end;
    return end == 0 ? a.keys : std::min(cpu::panelCount(end) * cpu::kPanel, a.keys);
  }

  // Keys as the columns of a matrix: those [begin, end), from a panel's first on.
  void packKeys(int64_t batch, int64_t keyHead, int64_t begin, int64_t end) const {
    k.packB(args.in<float>(1) + (batch * a.keys * a.keyHeads + keyHead) * a.depth, 1, a.keyHeads * a.depth, a.depth,
            a.keys, at(f.keyPanels), begin / cpu::kPanel, cpu::panelCount(end));
  }

  // And values as its rows.
  void pack(int64_t batch, int64_t keyHead, int64_t seen) const {
    packKeys(batch, keyHead, 0, seen);
    if (a.packsValues())
      k.packB(values(batch, keyHead, 0), a.keyHeads * a.width, 1, a.keys, a.width, at(f.valuePanels), 0,
              cpu::panelCount(a.width));
  }

  void keyBlock(int64_t batch, int64_t head, int64_t query, int64_t key, int64_t count, bool first) const {
    cpu::AttentionTile tile = a.tile(batch, head, query, key, a.hasBias ? args.in<float>(a.biasInput()) : nullptr,
                                     a.hasMask ? args.in<uint8_t>(a.maskInput()) : nullptr);
    tile.keys = count;
    cpu::Gemm products{.m = tile.rows, .n = tile.keys, .k = a.depth};
    products.a = args.in<float>(0) + ((batch * a.queries + query) * a.heads + head) * a.depth;
    products.aRow = a.heads * a.depth;
    products.b = at(f.keyPanels) + key * a.depth;
    products.bPanel = a.depth * cpu::kPanel;
    products.c = at(f.scores);
    products.cRow = tile.stride;
    products.cPadded = true;
    k.gemm(products, 0, tile.rows, 0, cpu::panelCount(tile.keys), at(f.gemm));
    k.attentionScores(tile, at(f.scores));
    k.attentionSoftmax(tile, first, at(f.scores), at(f.peak), at(f.total), at(f.output), a.widthColumns());
    if (!a.packsValues()) {  // the columns behind the width stay as they are: nobody reads them
      for (int64_t row = 0; row < tile.rows; ++row)
        k.vectorMatrix(values(batch, head / a.group(), key), a.keyHeads * a.width, tile.keys,
                       at(f.scores) + row * tile.stride, !first, at(f.output) + row * a.widthColumns(), 0, a.width);
      return;
    }
    cpu::Gemm mixed{.m = tile.rows, .n = a.width, .k = tile.keys};
    mixed.a = at(f.scores);
    mixed.aRow = tile.stride;
    mixed.b = at(f.valuePanels) + key * cpu::kPanel;
    mixed.bPanel = a.keys * cpu::kPanel;
    mixed.c = at(f.output);
    mixed.cRow = a.widthColumns();
    mixed.cPadded = true;
    mixed.accumulate = !first;
    k.gemm(mixed, 0, tile.rows, 0, cpu::panelCount(a.width), at(f.gemm));
  }

  void queryBlock(int64_t batch, int64_t head, int64_t query, int64_t seen) const {
    const int64_t rows = std::min(cpu::kAttentionRows, a.queries - query);
    bool first = true;
    // The keys that causality, the window and the mask leave, then the others for queries that saw none.
    for (const bool hidden : {false, true}) {
      if (hidden && !first && std::none_of(at(f.peak), at(f.peak) + rows, isBlind)) break;
      if (hidden) packKeys(batch, head / a.group(), seen, a.keys);
      for (int64_t key = 0, count; key < a.keys; key += count) {
        count = std::min(cpu::kAttentionKeys, (key < seen ? seen : a.keys) - key);
        if ((key < seen && a.meets(query, rows, key, count)) == hidden) continue;
        keyBlock(batch, head, query, key, count, first);
        first = false;
      }
    }
    float* out = args.out<float>(0) + ((batch * a.queries + query) * a.heads + head) * a.width;
    for (int64_t row = 0; row < rows; ++row) at(f.share)[row] = 1.0f / at(f.total)[row];
    k.scaleRows(at(f.output), a.widthColumns(), at(f.share), a.width, out, a.heads * a.width, rows);
    if (!f.keepsStatistics) return;
    float* statistics = args.out<float>(1) + (batch * a.heads + head) * 2 * a.queries + query;
    std::memcpy(statistics, at(f.peak), size_t(rows) * 4);
    std::memcpy(statistics + a.queries, at(f.share), size_t(rows) * 4);
  }
};

}  // namespace

Lowering lowerAttention(const LowerContext& c) {
  Forward f{.a = {attentionSizes(c)}};
  const Attention& a = f.a;
  f.keepsStatistics = c.used[1];
  Pieces<16> scratch;  // in floats
  f.keyPanels = scratch.add(a.keyColumns() * a.depth);
  f.valuePanels = scratch.add(a.packsValues() ? a.keys * a.widthColumns() : 0);
  f.scores = scratch.add(cpu::kAttentionRows * a.tileColumns());
  f.output = scratch.add(cpu::kAttentionRows * a.widthColumns());
  for (int64_t* piece : {&f.peak, &f.total, &f.share}) *piece = scratch.add(cpu::kAttentionRows);
  f.gemm = scratch.add(a.gemmScratch());

  const auto launch = [f, &k = c.kernels](const StepArgs& args) {
    const Attention& a = f.a;
    const Run run{f, a, k, args};
    if (a.keys == 0) {
      const Range all = args.split(a.n * a.queries * a.heads * a.width, 16);
      if (!all.empty()) std::memset(args.out<float>(0) + all.begin, 0, size_t(all.end - all.begin) * 4);
      return;
    }
    const int64_t blocks = a.queryBlocks();
    const Range items = args.split(a.n * a.heads * blocks);
    int64_t packedFor = -1, seen = a.keys;
    for (int64_t item = items.begin; item < items.end; ++item) {
      const int64_t batch = item / blocks / a.heads, head = item / blocks % a.heads;
      const int64_t keyHead = head / a.group();
      if (const int64_t needed = batch * a.keyHeads + keyHead; needed != packedFor) {
        seen = run.seenKeys(batch);
        run.pack(batch, keyHead, seen);
        packedFor = needed;
      }
      run.queryBlock(batch, head, item % blocks * cpu::kAttentionRows, seen);
    }
  };
  const double scores = double(a.n * a.heads) * double(a.queries) * double(a.keys) * (a.causal ? 0.5 : 1);
  const double packed = double(a.n * a.keyHeads) * double(a.keys) * double(a.depth + a.width);
  Lowering result{.launch = launch, .cost = scores * (double(a.depth + a.width) * 0.025 + 0.8) + packed * 0.15 + 50};
  result.flop = 2 * scores * double(a.depth + a.width);
  result.memberScratch = size_t(scratch.size) * 4;
  return result;
}

}  // namespace chainrule::ops
