#include "base/panels.h"
#include "check.h"

// Products of int8 matrices: the formula element by element, bit for bit, on every ISA and for every split.
using namespace check;

namespace {

std::vector<int8_t> bytes(int64_t n) {
  std::vector<int8_t> v(static_cast<size_t>(n));
  // The ends of the range are frequent: sums of two products must not saturate.
  for (int8_t& x : v) x = int8_t(pick(0, 3) ? pick(-127, 127) : pick(0, 1) ? 127 : -127);
  return v;
}

// What the table adds to every byte of a row: 0 or 128.
int flipOf(const KernelTable* table) {
  const float zero = 0;
  int8_t q[4];
  float scale;
  table->quantizeRows(&zero, 1, q, &scale, 0, 1);
  expect(q[0] == 0 || q[0] == -128, "%s: 0 became %d", table->isa, int(q[0]));
  return uint8_t(q[0]);
}

void checkQuantize(int64_t rows, int64_t n) {
  std::vector<float> x = floats(rows * n, -3, 3);
  for (int64_t i = 0; i < n; ++i) x[size_t(i)] = 0;  // a row of zeros
  if (rows > 1) x[size_t(2 * n - 1)] = NAN;
  if (rows > 2) x[size_t(2 * n)] = INFINITY;
  const int64_t stride = (n + 3) / 4 * 4;
  for (const KernelTable* table : tables()) {
    std::vector<int8_t> q(size_t(rows * stride + 1), 99);
    std::vector<float> scale(static_cast<size_t>(rows));
    randomSplit(rows, [&](int64_t begin, int64_t end) {
      table->quantizeRows(x.data(), n, q.data(), scale.data(), begin, end);
    });
    expect(q.back() == 99, "%s: quantizeRows writes beyond its rows", table->isa);
    for (int64_t row = 0; row < rows; ++row) {  // in two parts
      const int64_t middle = pick(0, int(n) / 4) * 4;
      const float parts[] = {middle > 0 ? table->largestMagnitude(x.data() + row * n, 0, middle) : 0.0f,
                             middle < n ? table->largestMagnitude(x.data() + row * n, middle, n) : 0.0f};
      const float largest = std::isnan(parts[0]) || parts[0] > parts[1] ? parts[0] : parts[1];
      std::vector<int8_t> own(size_t(stride + 1), 99);
      const float first = table->quantizePart(x.data() + row * n, largest, own.data(), 0, middle);
      const float second = table->quantizePart(x.data() + row * n, largest, own.data(), middle, n);
      expect(sameBits(first, scale[size_t(row)]) && sameBits(second, scale[size_t(row)]), "%s: scale of a part",
             table->isa);
      expect(own.back() == 99, "%s: quantizePart writes beyond its row", table->isa);
      for (int64_t i = 0; i < n; ++i)
        expect(own[size_t(i)] == q[size_t(row * stride + i)], "%s: quantizePart", table->isa);
    }
    for (int64_t row = 0; row < rows; ++row) {
      float largest = 0;
      for (int64_t i = 0; i < n; ++i) {
        const float magnitude = std::fabs(x[size_t(row * n + i)]);
        if (std::isnan(magnitude) || magnitude > largest) largest = magnitude;
      }
      const float want = 127.0f / (largest + 1e-7f);
      expect(sameBits(scale[size_t(row)], want), "%s: scale of row %d is %g, not %g", table->isa, int(row),
             scale[size_t(row)], want);
      for (int64_t i = 0; i < n; ++i) {
        const float value = x[size_t(row * n + i)] * want;
        if (std::isnan(value)) continue;
        const int rounded = int(std::nearbyint(std::fmin(std::fmax(value, -127.0f), 127.0f)));
        const int got = int8_t(q[size_t(row * stride + i)] ^ flipOf(table));
        if (got != rounded) return expect(false, "%s: %g became %d, not %d", table->isa, value, got, rounded);
      }
    }
  }
}

void checkGemm(int64_t m, int64_t n, int64_t k) {
  const int64_t stride = (k + 3) / 4 * 4, panels = panelCount(n);
  std::vector<int8_t> packed(size_t(panelSize(DType::i8, k, n)));
  const std::vector<int8_t> rows = bytes(m * k), b = bytes(k * n);
  const std::vector<float> aScale = floats(m, 1, 300), bScale = floats(n, 1, 300), bias = floats(n);
  for (int64_t l = 0; l < k; ++l) {
    for (int64_t j = 0; j < n; ++j) packed[size_t(panelIndex(DType::i8, k, l, j))] = b[size_t(l * n + j)];
  }
  Int8Gemm g{.m = m, .n = n, .k = k, .aScale = aScale.data(), .b = packed.data()};
  g.bScale = bScale.data(), g.cRow = n + pick(0, 3);
  g.bias = pick(0, 1) ? bias.data() : nullptr;
  g.activation = {pick(0, 1) == 1, pick(0, 1) ? 0.5f : INFINITY};
  std::vector<float> want(size_t(m * g.cRow), 7);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      int32_t sum = 0;
      for (int64_t l = 0; l < k; ++l) sum += rows[size_t(i * k + l)] * b[size_t(l * n + j)];
      float y = float(sum) / (bScale[size_t(j)] * aScale[size_t(i)]);
      if (g.bias) y += bias[size_t(j)];
      want[size_t(i * g.cRow + j)] = g.activation.relu ? std::min(std::max(y, 0.0f), g.activation.ceiling) : y;
    }
  }
  for (const KernelTable* table : tables()) {
    std::vector<int8_t> a(size_t(m * stride), 99);  // padding may be anything
    const int flip = flipOf(table);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t l = 0; l < k; ++l) a[size_t(i * stride + l)] = int8_t(rows[size_t(i * k + l)] ^ flip);
    }
    std::vector<float> c(want.size(), 7);
    g.a = a.data(), g.c = c.data();
    randomSplit(m, [&](int64_t r0, int64_t r1) {
      randomSplit(panels, [&](int64_t p0, int64_t p1) { table->gemmInt8(g, r0, r1, p0, p1); });
    });
    char what[80];
    std::snprintf(what, sizeof what, "%s gemmInt8 %dx%dx%d", table->isa, int(m), int(n), int(k));
    expectSame(want, c, what);
  }
}

