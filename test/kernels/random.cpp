#include "base/philox.h"
#include "check.h"

// Random kernels: the words are philoxWord's, rows do not depend on the split or the offset, and the moments are right.
using namespace check;

KERNEL_CASE(philoxKnownAnswers) {
  // From the Random123 distribution (kat_vectors).
  const PhiloxBlock zero = philox({{0, 0, 0, 0}}, 0, 0);
  expect(zero.word[0] == 0x6627e8d5 && zero.word[1] == 0xe169c58d && zero.word[2] == 0xbc57ac4c &&
             zero.word[3] == 0x9b00dbd8,
         "philox of zeros");
  const PhiloxBlock ones = philox({{~0u, ~0u, ~0u, ~0u}}, ~0u, ~0u);
  expect(ones.word[0] == 0x408f276d && ones.word[1] == 0x41c83b0e && ones.word[2] == 0xa20bc7c6 &&
             ones.word[3] == 0x6d5451fd,
         "philox of ones");
}

KERNEL_CASE(randomRows) {
  for (int round = 0; round < 100; ++round) {
    RandomStream s;
    s.key0 = randomBits(), s.key1 = randomBits(), s.draw = randomBits();
    s.rowOffset = pick(0, 1) ? pick(0, 100) : int64_t(randomBits()) * 3;
    s.rowSize = pick(0, 4) == 0 ? pick(100, 300) : size();
    const int64_t rows = pick(1, 6), count = rows * s.rowSize;
    std::vector<float> firsts[4];
    const std::vector<float> x = floats(count);
    for (const KernelTable* table : tables()) {
      std::vector<uint32_t> bits(count);
      std::vector<uint8_t> coin(count);
      std::vector<float> u(count), z(count), t(count), d(count);
      randomSplit(rows, [&](int64_t b, int64_t e) {
        table->randomBits(s, bits.data(), b, e);
        table->randomUniform(s, -1, 3, u.data(), b, e);
        table->randomNormal(s, 0.5f, 2, z.data(), b, e);
        table->randomTruncatedNormal(s, 0, 1, t.data(), b, e);
        table->randomBernoulli(s, 0.25f, coin.data(), b, e);
        table->dropout(s, 0.25f, x.data(), d.data(), b, e);
      });
      for (int64_t i = 0; i < count; ++i) {
        const int64_t row = i / s.rowSize, e = i % s.rowSize;
        const uint32_t word = philoxWord(s.key0, s.key1, s.draw, uint64_t(s.rowOffset + row), e);
        const float unit = float(word >> 8) * 0x1p-24f;
        expect(bits[i] == word, "randomBits element %lld", (long long)i);
        expect(u[i] == -1 + 4 * unit, "randomUniform");
        expect(coin[i] == (unit < 0.25f), "randomBernoulli");
        expect(std::fabs(t[i]) <= 2, "truncated %g", double(t[i]));
        expect(d[i] == 0 || d[i] == x[i] * (1 / 0.75f), "dropout");
      }
      const std::vector<float> all[] = {u, z, t, d};
      for (int i = 0; i < 4; ++i) {
        if (firsts[i].empty())
          firsts[i] = all[i];
        else
          expectSame(firsts[i], all[i], "random between isas");
      }
    }
  }
}

KERNEL_CASE(randomMoments) {
  RandomStream s{1, 2, 3, 0, 1000};
  const int64_t rows = 1000, count = rows * s.rowSize;
  const KernelTable& table = kernels();
  std::vector<float> u(count), z(count), t(count), d(count), ones(count, 1.0f);
  table.randomUniform(s, 0, 1, u.data(), 0, rows);
  table.randomNormal(s, 0, 1, z.data(), 0, rows);
  table.randomTruncatedNormal(s, 0, 1, t.data(), 0, rows);
  table.dropout(s, 0.3f, ones.data(), d.data(), 0, rows);
  const auto moments = [&](const std::vector<float>& v, double mean, double variance, const char* what) {
    double sum = 0, squares = 0;
    for (float x : v) sum += x, squares += double(x) * x;
    const double m = sum / double(count), var = squares / double(count) - m * m;
    expect(std::fabs(m - mean) < 5e-3 && std::fabs(var - variance) < 5e-3, "%s: mean %.4f, variance %.4f", what, m,
           var);
  };
  moments(u, 0.5, 1.0 / 12, "uniform");
  moments(z, 0, 1, "normal");
  moments(t, 0, 0.87962566103423978 * 0.87962566103423978, "truncated normal");
  moments(d, 1, 0.3 / 0.7, "dropout");
}
