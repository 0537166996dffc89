#include "base/bfloat16.h"

#include "base/panels.h"
#include "check.h"

// Products with weights stored as bfloat16: the bits of the float kernels on the widened weights, on every ISA and for
// every split.
using namespace check;

namespace {

std::vector<uint16_t> halvesOf(const std::vector<float>& numbers) {
  std::vector<uint16_t> halves;
  for (float x : numbers) halves.push_back(roundToBfloat16(x));
  return halves;
}

// The magnitude of a float, whatever the mode of the processor makes of denormals; infinity as the next power of two.
double magnitude(uint32_t bits) {
  const int exponent = int(bits >> 23 & 255), mantissa = int(bits & 0x7FFFFF);
  return exponent == 0 ? std::ldexp(mantissa, -149) : std::ldexp(0x800000 + mantissa, exponent - 150);
}

// The nearer of the two neighbours; of two as near the even one.
void checkRounding(uint32_t bits) {
  const uint16_t got = roundToBfloat16(std::bit_cast<float>(bits));
  const bool isNan = (bits & 0x7FFFFFFF) > 0x7F800000;
  if (isNan) return expect((got & 0x7FFF) > 0x7F80, "NaN %08x became %04x", bits, got);
  const uint32_t low = bits & 0xFFFF0000u, high = low + 0x10000u;
  const double below = magnitude(bits) - magnitude(low), above = magnitude(high) - magnitude(bits);
  const bool down = below == 0 || below < above || (below == above && (low >> 16 & 1) == 0);
  const uint32_t want = (down ? low : high) >> 16;
  expect(got == want, "%08x became %04x, not %04x", bits, got, want);
}

void checkGemm(int64_t m, int64_t n, int64_t k) {
  const bool transposed = pick(0, 3) == 0, panelC = pick(0, 3) == 0;
  const std::vector<float> a = floats(m * k), bias = floats(n), start = floats(panelCount(n) * kPanel * m),
                           other = floats(panelCount(n) * kPanel * m);
  const std::vector<uint16_t> b = halvesOf(floats(k * n));
  const int64_t panels = panelCount(n);
  std::vector<float> wide(size_t(panels * k * kPanel), 0.0f);
  std::vector<uint16_t> packed(size_t(panelSize(DType::bf16, k, n)), 0);
  for (int64_t l = 0; l < k; ++l) {
    for (int64_t j = 0; j < n; ++j) {
      packed[size_t(panelIndex(DType::bf16, k, l, j))] = b[size_t(l * n + j)];
      wide[size_t(panelIndex(DType::f32, k, l, j))] = widenBfloat16(b[size_t(l * n + j)]);
    }
  }
  Gemm g{.m = m, .n = n, .k = k, .a = a.data()};
  g.aRow = transposed ? 1 : k, g.aCol = transposed ? m : 1;
  g.cRow = panelC ? kPanel : n, g.cPanel = panelC ? m * kPanel : kPanel, g.cPadded = panelC;
  g.accumulate = pick(0, 3) == 0;
  g.finish.bias = pick(0, 1) ? bias.data() : nullptr;
  g.finish.activation = {pick(0, 1) == 1, pick(0, 1) ? 0.5f : INFINITY};
  g.finish.combine = Combine(pick(0, 2));
  if (g.finish.combine != Combine::none) g.finish.other = other.data();
  const int64_t size = panelC ? panels * m * kPanel : m * n;
  const auto initial = [&] { return std::vector<float>(start.begin(), start.begin() + size); };
  char what[80];
  std::vector<float> want;
  for (const KernelTable* table : tables()) {
    std::snprintf(what, sizeof what, "%s gemm of bfloat16 %dx%dx%d", table->isa, int(m), int(n), int(k));
    std::vector<float> made(wide.size(), NAN), c = initial();
    randomSplit(panels,
                [&](int64_t begin, int64_t end) { table->widenPanels(packed.data(), k, made.data(), begin, end); });
    expectSame(wide, made, "widenPanels");
    if (want.empty()) {
      want = initial();
      Gemm f = g;
      f.b = wide.data(), f.bPanel = k * kPanel, f.c = want.data();
      Scratch scratch(gemmScratchBytes(f));
      table->gemm(f, 0, m, 0, panels, scratch.data());
    }
    g.halves = packed.data(), g.bPanel = panelSize(DType::bf16, k, kPanel), g.c = c.data();
    Scratch scratch(gemmScratchBytes(g));
    randomSplit(m, [&](int64_t r0, int64_t r1) {
      randomSplit(panels, [&](int64_t p0, int64_t p1) { table->gemm(g, r0, r1, p0, p1, scratch.data()); });
    });
    expectSame(want, c, what);
  }
}

void checkGather(int64_t rows, int64_t width, int64_t count) {
  const std::vector<uint16_t> table = halvesOf(floats(rows * width));
  const std::vector<int32_t> indices = integers(count, -1, int32_t(rows));
  std::vector<float> want(size_t(count * width));
  int64_t wantBad = INT64_MAX;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t row = indices[size_t(i)];
    const bool inside = row >= 0 && row < rows;
    if (!inside) wantBad = std::min(wantBad, i);
    for (int64_t k = 0; k < width; ++k)
      want[size_t(i * width + k)] = inside ? widenBfloat16(table[size_t(row * width + k)]) : 0;
  }
  for (const KernelTable* kernels : tables()) {
    std::vector<float> out(want.size(), NAN);
    int64_t bad = INT64_MAX;
    randomSplit(count, [&](int64_t begin, int64_t end) {
      kernels->gatherBfloat16(table.data(), rows, width, indices.data(), out.data(), begin, end, &bad);
    });
    expectSame(want, out, kernels->isa);
    expect(bad == wantBad, "%s: gatherBfloat16 reports %d, not %d", kernels->isa, int(bad), int(wantBad));
  }
}

}  // namespace

KERNEL_CASE(roundingToBfloat16) {
  for (uint32_t upper = 0; upper < 0x10000; ++upper) {
    for (uint32_t lower : {0u, 1u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu}) checkRounding(upper << 16 | lower);
  }
}
KERNEL_CASE(gemmBfloat16) {
  for (int round = 0; round < 400; ++round) checkGemm(size(), size(), size());
  for (int64_t m : {1, 2, 3, 4, 5}) checkGemm(m, 300, 1025);
  checkGemm(300, 100, 700);  // blocks of rows and of k
  checkGemm(20, 70, 1500);
  checkGemm(40, 200, 1700);  // and a copy of A
}
KERNEL_CASE(gatherBfloat16) {
  for (int round = 0; round < 200; ++round) checkGather(pick(1, 20), size(), size());
}
