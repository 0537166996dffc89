#include <cstring>

#include "cpu/kernel_table.h"
#include "ops/attention.h"

// The scores are computed again from what the forward pass kept of each query. One piece of work is a head of keys with
// all queries that look at it, so its sums have one order whoever computes them.

namespace chainrule::ops {
namespace {

struct Backward {
  Attention a;
  int statistics = 0;  // input; the output and its gradient follow
  bool wants[4] = {};  // query, key, value, scores
  // Floats into the scratch of a member.
  int64_t keyColumns = 0, keyRows = 0, valueColumns = 0, queryRows = 0, outputRows = 0, scores = 0, gradient = 0,
          delta = 0, gemm = 0;
};

struct Run {
  const Backward& f;
  const Attention& a;
  const cpu::KernelTable& k;
  const StepArgs& args;

  float* at(int64_t offset) const { return reinterpret_cast<float*>(args.own) + offset; }
  // Row `position` of a head of [n][length][heads][size].
  static int64_t place(int64_t batch, int64_t length, int64_t position, int64_t heads, int64_t head, int64_t size) {
    return ((batch * length + position) * heads + head) * size;
  }
  static void clear(float* x, int64_t rows, int64_t stride, int64_t size) {
    for (int64_t row = 0; row < rows; ++row) std::memset(x + row * stride, 0, size_t(size) * 4);
  }

  void keyHead(int64_t batch, int64_t keyHead) const {
    const int64_t keyRow = a.keyHeads * a.depth, valueRow = a.keyHeads * a.width;
    const int64_t keyStart = place(batch, a.keys, 0, a.keyHeads, keyHead, a.depth);
    const int64_t valueStart = place(batch, a.keys, 0, a.keyHeads, keyHead, a.width);
    const float *key = args.in<float>(1) + keyStart, *value = args.in<float>(2) + valueStart;
    const int64_t panels = cpu::panelCount(a.keys);
    k.packB(key, 1, keyRow, a.depth, a.keys, at(f.keyColumns), 0, panels);
    k.packB(value, 1, valueRow, a.width, a.keys, at(f.valueColumns), 0, panels);
    if (f.wants[0]) k.packB(key, keyRow, 1, a.keys, a.depth, at(f.keyRows), 0, cpu::panelCount(a.depth));
    if (f.wants[1]) clear(args.out<float>(1) + keyStart, a.keys, keyRow, a.depth);
    if (f.wants[2]) clear(args.out<float>(2) + valueStart, a.keys, valueRow, a.width);
    for (int64_t head = keyHead * a.group(); head < (keyHead + 1) * a.group(); ++head) {
      for (int64_t query = 0; query < a.queries; query += cpu::kAttentionRows) queryBlock(batch, head, query);
    }
  }

  void queryBlock(int64_t batch, int64_t head, int64_t query) const {
    const int64_t rows = std::min(cpu::kAttentionRows, a.queries - query);
    const int64_t queryRow = a.heads * a.depth, outputRow = a.heads * a.width;
    const int64_t queryStart = place(batch, a.queries, query, a.heads, head, a.depth);
    const int64_t outputStart = place(batch, a.queries, query, a.heads, head, a.width);
    const float* arriving = args.in<float>(f.statistics + 2) + outputStart;
    if (f.wants[0]) clear(args.out<float>(0) + queryStart, rows, queryRow, a.depth);
    if (f.wants[3]) {
      float* bias = args.out<float>(3) + ((batch * a.heads + head) * a.queries + query) * a.keys;
      std::memset(bias, 0, size_t(rows * a.keys) * 4);
    }
    k.packB(args.in<float>(0) + queryStart, queryRow, 1, rows, a.depth, at(f.queryRows), 0, cpu::panelCount(a.depth));
    k.packB(arriving, outputRow, 1, rows, a.width, at(f.outputRows), 0, cpu::panelCount(a.width));
    k.dotRows(args.in<float>(f.statistics + 1) + outputStart, arriving, outputRow, a.width, at(f.delta), rows);
    const float* peak = args.in<float>(f.statistics) + (batch * a.heads + head) * 2 * a.queries + query;
    const bool all = std::any_of(peak, peak + rows, isBlind);
    for (int64_t key = 0; key < a.keys; key += cpu::kAttentionKeys) {
      const int64_t count = std::min(cpu::kAttentionKeys, a.keys - key);
      if (all || a.meets(query, rows, key, count)) keyBlock(batch, head, query, key, peak);
    }
  }

