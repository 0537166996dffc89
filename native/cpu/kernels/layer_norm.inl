// Layer and RMS norm: a row is read from memory once and then stays in cache.

struct SquaredDeviations {
  const float* x;
  Float mean;
  [[gnu::always_inline]] inline Float at(int64_t i) const {
    const Float d = load(x + i) - mean;
    return d * d;
  }
  [[gnu::always_inline]] inline Float partial(int64_t i, int count) const {
    const Float d = loadPartial(x + i, count) - mean;
    return select(firstLanes(count), d * d, Float(0.0f));
  }
};

CHAINRULE_INLINE Float rowMean(const float* x, int64_t n) {
  RowSource<SumOf, float> source{x};
  return foldRow<SumOf, Float>(source, n) / Float(float(n));
}

template <bool scaled, bool shifted>
CHAINRULE_INLINE void normalizeRow(const LayerNorm& t, const float* x, float* y, Float mean, Float scale) {
  for (int64_t i = 0; i < t.n; i += lanes) {
    const int count = int(least(lanes, t.n - i));
    Float value = (loadSome(x + i, count) - mean) * scale;
    if (scaled) value = value * loadSome(t.gamma + i, count);
    if (shifted) value = value + loadSome(t.beta + i, count);
    storeSome(y + i, value, count);
  }
}

template <bool scaled, bool shifted>
static void layerNormRows(const LayerNorm& t, int64_t rowBegin, int64_t rowEnd) {
  for (int64_t row = rowBegin; row < rowEnd; ++row) {
    const float* x = t.x + row * t.n;
    for (int64_t i = 0; i < t.n; i += 16) __builtin_prefetch(x + t.n + i);  // the next row
    const Float mean = t.centred ? rowMean(x, t.n) : Float(0.0f);
    SquaredDeviations source{x, mean};
    const Float variance = foldRow<SumOf, Float>(source, t.n) / Float(float(t.n));
    const Float scale = Float(1.0f) / sqrt(variance + Float(t.epsilon));
    if (t.mean) t.mean[row] = firstLane(mean);
    if (t.scale) t.scale[row] = firstLane(scale);
    normalizeRow<scaled, shifted>(t, x, t.y + row * t.n, mean, scale);
  }
}
static void layerNorm(const LayerNorm& t, int64_t rowBegin, int64_t rowEnd) {
  if (t.gamma)
    t.beta ? layerNormRows<true, true>(t, rowBegin, rowEnd) : layerNormRows<true, false>(t, rowBegin, rowEnd);
  else
    t.beta ? layerNormRows<false, true>(t, rowBegin, rowEnd) : layerNormRows<false, false>(t, rowBegin, rowEnd);
}

// Two sums over a row at once.
template <typename V>
struct Pair {
  V first, second;
};
using Two = Pair<Float>;
#define BOTH(exchange)                              \
  template <typename V>                             \
  CHAINRULE_INLINE Pair<V> exchange(Pair<V> a) {    \
    return {exchange(a.first), exchange(a.second)}; \
  }
BOTH(swapEights)
BOTH(swapHalves)
BOTH(swapPairs)
BOTH(swapNeighbours)
#undef BOTH
CHAINRULE_INLINE Two firstLane(Two a) { return {Float(firstLane(a.first)), Float(firstLane(a.second))}; }
struct SumsOf {
  CHAINRULE_INLINE Two join(Two a, Two b) { return {a.first + b.first, a.second + b.second}; }
  CHAINRULE_INLINE Two neutral(Two) { return {Float(0.0f), Float(0.0f)}; }
};

// A row of the way back: what its formulas read.
struct NormedRow {
  const float *dy, *x, *gamma;
  Float mean, scale;  // that make u of x
  [[gnu::always_inline]] inline Float unit(int64_t i, int count) const {
    return (loadSome(x + i, count) - mean) * scale;
  }
  [[gnu::always_inline]] inline Float weighted(Float d, int64_t i, int count) const {
    return gamma ? d * loadSome(gamma + i, count) : d;
  }
};
struct NormedTerms {  // g and g * u
  NormedRow row;
  int64_t ahead;  // floats to the row that is to arrive meanwhile
  [[gnu::always_inline]] inline Two at(int64_t i) const {
    if (i % 16 == 0) {
      __builtin_prefetch(row.x + i + ahead);
      __builtin_prefetch(row.dy + i + ahead);
    }
    const Float g = row.weighted(load(row.dy + i), i, lanes);
    return {g, g * row.unit(i, lanes)};
  }
  [[gnu::always_inline]] inline Two partial(int64_t i, int count) const {
    const Float g = row.weighted(loadPartial(row.dy + i, count), i, count);
    return {g, g * row.unit(i, count)};  // g is 0 in missing lanes
  }
};

template <int rows, bool sums>
CHAINRULE_INLINE void layerNormBackwardGroup(const LayerNormGradient& t, int64_t first) {
  NormedRow row[rows];
  Float level[rows], slope[rows], factor[rows];
  const Float n{float(t.n)};
  for (int r = 0; r < rows; ++r) {
    const int64_t at = first + r;
    factor[r] = Float(t.scale[at]);
    row[r] = {t.dy + at * t.n, t.x + at * t.n, t.gamma, Float(t.mean ? t.mean[at] : 0.0f),
              t.standardized ? Float(1.0f) : factor[r]};
    NormedTerms source{row[r], rows * t.n};
    const Two both = foldRow<SumsOf, Two>(source, t.n);
    level[r] = t.centred ? both.first / n : Float(0.0f);
    slope[r] = both.second / n;
  }
  for (int64_t i = 0; i < t.n; i += lanes) {
    const int count = int(least(lanes, t.n - i));
    Float gammaSum, betaSum;
    if (sums) gammaSum = loadSome(t.gammaSum + i, count), betaSum = loadSome(t.betaSum + i, count);
#pragma GCC unroll 2
    for (int r = 0; r < rows; ++r) {
      const Float d = loadSome(row[r].dy + i, count), u = row[r].unit(i, count);
      if (sums) gammaSum = gammaSum + d * u, betaSum = betaSum + d;
      const Float g = row[r].weighted(d, i, count);
      storeSome(t.dx + (first + r) * t.n + i, factor[r] * (g - level[r] - u * slope[r]), count);
    }
    if (sums) storeSome(t.gammaSum + i, gammaSum, count), storeSome(t.betaSum + i, betaSum, count);
  }
}

template <bool sums>
static void layerNormBackwardRows(const LayerNormGradient& t, int64_t rowBegin, int64_t rowEnd) {
  // Two at a time, so that the sums are touched half as often. Rows of four kilobytes fall on the same few lines of a
  // cache: more of them, of three arrays, would push each other out.
  int64_t row = rowBegin;
  for (; row + 2 <= rowEnd; row += 2) layerNormBackwardGroup<2, sums>(t, row);
  for (; row < rowEnd; ++row) layerNormBackwardGroup<1, sums>(t, row);
}
static void layerNormBackward(const LayerNormGradient& t, int64_t rowBegin, int64_t rowEnd) {
  t.gammaSum ? layerNormBackwardRows<true>(t, rowBegin, rowEnd) : layerNormBackwardRows<false>(t, rowBegin, rowEnd);
}
