// The vector types of the arm64 kernels. Included once, inside a namespace; names and meanings as in avx2.h. A vector
// is a pair of quads: 8 lanes as with AVX2, so everything that is laid out in eights is the same, and two independent
// operations per step hide latency. The 6 x 16 tile then takes 24 of the 32 registers.

constexpr int lanes = 8;
constexpr bool hasFma = true;  // fma is an instruction

struct Float {
  float32x4_t low, high;
  Float() = default;
  [[gnu::always_inline]] Float(float32x4_t low, float32x4_t high) : low(low), high(high) {}
  [[gnu::always_inline]] explicit Float(float x) : low(vdupq_n_f32(x)), high(low) {}
};
struct Int {
  int32x4_t low, high;
  Int() = default;
  [[gnu::always_inline]] Int(int32x4_t low, int32x4_t high) : low(low), high(high) {}
  [[gnu::always_inline]] explicit Int(int32_t x) : low(vdupq_n_s32(x)), high(low) {}
};
struct Mask {  // all bits of a lane set, or none
  uint32x4_t low, high;
};

CHAINRULE_INLINE Int bitsOf(Float a) { return {vreinterpretq_s32_f32(a.low), vreinterpretq_s32_f32(a.high)}; }
CHAINRULE_INLINE Float floatOf(Int a) { return {vreinterpretq_f32_s32(a.low), vreinterpretq_f32_s32(a.high)}; }
CHAINRULE_INLINE uint32x4_t unsignedOf(int32x4_t a) { return vreinterpretq_u32_s32(a); }
CHAINRULE_INLINE int32x4_t signedOf(uint32x4_t a) { return vreinterpretq_s32_u32(a); }

// Memory. Partial forms touch `count` < lanes elements only; missing lanes are zero.
CHAINRULE_INLINE Float load(const float* p) { return {vld1q_f32(p), vld1q_f32(p + 4)}; }
CHAINRULE_INLINE Int load(const int32_t* p) { return {vld1q_s32(p), vld1q_s32(p + 4)}; }
CHAINRULE_INLINE void store(float* p, Float a) {
  vst1q_f32(p, a.low);
  vst1q_f32(p + 4, a.high);
}
CHAINRULE_INLINE void store(int32_t* p, Int a) {
  vst1q_s32(p, a.low);
  vst1q_s32(p + 4, a.high);
}
CHAINRULE_INLINE void stream(float* p, Float a) {
  store(p, a);
}  // these cores see for themselves that a line is filled
CHAINRULE_INLINE void fence() {}
CHAINRULE_INLINE Int laneIndex() { return {int32x4_t{0, 1, 2, 3}, int32x4_t{4, 5, 6, 7}}; }
CHAINRULE_INLINE Mask firstLanes(int count) {
  const Int index = laneIndex();
  return {vcltq_s32(index.low, vdupq_n_s32(count)), vcltq_s32(index.high, vdupq_n_s32(count))};
}
CHAINRULE_INLINE int32x4_t loadQuad(const int32_t* p, int count) {
  int32x4_t v = vdupq_n_s32(0);
  if (count > 0) v = vld1q_lane_s32(p, v, 0);
  if (count > 1) v = vld1q_lane_s32(p + 1, v, 1);
  if (count > 2) v = vld1q_lane_s32(p + 2, v, 2);
  if (count > 3) v = vld1q_lane_s32(p + 3, v, 3);
  return v;
}
CHAINRULE_INLINE void storeQuad(int32_t* p, int32x4_t v, int count) {
  if (count > 0) vst1q_lane_s32(p, v, 0);
  if (count > 1) vst1q_lane_s32(p + 1, v, 1);
  if (count > 2) vst1q_lane_s32(p + 2, v, 2);
  if (count > 3) vst1q_lane_s32(p + 3, v, 3);
}
CHAINRULE_INLINE Int loadPartial(const int32_t* p, int count) {
  if (count < 4) return {loadQuad(p, count), vdupq_n_s32(0)};
  return {vld1q_s32(p), loadQuad(p + 4, count - 4)};
}
CHAINRULE_INLINE void storePartial(int32_t* p, Int a, int count) {
  if (count < 4) return storeQuad(p, a.low, count);
  vst1q_s32(p, a.low);
  storeQuad(p + 4, a.high, count - 4);
}
CHAINRULE_INLINE Float loadPartial(const float* p, int count) {
  return floatOf(loadPartial(reinterpret_cast<const int32_t*>(p), count));
}
CHAINRULE_INLINE void storePartial(float* p, Float a, int count) {
  storePartial(reinterpret_cast<int32_t*>(p), bitsOf(a), count);
}
CHAINRULE_INLINE Float broadcast(const float* p) {
  const float32x4_t v = vld1q_dup_f32(p);
  return {v, v};
}
CHAINRULE_INLINE Int loadBytes(const uint8_t* p) {
  const uint16x8_t wide = vmovl_u8(vld1_u8(p));
  return {signedOf(vmovl_u16(vget_low_u16(wide))), signedOf(vmovl_u16(vget_high_u16(wide)))};
}
CHAINRULE_INLINE void storeBytes(uint8_t* p, Int a) {  // the low byte of each lane
  vst1_u8(p, vmovn_u16(vcombine_u16(vmovn_u32(unsignedOf(a.low)), vmovn_u32(unsignedOf(a.high)))));
}

