#include "base/panels.h"
#include "measure.h"

using namespace bench;

namespace {

void benchInt8(int64_t m, int64_t n, int64_t k) {
  if (!wanted("int8")) return;
  const auto x = values(m * k);
  Floats aScale(m), bScale(n), c(m * n);
  std::vector<int8_t> a(size_t(m * panelRows(DType::i8, k))), b(size_t(panelSize(DType::i8, k, n)), 3);
  std::fill(bScale.begin(), bScale.end(), 100.0f);
  Int8Gemm g{.m = m, .n = n, .k = k, .a = a.data(), .aScale = aScale.data(), .b = b.data()};
  g.bScale = bScale.data(), g.c = c.data(), g.cRow = n;
  const std::string size = std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k);
  report("int8 quantize rows " + size,
         best([&] { kernels().quantizeRows(x.data(), k, a.data(), aScale.data(), 0, m); }), 0, 5.0 * m * k);
  report("int8 gemm " + size, best([&] { kernels().gemmInt8(g, 0, m, 0, panelCount(n)); }), 2.0 * m * n * k,
         m == 1 ? double(n * k) : 0);
}

void benchHalves(int64_t m, int64_t n, int64_t k) {
  if (!wanted("bf16")) return;
  const auto a = values(m * k);
  Floats panels(panelCount(n) * k * kPanel), c(m * n);
  std::vector<uint16_t, HugePages<uint16_t>> halves(size_t(panelSize(DType::bf16, k, n)), 0x3F80);
  std::fill(panels.begin(), panels.end(), 1.0f);
  Gemm g{.m = m, .n = n, .k = k, .a = a.data(), .aRow = k};
  g.b = panels.data(), g.bPanel = k * kPanel, g.c = c.data(), g.cRow = n;
  Gemm h = g;
  h.halves = halves.data(), h.bPanel = panelSize(DType::bf16, k, kPanel);
  std::vector<char, HugePages<char>> scratch(size_t(gemmScratchBytes(g) + 64));
  const std::string size = std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k);
  report("float weights " + size, best([&] { kernels().gemm(g, 0, m, 0, panelCount(n), scratch.data()); }),
         2.0 * m * n * k, m <= 4 ? 4.0 * n * k : 0);
  report("bf16 weights " + size, best([&] { kernels().gemm(h, 0, m, 0, panelCount(n), scratch.data()); }),
         2.0 * m * n * k, m <= 4 ? 2.0 * n * k : 0);
}

}  // namespace

void benchQuantized() {
  for (int64_t m : {1, 2, 4, 5, 8, 12, 16, 64, 256}) benchHalves(m, 1024, 1024);
  for (int64_t m : {1, 4, 8}) benchHalves(m, 4096, 4096);
  for (int64_t m : {1, 4, 16, 64}) benchInt8(m, 1024, 1024);
}
