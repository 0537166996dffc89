// Random numbers from Philox4x32-10, `lanes` blocks at a time. base/philox.h says which word belongs to which element.

struct RandomWords {
  Int word[4];
};

// Blocks first, first + 1, … in the lanes.
CHAINRULE_INLINE RandomWords philoxBlocks(const RandomStream& stream, uint64_t row, uint32_t first, uint32_t attempt) {
  Int c0 = laneIndex() + Int(int32_t(first)), c1{int32_t(uint32_t(row))};
  Int c2{int32_t(uint32_t(row >> 32) | attempt << 16)}, c3{int32_t(stream.draw)};
  uint32_t key0 = stream.key0, key1 = stream.key1;
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
    Int high0, low0, high1, low1;
    mulWide(c0, 0xD2511F53, high0, low0);
    mulWide(c2, 0xCD9E8D57, high1, low1);
    c0 = high1 ^ c1 ^ Int(int32_t(key0));
    c1 = low1;
    c2 = high0 ^ c3 ^ Int(int32_t(key1));
    c3 = low0;
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return {{c0, c1, c2, c3}};
}

CHAINRULE_INLINE Float unitFloat(Int bits) { return toFloat(shiftRightLogical<8>(bits)) * Float(0x1p-24f); }  // [0, 1)

// Two independent normal values from two words (Box-Muller).
CHAINRULE_INLINE void normalPair(Int a, Int b, Float& x, Float& y) {
  const Float u = (toFloat(shiftRightLogical<8>(a)) + Float(1.0f)) * Float(0x1p-24f);  // (0, 1]
  const Float radius = sqrt(Float(-2.0f) * log(u)), angle = unitFloat(b) * Float(6.283185307f);
  x = radius * cos(angle);
  y = radius * sin(angle);
}

// Writers turn the words of 4 x lanes elements into values, `step` of which is one vector each.
struct BitsWriter {
  using T = uint32_t;
  CHAINRULE_INLINE void values(const RandomStream&, uint64_t, uint32_t, const RandomWords& w, const float*,
                               Int (&out)[4]) {
    for (int k = 0; k < 4; ++k) out[k] = w.word[k];
  }
};
struct UniformWriter {
  using T = float;
  CHAINRULE_INLINE void values(const RandomStream&, uint64_t, uint32_t, const RandomWords& w, const float* p,
                               Int (&out)[4]) {
    const Float low(p[0]), width(p[1]);
    for (int k = 0; k < 4; ++k) out[k] = bitsOf(low + width * unitFloat(w.word[k]));
  }
};
struct NormalWriter {
  using T = float;
  CHAINRULE_INLINE void values(const RandomStream&, uint64_t, uint32_t, const RandomWords& w, const float* p,
                               Int (&out)[4]) {
    const Float mean(p[0]), deviation(p[1]);
    for (int k = 0; k < 4; k += 2) {
      Float x, y;
      normalPair(w.word[k], w.word[k + 1], x, y);
      out[k] = bitsOf(fma(deviation, x, mean));
      out[k + 1] = bitsOf(fma(deviation, y, mean));
    }
  }
};
struct TruncatedWriter {
  using T = float;
  CHAINRULE_INLINE void values(const RandomStream& stream, uint64_t row, uint32_t first, const RandomWords& w,
                               const float* p, Int (&out)[4]) {
    const Float mean(p[0]), deviation(p[1]), limit(2.0f);
    RandomWords words = w;
    Float kept[4];
    for (uint32_t attempt = 0;; ++attempt) {
      // Only rejected elements take the new value, so an element's value does not depend on its neighbours.
      Mask missing = {};
      for (int k = 0; k < 4; k += 2) {
        Float x, y;
        normalPair(words.word[k], words.word[k + 1], x, y);
        kept[k] = attempt == 0 ? x : select(abs(kept[k]) <= limit, kept[k], x);
        kept[k + 1] = attempt == 0 ? y : select(abs(kept[k + 1]) <= limit, kept[k + 1], y);
        const Mask outside = (abs(kept[k]) > limit) | (abs(kept[k + 1]) > limit);
        missing = k == 0 ? outside : missing | outside;
      }
      if (!any(missing) || attempt == 255) break;
      words = philoxBlocks(stream, row, first, attempt + 1);
    }
    for (int k = 0; k < 4; ++k) out[k] = bitsOf(fma(deviation, minOr(limit, maxOr(-limit, kept[k])), mean));
  }
};
struct BernoulliWriter {
  using T = uint8_t;
  CHAINRULE_INLINE void values(const RandomStream&, uint64_t, uint32_t, const RandomWords& w, const float* p,
                               Int (&out)[4]) {
    for (int k = 0; k < 4; ++k) out[k] = toLanes(unitFloat(w.word[k]) < Float(p[0]));
  }
};