  void keyBlock(int64_t batch, int64_t head, int64_t query, int64_t key, const float* peak) const {
    const cpu::AttentionTile tile = a.tile(batch, head, query, key, a.hasBias ? args.in<float>(a.biasInput()) : nullptr,
                                           a.hasMask ? args.in<uint8_t>(a.maskInput()) : nullptr);
    const int64_t queryStart = place(batch, a.queries, query, a.heads, head, a.depth);
    const int64_t outputStart = place(batch, a.queries, query, a.heads, head, a.width);
    multiplyRows(args.in<float>(0) + queryStart, a.heads * a.depth, a.depth, at(f.keyColumns), key, tile, f.scores);
    multiplyRows(args.in<float>(f.statistics + 2) + outputStart, a.heads * a.width, a.width, at(f.valueColumns), key,
                 tile, f.gradient);
    k.attentionScores(tile, at(f.scores));
    float* bias =
        f.wants[3] ? args.out<float>(3) + ((batch * a.heads + head) * a.queries + query) * a.keys + key : nullptr;
    k.attentionBackward(tile, peak, peak + a.queries, at(f.delta), at(f.scores), at(f.gradient), bias, a.keys);

    const int64_t shared = head / a.group();
    if (f.wants[0]) {
      cpu::Gemm g{.m = tile.rows, .n = a.depth, .k = tile.keys};
      g.a = at(f.gradient);
      g.aRow = tile.stride;
      g.b = at(f.keyRows) + key * cpu::kPanel;
      g.bPanel = a.keys * cpu::kPanel;
      g.c = args.out<float>(0) + queryStart;
      g.cRow = a.heads * a.depth;
      g.accumulate = true;
      k.gemm(g, 0, g.m, 0, cpu::panelCount(g.n), at(f.gemm));
    }
    if (f.wants[1]) {
      float* to = args.out<float>(1) + place(batch, a.keys, key, a.keyHeads, shared, a.depth);
      multiplyColumns(f.gradient, tile, at(f.queryRows), a.depth, to, a.keyHeads * a.depth);
    }
    if (f.wants[2]) {
      float* to = args.out<float>(2) + place(batch, a.keys, key, a.keyHeads, shared, a.width);
      multiplyColumns(f.scores, tile, at(f.outputRows), a.width, to, a.keyHeads * a.width);
    }
  }

  // A tile from rows of queries and packed columns of keys.
  void multiplyRows(const float* rows, int64_t stride, int64_t depth, const float* columns, int64_t key,
                    const cpu::AttentionTile& tile, int64_t to) const {
    cpu::Gemm g{.m = tile.rows, .n = tile.keys, .k = depth};
    g.a = rows;
    g.aRow = stride;
    g.b = columns + key * depth;
    g.bPanel = depth * cpu::kPanel;
    g.c = at(to);
    g.cRow = tile.stride;
    g.cPadded = true;
    k.gemm(g, 0, g.m, 0, cpu::panelCount(g.n), at(f.gemm));
  }

  // Rows of keys += the transposed tile times packed rows of queries.
  void multiplyColumns(int64_t from, const cpu::AttentionTile& tile, const float* packed, int64_t size, float* to,
                       int64_t stride) const {
    cpu::Gemm g{.m = tile.keys, .n = size, .k = tile.rows};
    g.a = at(from);
    g.aRow = 1;
    g.aCol = tile.stride;
    g.b = packed;
    g.bPanel = tile.rows * cpu::kPanel;
    g.c = to;
    g.cRow = stride;
    g.accumulate = true;
    k.gemm(g, 0, g.m, 0, cpu::panelCount(g.n), at(f.gemm));
  }
};

}  // namespace

Lowering lowerAttentionGradient(const LowerContext& c) {
  Backward f{.a = {attentionSizes(c)}};
  const Attention& a = f.a;
  f.statistics = a.inputCount();
  for (size_t part = 0; part < c.used.size(); ++part) f.wants[part] = c.used[part];
  Pieces<16> scratch;  // in floats
  f.keyColumns = scratch.add(a.keyColumns() * a.depth);
  f.valueColumns = scratch.add(a.keyColumns() * a.width);
  f.keyRows = scratch.add(a.keys * a.depthColumns());
  f.queryRows = scratch.add(cpu::kAttentionRows * a.depthColumns());
  f.outputRows = scratch.add(cpu::kAttentionRows * a.widthColumns());
  f.scores = scratch.add(cpu::kAttentionRows * a.tileColumns());
  f.gradient = scratch.add(cpu::kAttentionRows * a.tileColumns());
  f.delta = scratch.add(cpu::kAttentionRows);
  f.gemm = scratch.add(a.gemmScratch());

  const auto launch = [f, &k = c.kernels](const StepArgs& args) {
    const Run run{f, f.a, k, args};
    const Range items = args.split(f.a.n * f.a.keyHeads);
    for (int64_t item = items.begin; item < items.end; ++item) run.keyHead(item / f.a.keyHeads, item % f.a.keyHeads);
  };
  const double scores = double(a.n * a.heads) * double(a.queries) * double(a.keys) * (a.causal ? 0.5 : 1);
  Lowering result{.launch = launch, .cost = scores * (double(3 * a.depth + 2 * a.width) * 0.025 + 1) + 50};
  result.flop = 2 * scores * double(3 * a.depth + 2 * a.width);
  result.memberScratch = size_t(scratch.size) * 4;
  return result;
}

}  // namespace chainrule::ops