CHAINRULE_INLINE Int loadHalves(const uint16_t* p) {
  const uint16x8_t halves = vld1q_u16(p);
  return {signedOf(vmovl_u16(vget_low_u16(halves))), signedOf(vmovl_u16(vget_high_u16(halves)))};
}
CHAINRULE_INLINE void storeHalves(uint16_t* p, Int a) {  // of lanes within 0..65535
  vst1q_u16(p, vcombine_u16(vmovn_u32(unsignedOf(a.low)), vmovn_u32(unsignedOf(a.high))));
}

CHAINRULE_INLINE Float operator+(Float a, Float b) { return {vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)}; }
CHAINRULE_INLINE Float operator-(Float a, Float b) { return {vsubq_f32(a.low, b.low), vsubq_f32(a.high, b.high)}; }
CHAINRULE_INLINE Float operator*(Float a, Float b) { return {vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)}; }
CHAINRULE_INLINE Float operator/(Float a, Float b) { return {vdivq_f32(a.low, b.low), vdivq_f32(a.high, b.high)}; }
CHAINRULE_INLINE Float operator-(Float a) { return {vnegq_f32(a.low), vnegq_f32(a.high)}; }
CHAINRULE_INLINE Float fma(Float a, Float b, Float c) {  // a * b + c, rounded once
  return {vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)};
}
CHAINRULE_INLINE void accumulate(Float& acc, Float a, Float b) { acc = fma(a, b, acc); }
CHAINRULE_INLINE Float sqrt(Float a) { return {vsqrtq_f32(a.low), vsqrtq_f32(a.high)}; }
CHAINRULE_INLINE Float abs(Float a) { return {vabsq_f32(a.low), vabsq_f32(a.high)}; }

