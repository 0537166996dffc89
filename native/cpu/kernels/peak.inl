// What this core can do at most, for benchmarks: 12 independent chains of fused multiply-adds hide the latency of each.
inline int64_t fmaChains(int64_t iterations, float* sink) {
  constexpr int chains = 12;
  Float sums[chains];
  for (int i = 0; i < chains; ++i) sums[i] = Float(float(i));
  const Float a(0.999f), b(0.001f);
  for (int64_t n = 0; n < iterations; ++n) {
#pragma GCC unroll 12
    for (int i = 0; i < chains; ++i) sums[i] = fma(sums[i], a, b);
  }
  Float total = sums[0];
  for (int i = 1; i < chains; ++i) total = total + sums[i];
  store(sink, total);
  return iterations * chains * lanes * 2;
}
