// Attention: softmax over tiles of scores, one key block after the other (https://arxiv.org/abs/2205.14135).

// Which of the keys [i, i + lanes) a row sees.
CHAINRULE_INLINE Mask seenKeys(const AttentionTile& t, const uint8_t* mask, int64_t i, int64_t begin, int64_t end) {
  const Int key = laneIndex() + Int(int32_t(i));
  Mask seen = (key >= Int(int32_t(begin))) & (key < Int(int32_t(end)));
  if (!mask) return seen;
  if (t.maskKey == 0) return seen & (Int(int32_t(*mask)) != Int(0));
  if (i + lanes <= t.keys) return seen & (loadBytes(mask + i) != Int(0));
  uint8_t rest[lanes] = {};
  for (int64_t j = i; j < t.keys; ++j) rest[j - i] = mask[j];
  return seen & (loadBytes(rest) != Int(0));
}

static void attentionScores(const AttentionTile& t, float* scores) {
  const Float scale(t.scale), hidden(kHiddenScore);
  for (int64_t row = 0; row < t.rows; ++row) {
    float* s = scores + row * t.stride;
    const float* bias = t.bias ? t.bias + row * t.biasRow : nullptr;
    const uint8_t* mask = t.mask ? t.mask + row * t.maskRow : nullptr;
    const int64_t begin = least(most(row + t.bandBegin, 0), t.keys), end = least(most(row + t.bandEnd, 0), t.keys);
    for (int64_t i = 0; i < t.keys; i += lanes) {
      Float x = load(s + i) * scale;
      if (bias) {
        x = x + (t.biasKey == 0        ? broadcast(bias)
                 : i + lanes <= t.keys ? load(bias + i)
                                       : loadPartial(bias + i, int(t.keys - i)));
      }
      store(s + i, select(seenKeys(t, mask, i, begin, end), x, hidden));
    }
  }
}

static void attentionSoftmax(const AttentionTile& t, bool first, float* scores, float* peak, float* total,
                             float* output, int64_t width) {
  const float lowest = -3.4028234663852886e38f;
  for (int64_t row = 0; row < t.rows; ++row) {
    float* s = scores + row * t.stride;
    Float high = rowMaximum(s, t.keys);
    if (!first) high = MaximumOf::join(Float(peak[row]), high);
    float top = firstLane(high);
    if (top < lowest) top = lowest;  // a bias of -infinity on all keys so far
    ShiftedExp source{s, s, Float(top), t.keys};
    const Float sum = foldRow<SumOf, Float>(source, t.keys);
    if (first) {
      total[row] = firstLane(sum);
    } else {
      const Float shrink = exp(Float(peak[row]) - Float(top));
      total[row] = firstLane(fma(Float(total[row]), shrink, sum));
      float* o = output + row * width;
      if (firstLane(shrink) != 1.0f) mapRow<ScaleStep>(o, o, o, width, shrink, shrink);
    }
    peak[row] = top;
  }
}

static void scaleRows(const float* x, int64_t xRow, const float* factors, int64_t n, float* y, int64_t yRow,
                      int64_t rows) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* from = x + row * xRow;
    mapRow<ScaleStep>(from, from, y + row * yRow, n, Float(factors[row]), Float(0.0f));
  }
}

static void dotRows(const float* a, const float* b, int64_t stride, int64_t n, float* out, int64_t rows) {
  for (int64_t row = 0; row < rows; ++row) {
    Products source{a + row * stride, b + row * stride};
    out[row] = firstLane(foldRow<SumOf, Float>(source, n));
  }
}

static void attentionBackward(const AttentionTile& t, const float* peak, const float* share, const float* delta,
                              float* scores, float* gradient, float* biasGradient, int64_t biasGradientRow) {
  const Float scale(t.scale), hidden(kHiddenScore);
  for (int64_t row = 0; row < t.rows; ++row) {
    float *s = scores + row * t.stride, *g = gradient + row * t.stride;
    float* b = biasGradient ? biasGradient + row * biasGradientRow : nullptr;
    const Float top(peak[row]), part(share[row]), mean(delta[row]);
    for (int64_t i = 0; i < t.keys; i += lanes) {
      const Float score = load(s + i), p = exp(score - top) * part;
      const Float d = andBits(p * (load(g + i) - mean), score != hidden);
      store(s + i, p);
      store(g + i, d * scale);
      if (!b) continue;
      if (i + lanes <= t.keys)
        store(b + i, d);
      else
        storePartial(b + i, d, int(t.keys - i));
    }
  }
}