CHAINRULE_INLINE Int operator+(Int a, Int b) { return {vaddq_s32(a.low, b.low), vaddq_s32(a.high, b.high)}; }
CHAINRULE_INLINE Int operator-(Int a, Int b) { return {vsubq_s32(a.low, b.low), vsubq_s32(a.high, b.high)}; }
CHAINRULE_INLINE Int operator*(Int a, Int b) { return {vmulq_s32(a.low, b.low), vmulq_s32(a.high, b.high)}; }
CHAINRULE_INLINE Int operator-(Int a) { return {vnegq_s32(a.low), vnegq_s32(a.high)}; }
CHAINRULE_INLINE Int operator&(Int a, Int b) { return {vandq_s32(a.low, b.low), vandq_s32(a.high, b.high)}; }
CHAINRULE_INLINE Int operator|(Int a, Int b) { return {vorrq_s32(a.low, b.low), vorrq_s32(a.high, b.high)}; }
CHAINRULE_INLINE Int operator^(Int a, Int b) { return {veorq_s32(a.low, b.low), veorq_s32(a.high, b.high)}; }
CHAINRULE_INLINE Int abs(Int a) { return {vabsq_s32(a.low), vabsq_s32(a.high)}; }
CHAINRULE_INLINE Float signOf(Float a) { return floatOf(bitsOf(a) & Int(INT32_MIN)); }  // +0 or -0
CHAINRULE_INLINE Float orBits(Float a, Float b) { return floatOf(bitsOf(a) | bitsOf(b)); }
CHAINRULE_INLINE Float xorBits(Float a, Float b) { return floatOf(bitsOf(a) ^ bitsOf(b)); }
template <int bits>
CHAINRULE_INLINE Int shiftLeft(Int a) {
  return {vshlq_n_s32(a.low, bits), vshlq_n_s32(a.high, bits)};
}
template <int bits>
CHAINRULE_INLINE Int shiftRight(Int a) {
  return {vshrq_n_s32(a.low, bits), vshrq_n_s32(a.high, bits)};
}  // arithmetic
template <int bits>
CHAINRULE_INLINE Int shiftRightLogical(Int a) {
  return {signedOf(vshrq_n_u32(unsignedOf(a.low), bits)), signedOf(vshrq_n_u32(unsignedOf(a.high), bits))};
}
// As in avx2_bytes.h.
constexpr int32_t kFlip = 0;
CHAINRULE_INLINE void accumulateQuad(int32x4_t& acc, int32x4_t a, int32x4_t b) {
  const int8x16_t x = vreinterpretq_s8_s32(a), y = vreinterpretq_s8_s32(b);
  const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(y)), high = vmull_high_s8(x, y);
  acc = vpadalq_s16(acc, vpaddq_s16(low, high));  // sums of two fit into 16 bits
}
CHAINRULE_INLINE void accumulateQuads(Int& acc, Int w, Int x) {
  accumulateQuad(acc.low, w.low, x.low);
  accumulateQuad(acc.high, w.high, x.high);
}
// The 64-bit products of the unsigned lanes and `factor`.
CHAINRULE_INLINE void mulQuad(int32x4_t a, uint32_t factor, int32x4_t& high, int32x4_t& low) {
  const uint32x4_t f = vdupq_n_u32(factor);
  const int32x4_t first = vreinterpretq_s32_u64(vmull_u32(vget_low_u32(unsignedOf(a)), vget_low_u32(f)));
  const int32x4_t last = vreinterpretq_s32_u64(vmull_high_u32(unsignedOf(a), f));
  low = vuzp1q_s32(first, last);
  high = vuzp2q_s32(first, last);
}
CHAINRULE_INLINE void mulWide(Int a, uint32_t factor, Int& high, Int& low) {
  mulQuad(a.low, factor, high.low, low.low);
  mulQuad(a.high, factor, high.high, low.high);
}

CHAINRULE_INLINE Mask operator!(Mask a) { return {vmvnq_u32(a.low), vmvnq_u32(a.high)}; }
CHAINRULE_INLINE Mask operator&(Mask a, Mask b) { return {vandq_u32(a.low, b.low), vandq_u32(a.high, b.high)}; }
CHAINRULE_INLINE Mask operator|(Mask a, Mask b) { return {vorrq_u32(a.low, b.low), vorrq_u32(a.high, b.high)}; }
CHAINRULE_INLINE Mask operator==(Float a, Float b) { return {vceqq_f32(a.low, b.low), vceqq_f32(a.high, b.high)}; }
CHAINRULE_INLINE Mask operator!=(Float a, Float b) { return !(a == b); }
CHAINRULE_INLINE Mask operator<(Float a, Float b) { return {vcltq_f32(a.low, b.low), vcltq_f32(a.high, b.high)}; }
CHAINRULE_INLINE Mask operator<=(Float a, Float b) { return {vcleq_f32(a.low, b.low), vcleq_f32(a.high, b.high)}; }
CHAINRULE_INLINE Mask operator>(Float a, Float b) { return b < a; }
CHAINRULE_INLINE Mask operator>=(Float a, Float b) { return b <= a; }
CHAINRULE_INLINE Mask operator==(Int a, Int b) { return {vceqq_s32(a.low, b.low), vceqq_s32(a.high, b.high)}; }
CHAINRULE_INLINE Mask operator!=(Int a, Int b) { return !(a == b); }
CHAINRULE_INLINE Mask operator<(Int a, Int b) { return {vcltq_s32(a.low, b.low), vcltq_s32(a.high, b.high)}; }
CHAINRULE_INLINE Mask operator<=(Int a, Int b) { return {vcleq_s32(a.low, b.low), vcleq_s32(a.high, b.high)}; }
CHAINRULE_INLINE Mask operator>(Int a, Int b) { return b < a; }
CHAINRULE_INLINE Mask operator>=(Int a, Int b) { return b <= a; }
CHAINRULE_INLINE Int lanesOf(Mask m) { return {signedOf(m.low), signedOf(m.high)}; }
CHAINRULE_INLINE Float andBits(Float a, Mask m) { return floatOf(bitsOf(a) & lanesOf(m)); }  // zero where m is false
CHAINRULE_INLINE bool any(Mask m) { return vmaxvq_u32(vorrq_u32(m.low, m.high)) != 0; }
CHAINRULE_INLINE int laneBits(Mask m) {
  const uint32x4_t low{1, 2, 4, 8}, high{16, 32, 64, 128};
  return int(vaddvq_u32(vorrq_u32(vandq_u32(m.low, low), vandq_u32(m.high, high))));
}
#include "cpu/simd/store_lanes.inl"
CHAINRULE_INLINE Float select(Mask m, Float a, Float b) {
  return {vbslq_f32(m.low, a.low, b.low), vbslq_f32(m.high, a.high, b.high)};
}
CHAINRULE_INLINE Int select(Mask m, Int a, Int b) {
  return {vbslq_s32(m.low, a.low, b.low), vbslq_s32(m.high, a.high, b.high)};
}
CHAINRULE_INLINE Int toLanes(Mask m) { return shiftRightLogical<31>(lanesOf(m)); }  // 0 or 1
// b if either is NaN or both are zero: x86's rule.
CHAINRULE_INLINE Float minOr(Float a, Float b) { return select(a < b, a, b); }
CHAINRULE_INLINE Float maxOr(Float a, Float b) { return select(a > b, a, b); }

