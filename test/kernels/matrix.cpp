#include "check.h"

// Packing and matrix products: exact on small integers, close on floats, bit-equal between ISAs and for every split.
using namespace check;

namespace {

struct Layout {
  int64_t rowStride, colStride, size;
};
Layout randomLayout(int64_t rows, int64_t columns) {
  const int64_t pad = pick(0, 1) * pick(1, 5);
  if (pick(0, 1)) return {columns + pad, 1, rows * (columns + pad)};
  return {1, rows + pad, columns * (rows + pad)};
}

void checkGemm(int64_t m, int64_t n, int64_t k) {
  const Layout la = randomLayout(m, k), lb = randomLayout(k, n);
  const bool integersOnly = pick(0, 1), accumulate = pick(0, 3) == 0, bias = pick(0, 1), panelC = pick(0, 3) == 0;
  const Activation activation{pick(0, 3) == 0, pick(0, 1) ? 0.5f : INFINITY};
  const Combine combine = Combine(pick(0, 2));
  std::vector<float> a = floats(la.size), b = floats(lb.size), biases = floats(n), start = floats(m * n),
                     other = floats(m * n);
  if (integersOnly) {
    for (auto* v : {&a, &b, &biases, &start, &other}) {
      for (float& x : *v) x = float(int(x * 8));
    }
  }
  std::vector<double> exact(m * n), bound(m * n);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = accumulate ? start[i * n + j] : 0, size = std::fabs(sum);
      for (int64_t l = 0; l < k; ++l) {
        const double p = double(a[i * la.rowStride + l * la.colStride]) * b[l * lb.rowStride + j * lb.colStride];
        sum += p;
        size += std::fabs(p);
      }
      if (bias) sum += biases[j], size += std::fabs(biases[j]);
      if (combine == Combine::add) sum += other[i * n + j], size += std::fabs(other[i * n + j]);
      if (combine == Combine::whenPositive && !(other[i * n + j] > 0)) sum = 0;
      if (activation.relu) sum = std::clamp<double>(sum, 0, activation.ceiling);
      exact[i * n + j] = sum;
      bound[i * n + j] = integersOnly ? 0 : (double(k) + 5) * 0x1p-24 * size;
    }
  }
  const int64_t panels = panelCount(n);
  std::vector<float> first;
  for (const KernelTable* table : tables()) {
    std::vector<float> packed(panels * k * kPanel, NAN), unpacked(lb.size, NAN);
    randomSplit(panels, [&](int64_t begin, int64_t end) {
      table->packB(b.data(), lb.rowStride, lb.colStride, k, n, packed.data(), begin, end);
    });
    randomSplit(panels, [&](int64_t begin, int64_t end) {
      table->unpackB(packed.data(), k, n, unpacked.data(), lb.rowStride, lb.colStride, begin, end);
    });
    for (int64_t l = 0; l < k; ++l) {
      for (int64_t j = 0; j < n; ++j) {
        const int64_t at = l * lb.rowStride + j * lb.colStride;
        if (unpacked[at] != b[at]) return expect(false, "%s: unpackB k=%d n=%d", table->isa, int(k), int(n));
      }
    }
    std::vector<float> c(panelC ? panels * m * kPanel : m * n, NAN);
    Gemm g;
    g.m = m, g.n = n, g.k = k;
    g.a = a.data(), g.aRow = la.rowStride, g.aCol = la.colStride;
    g.b = packed.data(), g.bPanel = k * kPanel;
    g.c = c.data(), g.cRow = panelC ? kPanel : n, g.cPanel = panelC ? m * kPanel : kPanel, g.cPadded = panelC;
    g.accumulate = accumulate, g.finish = {bias ? biases.data() : nullptr, activation, combine, nullptr};
    std::vector<float> beside(c.size(), 0.0f);  // `other` where C has its elements
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) beside[i * g.cRow + j / kPanel * g.cPanel + j % kPanel] = other[i * n + j];
    }
    if (combine != Combine::none) g.finish.other = beside.data();
    if (accumulate) {
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < panels * kPanel; ++j) {
          if (j < n)
            c[i * g.cRow + j / kPanel * g.cPanel + j % kPanel] = start[i * n + j];
          else if (panelC)
            c[i * g.cRow + j / kPanel * g.cPanel + j % kPanel] = 0;
        }
      }
    }
    // A row-major B of whole panels may be used unpacked.
    if (lb.colStride == 1 && n % kPanel == 0 && pick(0, 1)) g.b = b.data(), g.bRow = lb.rowStride, g.bPanel = kPanel;
    Scratch scratch(gemmScratchBytes(g));
    randomSplit(m, [&](int64_t r0, int64_t r1) {
      randomSplit(panels, [&](int64_t p0, int64_t p1) { table->gemm(g, r0, r1, p0, p1, scratch.data()); });
    });
    std::vector<float> plain(m * n);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) plain[i * n + j] = c[i * g.cRow + j / kPanel * g.cPanel + j % kPanel];
    }
    char what[80];
    std::snprintf(what, sizeof what, "%s gemm %dx%dx%d", table->isa, int(m), int(n), int(k));
    if (first.empty()) {
      first = plain;
      expectNear(plain, exact, bound, what);
    } else {
      expectSame(first, plain, what);
    }
  }
}