CHAINRULE_INLINE void storeRandom(uint32_t* p, Int v) { store(reinterpret_cast<int32_t*>(p), v); }
CHAINRULE_INLINE void storeRandom(float* p, Int v) { store(p, floatOf(v)); }
CHAINRULE_INLINE void storeRandom(uint8_t* p, Int v) { storeBytes(p, v); }

// 32 elements per step: 8 blocks, whose word k fills elements 8 k … 8 k + 7.
template <typename Writer>
static void randomRows(const RandomStream& stream, const float* parameters, typename Writer::T* out, int64_t rowBegin,
                       int64_t rowEnd) {
  static_assert(lanes == 8, "wider vectors take two groups of 32 elements at a time");
  for (int64_t r = rowBegin; r < rowEnd; ++r) {
    const uint64_t row = uint64_t(stream.rowOffset + r);
    typename Writer::T* p = out + r * stream.rowSize;
    for (int64_t e = 0; e < stream.rowSize; e += 32) {
      const uint32_t first = philoxBlockOf(e);
      Int value[4];
      Writer::values(stream, row, first, philoxBlocks(stream, row, first, 0), parameters, value);
      const int64_t left = stream.rowSize - e;
      if (left >= 32) {
        for (int k = 0; k < 4; ++k) storeRandom(p + e + k * lanes, value[k]);
        continue;
      }
      typename Writer::T rest[32];
      for (int k = 0; k < 4; ++k) storeRandom(rest + k * lanes, value[k]);
      for (int64_t i = 0; i < left; ++i) p[e + i] = rest[i];
    }
  }
}

static void randomBits(const RandomStream& stream, uint32_t* out, int64_t rowBegin, int64_t rowEnd) {
  randomRows<BitsWriter>(stream, nullptr, out, rowBegin, rowEnd);
}
static void randomUniform(const RandomStream& stream, float low, float high, float* out, int64_t rowBegin,
                          int64_t rowEnd) {
  const float parameters[] = {low, high - low};
  randomRows<UniformWriter>(stream, parameters, out, rowBegin, rowEnd);
}
static void randomNormal(const RandomStream& stream, float mean, float deviation, float* out, int64_t rowBegin,
                         int64_t rowEnd) {
  const float parameters[] = {mean, deviation};
  randomRows<NormalWriter>(stream, parameters, out, rowBegin, rowEnd);
}
static void randomTruncatedNormal(const RandomStream& stream, float mean, float deviation, float* out, int64_t rowBegin,
                                  int64_t rowEnd) {
  const float parameters[] = {mean, deviation};
  randomRows<TruncatedWriter>(stream, parameters, out, rowBegin, rowEnd);
}
static void randomBernoulli(const RandomStream& stream, float p, uint8_t* out, int64_t rowBegin, int64_t rowEnd) {
  randomRows<BernoulliWriter>(stream, &p, out, rowBegin, rowEnd);
}

// 64 elements per step: element e of a group has bits 16 (e / 32) … of word (e / 8) % 4 of block 8 (group) + e % 8.
static void dropout(const RandomStream& stream, float rate, const float* x, float* y, int64_t rowBegin,
                    int64_t rowEnd) {
  const int32_t threshold = int32_t((1.0f - rate) * 65536.0f + 0.5f);  // kept while below
  const float scale = rate < 1.0f ? 1.0f / (1.0f - rate) : 0.0f;
  for (int64_t r = rowBegin; r < rowEnd; ++r) {
    const uint64_t row = uint64_t(stream.rowOffset + r);
    const int64_t base = r * stream.rowSize;
    for (int64_t e = 0; e < stream.rowSize; e += 64) {
      const RandomWords words = philoxBlocks(stream, row, uint32_t(e / 8), 0);
#pragma GCC unroll 8
      for (int k = 0; k < 8; ++k) {
        const int64_t at = e + k * lanes, left = stream.rowSize - at;
        if (left <= 0) break;
        const int count = int(least(lanes, left));
        const Int word = words.word[k % 4], bits = k < 4 ? word & Int(65535) : shiftRightLogical<16>(word);
        storeSome(y + base + at,
                  select(bits < Int(threshold), loadSome(x + base + at, count) * Float(scale), Float(0.0f)), count);
      }
    }
  }
}
