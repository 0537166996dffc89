// The vector types of the AVX-512 (F, BW, DQ, VL) kernels: 16 lanes, masks in registers of their own. Included once,
// inside a namespace that has narrow (8 lanes) and fuseInto; names and meanings as in avx2.h.

constexpr int lanes = 16;
constexpr bool hasFma = true;  // fma is an instruction

struct Float {
  __m512 v;
  Float() = default;
  [[gnu::always_inline]] Float(__m512 raw) : v(raw) {}
  [[gnu::always_inline]] explicit Float(float x) : v(_mm512_set1_ps(x)) {}
};
struct Int {
  __m512i v;
  Int() = default;
  [[gnu::always_inline]] Int(__m512i raw) : v(raw) {}
  [[gnu::always_inline]] explicit Int(int32_t x) : v(_mm512_set1_epi32(x)) {}
};
struct Mask {
  __mmask16 v;
};

CHAINRULE_INLINE Int bitsOf(Float a) { return _mm512_castps_si512(a.v); }
CHAINRULE_INLINE Float floatOf(Int a) { return _mm512_castsi512_ps(a.v); }  // the same bits

// Memory. Partial forms touch `count` < lanes elements only; missing lanes are zero.
CHAINRULE_INLINE Float load(const float* p) { return _mm512_loadu_ps(p); }
CHAINRULE_INLINE Int load(const int32_t* p) { return _mm512_loadu_si512(p); }
CHAINRULE_INLINE void store(float* p, Float a) { _mm512_storeu_ps(p, a.v); }
CHAINRULE_INLINE void store(int32_t* p, Int a) { _mm512_storeu_si512(p, a.v); }
// Past the caches, p at a cache line. Others see such stores after a fence.
CHAINRULE_INLINE void stream(float* p, Float a) { _mm512_stream_ps(p, a.v); }
CHAINRULE_INLINE void fence() { _mm_sfence(); }
CHAINRULE_INLINE Mask firstLanes(int count) {  // none below 0, all from 16 on
  return {__mmask16(count >= lanes ? 0xFFFF : count > 0 ? (1u << count) - 1 : 0)};
}
CHAINRULE_INLINE Float loadMasked(const float* p, Mask m) { return _mm512_maskz_loadu_ps(m.v, p); }
CHAINRULE_INLINE void storeMasked(float* p, Float a, Mask m) { _mm512_mask_storeu_ps(p, m.v, a.v); }
CHAINRULE_INLINE Float loadPartial(const float* p, int count) { return loadMasked(p, firstLanes(count)); }
CHAINRULE_INLINE void storePartial(float* p, Float a, int count) { storeMasked(p, a, firstLanes(count)); }
CHAINRULE_INLINE Int loadPartial(const int32_t* p, int count) {
  return _mm512_maskz_loadu_epi32(firstLanes(count).v, p);
}
CHAINRULE_INLINE void storePartial(int32_t* p, Int a, int count) {
  _mm512_mask_storeu_epi32(p, firstLanes(count).v, a.v);
}
CHAINRULE_INLINE Float broadcast(const float* p) { return Float(*p); }
CHAINRULE_INLINE Int loadBytes(const uint8_t* p) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
CHAINRULE_INLINE void storeBytes(uint8_t* p, Int a) {  // the low byte of each lane
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a.v));
}

CHAINRULE_INLINE Int loadHalves(const uint16_t* p) {
  return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
CHAINRULE_INLINE void storeHalves(uint16_t* p, Int a) {  // of lanes within 0..65535
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(a.v));
}

CHAINRULE_INLINE Int operator+(Int a, Int b) { return _mm512_add_epi32(a.v, b.v); }
CHAINRULE_INLINE Int operator-(Int a, Int b) { return _mm512_sub_epi32(a.v, b.v); }
CHAINRULE_INLINE Int operator*(Int a, Int b) { return _mm512_mullo_epi32(a.v, b.v); }
CHAINRULE_INLINE Int operator-(Int a) { return Int(0) - a; }
CHAINRULE_INLINE Int operator&(Int a, Int b) { return _mm512_and_si512(a.v, b.v); }
CHAINRULE_INLINE Int operator|(Int a, Int b) { return _mm512_or_si512(a.v, b.v); }
CHAINRULE_INLINE Int operator^(Int a, Int b) { return _mm512_xor_si512(a.v, b.v); }
CHAINRULE_INLINE Int abs(Int a) { return _mm512_abs_epi32(a.v); }
template <int bits>
CHAINRULE_INLINE Int shiftLeft(Int a) {
  return _mm512_slli_epi32(a.v, bits);
}
template <int bits>
CHAINRULE_INLINE Int shiftRight(Int a) {
  return _mm512_srai_epi32(a.v, bits);
}  // arithmetic
template <int bits>
CHAINRULE_INLINE Int shiftRightLogical(Int a) {
  return _mm512_srli_epi32(a.v, bits);
}

// Bytes of w, negated where those of x are negative.
CHAINRULE_INLINE Int signBytes(Int w, Int x) {
  return _mm512_mask_sub_epi8(w.v, _mm512_movepi8_mask(x.v), _mm512_set1_epi32(0), w.v);
}