// matrixVector by doubles, vectorMatrix by gemm's bits.
void checkVector(int64_t m, int64_t k) {
  const std::vector<float> a = floats(m * k), b = floats(k), across = floats(m);
  std::vector<double> exact(m, 0.0), bound(m, 0.0);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t l = 0; l < k; ++l) {
      exact[i] += double(a[i * k + l]) * b[l];
      bound[i] += (double(k) + 4) * 0x1p-24 * std::fabs(double(a[i * k + l]) * b[l]);
    }
  }
  std::vector<float> dots, columns;
  for (const KernelTable* table : tables()) {
    std::vector<float> dot(m, NAN), combined(k, NAN), expected(panelCount(k) * kPanel, NAN),
        panels(panelCount(k) * m * kPanel);
    randomSplit(
        m, [&](int64_t begin, int64_t end) { table->matrixVector(a.data(), k, b.data(), dot.data(), begin, end); });
    randomSplit(k, [&](int64_t begin, int64_t end) {
      table->vectorMatrix(a.data(), k, m, across.data(), false, combined.data(), begin, end);
    });
    table->packB(a.data(), k, 1, m, k, panels.data(), 0, panelCount(k));
    Gemm g;
    g.m = 1, g.n = k, g.k = m, g.a = across.data(), g.aRow = m, g.aCol = 1, g.b = panels.data(), g.bPanel = m * kPanel;
    g.c = expected.data(), g.cRow = k;
    Scratch scratch(gemmScratchBytes(g));
    table->gemm(g, 0, 1, 0, panelCount(k), scratch.data());
    expected.resize(size_t(k));
    expectSame(expected, combined, "vectorMatrix");
    if (dots.empty()) {
      dots = dot, columns = combined;
      expectNear(dot, exact, bound, "matrixVector");
    } else {
      expectSame(dots, dot, "matrixVector");
      expectSame(columns, combined, "vectorMatrix");
    }
  }
}

}  // namespace

KERNEL_CASE(productsWithAVector) {
  for (int round = 0; round < 200; ++round) checkVector(size(), size());
  checkVector(3, 9000);
  checkVector(500, 300);
}
KERNEL_CASE(gemmSmall) {
  for (int round = 0; round < 600; ++round) checkGemm(size(), size(), size());
}
KERNEL_CASE(gemmBlocked) {
  // More than one block of k and of rows, and A packed.
  for (int64_t k : {255, 256, 257, 384, 385, 512, 700, 1024}) checkGemm(pick(100, 180), pick(100, 180), k);
  checkGemm(7, 300, 2048);
  checkGemm(150, 160, 512);
  checkGemm(1, 200, 3000);
}
