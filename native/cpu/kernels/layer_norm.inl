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
struct NormalizedRow {
  const float *x, *gamma, *beta;
  Float mean, scale;
  int64_t n;
  [[gnu::always_inline]] inline Float at(int64_t i, int count) const {
    fetchLine(x + i + n, i);  // the next row arrives while the last of this one is read
    Float value = (loadSome(x + i, count) - mean) * scale;
    if (scaled) value = value * loadSome(gamma + i, count);
    if (shifted) value = value + loadSome(beta + i, count);
    return value;
  }
};

template <bool scaled, bool shifted>
static void layerNormRows(const LayerNorm& t, int64_t rowBegin, int64_t rowEnd) {
  for (int64_t row = rowBegin; row < rowEnd; ++row) {
    const float* x = t.x + row * t.n;
    const Float mean = t.centred ? rowMean(x, t.n) : Float(0.0f);
    SquaredDeviations source{x, mean};
    const Float variance = foldRow<SumOf, Float>(source, t.n) / Float(float(t.n));
    const Float scale = Float(1.0f) / sqrt(variance + Float(t.epsilon));
    if (t.mean) t.mean[row] = firstLane(mean);
    if (t.scale) t.scale[row] = firstLane(scale);
    NormalizedRow<scaled, shifted> normalized{x, t.gamma, t.beta, mean, scale, t.n};
    writeRow(t.y + row * t.n, t.n, t.streams, normalized);
  }
  if (t.streams) fence();
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
  [[gnu::always_inline]] inline Two at(int64_t i) const {
    const Float g = row.weighted(load(row.dy + i), i, lanes);
    return {g, g * row.unit(i, lanes)};
  }
  [[gnu::always_inline]] inline Two partial(int64_t i, int count) const {
    const Float g = row.weighted(loadPartial(row.dy + i, count), i, count);
    return {g, g * row.unit(i, count)};  // g is 0 in missing lanes
  }
};

template <bool sums>
struct NormedGradient {
  NormedRow row;
  Float level, slope, factor;
  float *gammaSum, *betaSum;
  int64_t n;
  [[gnu::always_inline]] inline Float at(int64_t i, int count) const {
    fetchLine(row.x + i + n, i);  // as in NormalizedRow: sooner, two rows of each array would hardly lie in L1
    fetchLine(row.dy + i + n, i);
    const Float d = loadSome(row.dy + i, count), u = row.unit(i, count);
    if (sums) {
      storeSome(gammaSum + i, loadSome(gammaSum + i, count) + d * u, count);
      storeSome(betaSum + i, loadSome(betaSum + i, count) + d, count);
    }
    return factor * (row.weighted(d, i, count) - level - u * slope);
  }
};

template <bool sums>
static void layerNormBackwardRows(const LayerNormGradient& t, int64_t rowBegin, int64_t rowEnd) {
  const Float n{float(t.n)};
  for (int64_t at = rowBegin; at < rowEnd; ++at) {
    const Float factor{t.scale[at]};
    const NormedRow row{t.dy + at * t.n, t.x + at * t.n, t.gamma, Float(t.mean ? t.mean[at] : 0.0f),
                        t.standardized ? Float(1.0f) : factor};
    NormedTerms source{row};
    const Two both = foldRow<SumsOf, Two>(source, t.n);
    NormedGradient<sums> gradient{
        row, t.centred ? both.first / n : Float(0.0f), both.second / n, factor, t.gammaSum, t.betaSum, t.n};
    writeRow(t.dx + at * t.n, t.n, t.streams, gradient);
  }
  if (t.streams) fence();
}
static void layerNormBackward(const LayerNormGradient& t, int64_t rowBegin, int64_t rowEnd) {
  t.gammaSum ? layerNormBackwardRows<true>(t, rowBegin, rowEnd) : layerNormBackwardRows<false>(t, rowBegin, rowEnd);
}
