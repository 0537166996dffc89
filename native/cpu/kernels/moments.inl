// The mean and the squares of deviations from it of a few rows that stay in cache, by column.

template <int vectors>
CHAINRULE_INLINE void momentsOf(const float* x, int64_t n, int64_t inner, float* mean, float* squares, int count) {
  const auto at = [&](int64_t row, int j) __attribute__((always_inline)) {
    const float* p = x + row * inner + j * lanes;
    return count < lanes ? loadPartial(p, count) : load(p);
  };
  Float middle[vectors], sum[vectors];
#pragma GCC unroll 8
  for (int j = 0; j < vectors; ++j) middle[j] = sum[j] = Float(0.0f);
  for (int64_t row = 0; row < n; ++row) {
    for (int j = 0; j < vectors; j += 16 / lanes)
      __builtin_prefetch(x + (n + row) * inner + j * lanes);  // the next rows
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) middle[j] = middle[j] + at(row, j);
  }
#pragma GCC unroll 8
  for (int j = 0; j < vectors; ++j) middle[j] = middle[j] / Float(float(n));
  for (int64_t row = 0; row < n; ++row) {
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) {
      const Float apart = at(row, j) - middle[j];
      sum[j] = fma(apart, apart, sum[j]);
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < vectors; ++j) {
    storeSome(mean + j * lanes, middle[j], count);
    storeSome(squares + j * lanes, sum[j], count);
  }
}
static void columnMoments(const float* x, int64_t n, int64_t inner, float* mean, float* squares) {
  int64_t i = 0;
  for (; i + 4 * lanes <= inner; i += 4 * lanes) momentsOf<4>(x + i, n, inner, mean + i, squares + i, lanes);
  for (; i < inner; i += lanes) momentsOf<1>(x + i, n, inner, mean + i, squares + i, int(least(lanes, inner - i)));
}