void checkGather(int64_t rows, int64_t width, int64_t count) {
  const std::vector<int8_t> table = bytes(rows * width);
  const std::vector<float> scale = floats(rows, 1, 300);
  const std::vector<int32_t> indices = integers(count, -1, int32_t(rows));
  std::vector<float> want(size_t(count * width));
  int64_t wantBad = INT64_MAX;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t row = indices[size_t(i)];
    const bool inside = row >= 0 && row < rows;
    if (!inside) wantBad = std::min(wantBad, i);
    for (int64_t k = 0; k < width; ++k)
      want[size_t(i * width + k)] = inside ? float(table[size_t(row * width + k)]) / scale[size_t(row)] : 0;
  }
  for (const KernelTable* kernels : tables()) {
    std::vector<float> out(want.size(), NAN);
    int64_t bad = INT64_MAX;
    randomSplit(count, [&](int64_t begin, int64_t end) {
      kernels->gatherInt8(table.data(), rows, width, scale.data(), indices.data(), out.data(), begin, end, &bad);
    });
    expectSame(want, out, kernels->isa);
    expect(bad == wantBad, "%s: gatherInt8 reports %d, not %d", kernels->isa, int(bad), int(wantBad));
  }
}

}  // namespace

KERNEL_CASE(quantizeRows) {
  for (int round = 0; round < 200; ++round) checkQuantize(pick(1, 9), size());
}
KERNEL_CASE(gemmInt8) {
  for (int round = 0; round < 300; ++round) checkGemm(size(), size(), size());
  checkGemm(1, 100, 1024);
  checkGemm(300, 20, 700);  // more than one block of rows
}
KERNEL_CASE(gatherInt8) {
  for (int round = 0; round < 200; ++round) checkGather(pick(1, 20), size(), size());
}