CHAINRULE_INLINE Float operator+(Float a, Float b) { return _mm512_add_ps(a.v, b.v); }
CHAINRULE_INLINE Float operator-(Float a, Float b) { return _mm512_sub_ps(a.v, b.v); }
CHAINRULE_INLINE Float operator*(Float a, Float b) { return _mm512_mul_ps(a.v, b.v); }
CHAINRULE_INLINE Float operator/(Float a, Float b) { return _mm512_div_ps(a.v, b.v); }
CHAINRULE_INLINE Float fma(Float a, Float b, Float c) {  // a * b + c, rounded once
  return _mm512_fmadd_ps(a.v, b.v, c.v);
}
CHAINRULE_INLINE void accumulate(Float& acc, Float a, Float b) { fuseInto(acc.v, a.v, b.v); }
CHAINRULE_INLINE Float sqrt(Float a) { return _mm512_sqrt_ps(a.v); }
CHAINRULE_INLINE Float orBits(Float a, Float b) { return floatOf(bitsOf(a) | bitsOf(b)); }
CHAINRULE_INLINE Float xorBits(Float a, Float b) { return floatOf(bitsOf(a) ^ bitsOf(b)); }
CHAINRULE_INLINE Float operator-(Float a) { return floatOf(bitsOf(a) ^ Int(INT32_MIN)); }
CHAINRULE_INLINE Float abs(Float a) { return floatOf(bitsOf(a) & Int(INT32_MAX)); }
CHAINRULE_INLINE Float signOf(Float a) { return floatOf(bitsOf(a) & Int(INT32_MIN)); }  // +0 or -0
// b if either is NaN or both are zero.
CHAINRULE_INLINE Float minOr(Float a, Float b) { return _mm512_min_ps(a.v, b.v); }
CHAINRULE_INLINE Float maxOr(Float a, Float b) { return _mm512_max_ps(a.v, b.v); }
CHAINRULE_INLINE Float floor(Float a) { return _mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
CHAINRULE_INLINE Float ceil(Float a) { return _mm512_roundscale_ps(a.v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
CHAINRULE_INLINE Float trunc(Float a) { return _mm512_roundscale_ps(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
CHAINRULE_INLINE Float round(Float a) {
  return _mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}  // half to even

CHAINRULE_INLINE Mask operator==(Float a, Float b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
CHAINRULE_INLINE Mask operator!=(Float a, Float b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_NEQ_UQ)}; }
CHAINRULE_INLINE Mask operator<(Float a, Float b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
CHAINRULE_INLINE Mask operator<=(Float a, Float b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
CHAINRULE_INLINE Mask operator>(Float a, Float b) { return b < a; }
CHAINRULE_INLINE Mask operator>=(Float a, Float b) { return b <= a; }
CHAINRULE_INLINE Mask operator&(Mask a, Mask b) { return {__mmask16(a.v & b.v)}; }
CHAINRULE_INLINE Mask operator|(Mask a, Mask b) { return {__mmask16(a.v | b.v)}; }
CHAINRULE_INLINE Mask operator!(Mask a) { return {__mmask16(~a.v)}; }
CHAINRULE_INLINE Mask operator==(Int a, Int b) { return {_mm512_cmpeq_epi32_mask(a.v, b.v)}; }
CHAINRULE_INLINE Mask operator!=(Int a, Int b) { return !(a == b); }
CHAINRULE_INLINE Mask operator<(Int a, Int b) { return {_mm512_cmplt_epi32_mask(a.v, b.v)}; }
CHAINRULE_INLINE Mask operator>(Int a, Int b) { return b < a; }
CHAINRULE_INLINE Mask operator<=(Int a, Int b) { return !(b < a); }
CHAINRULE_INLINE Mask operator>=(Int a, Int b) { return !(a < b); }
CHAINRULE_INLINE Float andBits(Float a, Mask m) { return _mm512_maskz_mov_ps(m.v, a.v); }  // zero where m is false
CHAINRULE_INLINE bool any(Mask m) { return m.v != 0; }
CHAINRULE_INLINE int laneBits(Mask m) { return m.v; }
// The lanes of the mask, side by side; a whole vector is written. Returns their number.
CHAINRULE_INLINE int storeLanes(int32_t* p, Int a, Mask m) {
  _mm512_storeu_si512(p, _mm512_maskz_compress_epi32(m.v, a.v));
  return __builtin_popcount(unsigned(m.v));
}
CHAINRULE_INLINE Float select(Mask m, Float a, Float b) { return _mm512_mask_blend_ps(m.v, b.v, a.v); }
CHAINRULE_INLINE Int select(Mask m, Int a, Int b) { return _mm512_mask_blend_epi32(m.v, b.v, a.v); }
CHAINRULE_INLINE Int toLanes(Mask m) { return _mm512_maskz_set1_epi32(m.v, 1); }  // 0 or 1

CHAINRULE_INLINE Float toFloat(Int a) { return _mm512_cvtepi32_ps(a.v); }
CHAINRULE_INLINE Int toInt(Float a) { return _mm512_cvttps_epi32(a.v); }  // truncates; INT_MIN when out of range or NaN
CHAINRULE_INLINE Int roundToInt(Float a) { return _mm512_cvtps_epi32(a.v); }
CHAINRULE_INLINE Int laneIndex() { return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }

// Lane exchanges for folding a vector: lane i meets i ^ 8, i ^ 4, i ^ 2, i ^ 1.
CHAINRULE_INLINE Float swapEights(Float a) { return _mm512_shuffle_f32x4(a.v, a.v, 0x4E); }
CHAINRULE_INLINE Int swapEights(Int a) { return bitsOf(swapEights(floatOf(a))); }
CHAINRULE_INLINE Float swapHalves(Float a) { return _mm512_shuffle_f32x4(a.v, a.v, 0xB1); }
CHAINRULE_INLINE Float swapPairs(Float a) { return _mm512_permute_ps(a.v, 0x4E); }
CHAINRULE_INLINE Float swapNeighbours(Float a) { return _mm512_permute_ps(a.v, 0xB1); }
CHAINRULE_INLINE float firstLane(Float a) { return _mm512_cvtss_f32(a.v); }
CHAINRULE_INLINE int32_t firstLane(Int a) { return _mm512_cvtsi512_si32(a.v); }
