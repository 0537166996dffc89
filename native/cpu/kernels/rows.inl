// Softmax and its kin: a row is read from memory once and then stays in cache.

struct ShiftedExp {  // e^(x - shift), stored to y on the way if y is not null
  const float* x;
  float* y;
  Float shift;
  int64_t n;
  [[gnu::always_inline]] inline Float at(int64_t i) const {
    if (i % 16 == 0) __builtin_prefetch(x + i + n);  // the next row arrives while this one is computed
    const Float e = exp(load(x + i) - shift);
    if (y) store(y + i, e);
    return e;
  }
  [[gnu::always_inline]] inline Float partial(int64_t i, int count) const {
    const Float e = exp(loadPartial(x + i, count) - shift);
    if (y) storePartial(y + i, e, count);
    return select(firstLanes(count), e, Float(0.0f));
  }
};

struct Products {
  const float *a, *b;
  [[gnu::always_inline]] inline Float at(int64_t i) const { return load(a + i) * load(b + i); }
  [[gnu::always_inline]] inline Float partial(int64_t i, int count) const {
    return loadPartial(a + i, count) * loadPartial(b + i, count);
  }
};

CHAINRULE_INLINE Float rowMaximum(const float* x, int64_t n) {
  RowSource<MaximumOf, float> source{x};
  return foldRow<MaximumOf, Float>(source, n);
}

// The maximum of a row and the sum of e^(x - maximum); y, if not null, gets the exponentials.
CHAINRULE_INLINE Float exponentials(const float* x, float* y, int64_t n, Float& maximum) {
  maximum = rowMaximum(x, n);
  ShiftedExp source{x, y, maximum, n};
  return foldRow<SumOf, Float>(source, n);
}

// y[i] = Step::run(a[i], b[i], u, v) along a row; a and b may be the same array, and without `streams` y.
template <typename Step>
struct MappedRow {
  const float *a, *b;
  Float u, v;
  [[gnu::always_inline]] inline Float at(int64_t i, int count) const {
    return Step::run(loadSome(a + i, count), loadSome(b + i, count), u, v);
  }
};
template <typename Step>
CHAINRULE_INLINE void mapRow(const float* a, const float* b, float* y, int64_t n, Float u, Float v,
                             bool streams = false) {
  MappedRow<Step> row{a, b, u, v};
  writeRow(y, n, streams, row);
}
struct ScaleStep {
  CHAINRULE_INLINE Float run(Float a, Float, Float u, Float) { return a * u; }
};
struct LogSoftmaxStep {
  CHAINRULE_INLINE Float run(Float a, Float, Float u, Float v) { return (a - u) - v; }
};
struct SoftmaxGradientStep {
  CHAINRULE_INLINE Float run(Float y, Float dy, Float u, Float) { return y * (dy - u); }
};
struct LogSoftmaxGradientStep {
  CHAINRULE_INLINE Float run(Float y, Float dy, Float u, Float) { return dy - exp(y) * u; }
};

static void softmax(const float* x, float* y, int64_t n, bool streams, int64_t rowBegin, int64_t rowEnd) {
  constexpr int64_t kLongest = 4096;  // the exponentials of a row that is streamed stay in L1
  streamIf(streams && n <= kLongest, [&](auto past) {
    alignas(64) float own[past() ? kLongest : 1];
    for (int64_t row = rowBegin; row < rowEnd; ++row) {
      float* const e = past() ? own : y + row * n;
      Float maximum;
      const Float sum = exponentials(x + row * n, e, n, maximum);
      mapRow<ScaleStep>(e, e, y + row * n, n, Float(1.0f) / sum, sum, past());
    }
  });
}

static void logSoftmax(const float* x, float* y, int64_t n, bool streams, int64_t rowBegin, int64_t rowEnd) {
  streamIf(streams, [&](auto past) {
    for (int64_t row = rowBegin; row < rowEnd; ++row) {
      Float maximum;
      const Float sum = exponentials(x + row * n, nullptr, n, maximum);
      mapRow<LogSoftmaxStep>(x + row * n, x + row * n, y + row * n, n, maximum, log(sum), past());
    }
  });
}

static void softmaxBackward(const float* y, const float* dy, float* dx, int64_t n, bool streams, int64_t rowBegin,
                            int64_t rowEnd) {
  streamIf(streams, [&](auto past) {
    for (int64_t row = rowBegin; row < rowEnd; ++row) {
      Products source{y + row * n, dy + row * n};
      const Float dot = foldRow<SumOf, Float>(source, n);
      mapRow<SoftmaxGradientStep>(y + row * n, dy + row * n, dx + row * n, n, dot, dot, past());
    }
  });
}

static void logSoftmaxBackward(const float* y, const float* dy, float* dx, int64_t n, bool streams, int64_t rowBegin,
                               int64_t rowEnd) {
  streamIf(streams, [&](auto past) {
    for (int64_t row = rowBegin; row < rowEnd; ++row) {
      RowSource<SumOf, float> source{dy + row * n};
      const Float sum = foldRow<SumOf, Float>(source, n);
      mapRow<LogSoftmaxGradientStep>(y + row * n, dy + row * n, dx + row * n, n, sum, sum, past());
    }
  });
}

static void sparseCrossEntropy(const float* logits, const int32_t* labels, float* loss, float* probability, int64_t n,
                               int64_t rowBegin, int64_t rowEnd) {
  for (int64_t row = rowBegin; row < rowEnd; ++row) {
    const float* x = logits + row * n;
    float* p = probability ? probability + row * n : nullptr;
    Float maximum;
    const bool valid = labels[row] >= 0 && labels[row] < n;
    const float target = valid ? x[labels[row]] : __builtin_nanf("");  // read before p, which may be x
    const Float sum = exponentials(x, p, n, maximum);
    loss[row] = firstLane(log(sum) - (Float(target) - maximum));
    if (p) mapRow<ScaleStep>(p, p, p, n, Float(1.0f) / sum, sum);
  }
}

static void sparseCrossEntropyBackward(const float* probability, const int32_t* labels, const float* g, float* dx,
                                       int64_t n, int64_t rowBegin, int64_t rowEnd) {
  for (int64_t row = rowBegin; row < rowEnd; ++row) {
    const float* p = probability + row * n;
    const bool valid = labels[row] >= 0 && labels[row] < n;
    const float target = valid ? (p[labels[row]] - 1.0f) * g[row] : 0.0f;
    mapRow<ScaleStep>(p, p, dx + row * n, n, Float(g[row]), Float(0.0f));
    if (valid) dx[row * n + labels[row]] = target;
  }
}