// Kernels mask the first lanes only.
CHAINRULE_INLINE Float loadMasked(const float* p, Mask m) {
  const int count = __builtin_popcount(unsigned(laneBits(m)));
  return count == lanes ? load(p) : loadPartial(p, count);
}
CHAINRULE_INLINE void storeMasked(float* p, Float a, Mask m) {
  const int count = __builtin_popcount(unsigned(laneBits(m)));
  count == lanes ? store(p, a) : storePartial(p, a, count);
}

CHAINRULE_INLINE Float floor(Float a) { return {vrndmq_f32(a.low), vrndmq_f32(a.high)}; }
CHAINRULE_INLINE Float ceil(Float a) { return {vrndpq_f32(a.low), vrndpq_f32(a.high)}; }
CHAINRULE_INLINE Float trunc(Float a) { return {vrndq_f32(a.low), vrndq_f32(a.high)}; }
CHAINRULE_INLINE Float round(Float a) { return {vrndnq_f32(a.low), vrndnq_f32(a.high)}; }  // half to even
CHAINRULE_INLINE Float toFloat(Int a) { return {vcvtq_f32_s32(a.low), vcvtq_f32_s32(a.high)}; }
CHAINRULE_INLINE Int toInt(Float a) {  // truncates; INT_MIN when out of range or NaN
  const Int saturated{vcvtq_s32_f32(a.low), vcvtq_s32_f32(a.high)};
  return select(a < Float(2147483648.0f), saturated, Int(INT32_MIN));
}
CHAINRULE_INLINE Int roundToInt(Float a) { return toInt(round(a)); }

CHAINRULE_INLINE void transposeQuads(float32x4_t& a, float32x4_t& b, float32x4_t& c, float32x4_t& d) {
  const float32x4_t ac = vzip1q_f32(a, c), ca = vzip2q_f32(a, c), bd = vzip1q_f32(b, d), db = vzip2q_f32(b, d);
  a = vzip1q_f32(ac, bd);
  b = vzip2q_f32(ac, bd);
  c = vzip1q_f32(ca, db);
  d = vzip2q_f32(ca, db);
}
// Rows become columns.
CHAINRULE_INLINE void transpose(Float (&r)[8]) {
  transposeQuads(r[0].low, r[1].low, r[2].low, r[3].low);
  transposeQuads(r[0].high, r[1].high, r[2].high, r[3].high);
  transposeQuads(r[4].low, r[5].low, r[6].low, r[7].low);
  transposeQuads(r[4].high, r[5].high, r[6].high, r[7].high);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const float32x4_t corner = r[i].high;
    r[i].high = r[i + 4].low;
    r[i + 4].low = corner;
  }
}

// Lane exchanges for folding a vector: lane i meets i ^ 4, i ^ 2, i ^ 1.
CHAINRULE_INLINE Float swapHalves(Float a) { return {a.high, a.low}; }
CHAINRULE_INLINE Float swapPairs(Float a) { return {vextq_f32(a.low, a.low, 2), vextq_f32(a.high, a.high, 2)}; }
CHAINRULE_INLINE Float swapNeighbours(Float a) { return {vrev64q_f32(a.low), vrev64q_f32(a.high)}; }
CHAINRULE_INLINE float firstLane(Float a) { return vgetq_lane_f32(a.low, 0); }
CHAINRULE_INLINE int32_t firstLane(Int a) { return vgetq_lane_s32(a.low, 0); }
