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

}  // namespace

void benchQuantized() {
  for (int64_t m : {1, 4, 16, 64}) benchInt8(m, 1024, 1024);
}
