#include "cpu/attention.h"

#include "check.h"
#include "cpu/split.h"

// Attention's kernels on tiles of scores: the same bits on every ISA, and shares that sum to 1.
using namespace check;

namespace {

std::vector<std::vector<float>> runTile(const KernelTable& table) {
  AttentionTile t;
  t.rows = pick(1, 6), t.keys = pick(1, 40), t.stride = (t.keys + 15) / 16 * 16 + 16 * pick(0, 1);
  t.scale = uniform(0.1f, 2), t.bandEnd = t.keys;
  std::vector<float> bias = floats(t.rows * t.keys);
  std::vector<uint8_t> mask(t.rows * t.keys);
  for (uint8_t& m : mask) m = pick(0, 3) > 0;
  const int64_t kind = pick(0, 3);
  if (kind & 1) t.bias = bias.data(), t.biasRow = t.keys, t.biasKey = 1;
  if (kind & 2) t.mask = mask.data(), t.maskRow = t.keys, t.maskKey = 1;
  if (pick(0, 1)) t.bandBegin = -t.keys, t.bandEnd = 1;  // causal
  const int64_t width = 16 * pick(1, 3);
  std::vector<float> scores = floats(t.rows * t.stride), peak(t.rows), total(t.rows), output(t.rows * width);
  std::vector<float> gradient = floats(t.rows * t.stride), shares(t.rows), biasGradient(t.rows * t.keys),
                     delta = floats(t.rows), dots(t.rows), factors = floats(t.rows), scaled(t.rows * width);
  table.attentionScores(t, scores.data());
  std::vector<float> again = scores;
  table.attentionSoftmax(t, true, again.data(), peak.data(), total.data(), output.data(), width);
  for (float& x : output) x = uniform();
  std::vector<float> second = scores;  // the same keys once more: a second block
  table.attentionSoftmax(t, false, second.data(), peak.data(), total.data(), output.data(), width);
  for (int64_t r = 0; r < t.rows; ++r) shares[r] = 1 / total[r];
  std::vector<float> probabilities = scores;
  table.attentionBackward(t, peak.data(), shares.data(), delta.data(), probabilities.data(), gradient.data(),
                          biasGradient.data(), t.keys);
  for (int64_t r = 0; r < t.rows; ++r) {
    double sum = 0;
    for (int64_t k = 0; k < t.keys; ++k) sum += 2 * double(probabilities[r * t.stride + k]);
    expect(std::fabs(sum - 1) < 1e-5, "%s: shares of row %d sum to %g", table.isa, int(r), sum);
  }
  table.dotRows(output.data(), output.data(), width, width - pick(0, 15), dots.data(), t.rows);
  table.scaleRows(output.data(), width, factors.data(), width - pick(0, 15), scaled.data(), width, t.rows);
  const auto kept = [&](std::vector<float> rows) {  // what lies beyond the keys is nobody's
    for (int64_t i = 0; i < int64_t(rows.size()); ++i) {
      if (i % t.stride >= t.keys) rows[i] = 0;
    }
    return rows;
  };
  return {kept(scores), kept(again), kept(second), kept(probabilities), kept(gradient), peak, total, output,
          biasGradient, dots,        scaled};
}

}  // namespace

KERNEL_CASE(attentionTiles) {
  for (int round = 0; round < 300; ++round) {
    const uint32_t seed = randomBits();
    std::vector<std::vector<float>> first;
    for (const KernelTable* table : tables()) {
      seedRandom(seed);
      const auto got = runTile(*table);
      if (first.empty()) first = got;
      for (size_t i = 0; i < got.size(); ++i) {
        char what[80];
        std::snprintf(what, sizeof what, "%s attention, result %d", table->isa, int(i));
        expectSame(first[i], got[i], what);
      }
    }
  }
}

KERNEL_CASE(mixedRows) {
  for (int round = 0; round < 300; ++round) {
    const int64_t rows = pick(1, 128), n = pick(0, 1) ? size() : pick(1, 200), stride = n + pick(0, 20);
    const bool first = pick(0, 1);
    const std::vector<float> x = floats(rows * stride), factors = floats(rows), before = floats(n);
    const int64_t panels = cpu::panelCount(n);
    for (const KernelTable* k : tables()) {
      std::vector<float> packed(panels * rows * cpu::kPanel), product = before, mixed = before;
      k->packB(x.data(), stride, 1, rows, n, packed.data(), 0, panels);
      cpu::Gemm g{.m = 1, .n = n, .k = rows, .a = factors.data(), .b = packed.data(), .c = product.data(), .cRow = n};
      g.aRow = rows, g.aCol = 1, g.bPanel = rows * cpu::kPanel, g.accumulate = !first;
      Scratch scratch(cpu::gemmScratchBytes(g));
      k->gemm(g, 0, 1, 0, panels, scratch.data());
      k->vectorMatrix(x.data(), stride, rows, factors.data(), !first, mixed.data(), 0, n);
      expectSame(product, mixed, "vectorMatrix");
    }
  }
}
