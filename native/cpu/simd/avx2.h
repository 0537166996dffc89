// The vector types of the AVX2 + FMA + F16C kernels. Included once, inside a namespace of the ISA and its target
// region. Every ISA defines the same names: Float, Int, Mask of `lanes` 32-bit lanes, and the functions below.

constexpr int lanes = 8;
constexpr bool hasFma = true;  // fma is an instruction

struct Float {
  __m256 v;
  Float() = default;
  [[gnu::always_inline]] Float(__m256 raw) : v(raw) {}
  [[gnu::always_inline]] explicit Float(float x) : v(_mm256_set1_ps(x)) {}
};
struct Int {
  __m256i v;
  Int() = default;
  [[gnu::always_inline]] Int(__m256i raw) : v(raw) {}
  [[gnu::always_inline]] explicit Int(int32_t x) : v(_mm256_set1_epi32(x)) {}
};
struct Mask {  // all bits of a lane set, or none
  __m256i v;
};

CHAINRULE_INLINE Mask maskOf(__m256 m) { return {_mm256_castps_si256(m)}; }
CHAINRULE_INLINE __m256 floatMask(Mask m) { return _mm256_castsi256_ps(m.v); }

// Memory. Partial forms touch `count` < lanes elements only; missing lanes are zero.
CHAINRULE_INLINE Float load(const float* p) { return _mm256_loadu_ps(p); }
CHAINRULE_INLINE Int load(const int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
CHAINRULE_INLINE void store(float* p, Float a) { _mm256_storeu_ps(p, a.v); }
CHAINRULE_INLINE void store(int32_t* p, Int a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.v); }
// Past the caches, p a multiple of `lanes` floats into a cache line, all of which is to be written so. Others see such
// stores after a fence.
CHAINRULE_INLINE void stream(float* p, Float a) { _mm256_stream_ps(p, a.v); }
CHAINRULE_INLINE void fence() { _mm_sfence(); }
CHAINRULE_INLINE Mask firstLanes(int count) {
  return {_mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))};
}
CHAINRULE_INLINE Float loadMasked(const float* p, Mask m) { return _mm256_maskload_ps(p, m.v); }
CHAINRULE_INLINE void storeMasked(float* p, Float a, Mask m) { _mm256_maskstore_ps(p, m.v, a.v); }
CHAINRULE_INLINE Float loadPartial(const float* p, int count) { return loadMasked(p, firstLanes(count)); }
CHAINRULE_INLINE void storePartial(float* p, Float a, int count) { storeMasked(p, a, firstLanes(count)); }
CHAINRULE_INLINE Int loadPartial(const int32_t* p, int count) { return _mm256_maskload_epi32(p, firstLanes(count).v); }
CHAINRULE_INLINE void storePartial(int32_t* p, Int a, int count) {
  _mm256_maskstore_epi32(p, firstLanes(count).v, a.v);
}
CHAINRULE_INLINE Float broadcast(const float* p) { return _mm256_broadcast_ss(p); }
CHAINRULE_INLINE Int loadBytes(const uint8_t* p) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}
CHAINRULE_INLINE void storeBytes(uint8_t* p, Int a) {  // the low byte of each lane
  const __m256i picked =
      _mm256_shuffle_epi8(a.v, _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8,
                                                12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
  const __m128i both = _mm_unpacklo_epi32(_mm256_castsi256_si128(picked), _mm256_extracti128_si256(picked, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), both);
}

CHAINRULE_INLINE Int loadHalves(const uint16_t* p) {
  return _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
CHAINRULE_INLINE void storeHalves(uint16_t* p, Int a) {  // of lanes within 0..65535
  const __m128i both = _mm_packus_epi32(_mm256_castsi256_si128(a.v), _mm256_extracti128_si256(a.v, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), both);
}

CHAINRULE_INLINE Float operator+(Float a, Float b) { return _mm256_add_ps(a.v, b.v); }
CHAINRULE_INLINE Float operator-(Float a, Float b) { return _mm256_sub_ps(a.v, b.v); }
CHAINRULE_INLINE Float operator*(Float a, Float b) { return _mm256_mul_ps(a.v, b.v); }
CHAINRULE_INLINE Float operator/(Float a, Float b) { return _mm256_div_ps(a.v, b.v); }
CHAINRULE_INLINE Float operator-(Float a) { return _mm256_xor_ps(a.v, _mm256_set1_ps(-0.0f)); }
CHAINRULE_INLINE Float fma(Float a, Float b, Float c) {
  return _mm256_fmadd_ps(a.v, b.v, c.v);
}  // a * b + c, rounded once
// acc += a * b in the register where acc is: left to itself, GCC shuffles accumulators between registers in unrolled
// loops.
CHAINRULE_INLINE void accumulate(Float& acc, Float a, Float b) {
  asm("vfmadd231ps %2, %1, %0" : "+x"(acc.v) : "x"(a.v), "x"(b.v));
}
CHAINRULE_INLINE Float sqrt(Float a) { return _mm256_sqrt_ps(a.v); }
CHAINRULE_INLINE Float abs(Float a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v); }
CHAINRULE_INLINE Float signOf(Float a) { return _mm256_and_ps(_mm256_set1_ps(-0.0f), a.v); }  // +0 or -0
CHAINRULE_INLINE Float orBits(Float a, Float b) { return _mm256_or_ps(a.v, b.v); }
CHAINRULE_INLINE Float xorBits(Float a, Float b) { return _mm256_xor_ps(a.v, b.v); }
// b if either is NaN or both are zero: x86's rule, which the other ISAs imitate.
CHAINRULE_INLINE Float minOr(Float a, Float b) { return _mm256_min_ps(a.v, b.v); }
CHAINRULE_INLINE Float maxOr(Float a, Float b) { return _mm256_max_ps(a.v, b.v); }
CHAINRULE_INLINE Float floor(Float a) { return _mm256_round_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
CHAINRULE_INLINE Float ceil(Float a) { return _mm256_round_ps(a.v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
CHAINRULE_INLINE Float trunc(Float a) { return _mm256_round_ps(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC); }
CHAINRULE_INLINE Float round(Float a) {
  return _mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}  // half to even

CHAINRULE_INLINE Int operator+(Int a, Int b) { return _mm256_add_epi32(a.v, b.v); }
CHAINRULE_INLINE Int operator-(Int a, Int b) { return _mm256_sub_epi32(a.v, b.v); }
CHAINRULE_INLINE Int operator*(Int a, Int b) { return _mm256_mullo_epi32(a.v, b.v); }
CHAINRULE_INLINE Int operator-(Int a) { return _mm256_sub_epi32(_mm256_setzero_si256(), a.v); }
CHAINRULE_INLINE Int operator&(Int a, Int b) { return _mm256_and_si256(a.v, b.v); }
CHAINRULE_INLINE Int operator|(Int a, Int b) { return _mm256_or_si256(a.v, b.v); }
CHAINRULE_INLINE Int operator^(Int a, Int b) { return _mm256_xor_si256(a.v, b.v); }
CHAINRULE_INLINE Int abs(Int a) { return _mm256_abs_epi32(a.v); }
template <int bits>
CHAINRULE_INLINE Int shiftLeft(Int a) {
  return _mm256_slli_epi32(a.v, bits);
}
template <int bits>
CHAINRULE_INLINE Int shiftRight(Int a) {
  return _mm256_srai_epi32(a.v, bits);
}  // arithmetic
template <int bits>
CHAINRULE_INLINE Int shiftRightLogical(Int a) {
  return _mm256_srli_epi32(a.v, bits);
}
// The 64-bit products of the unsigned lanes and `factor`.
CHAINRULE_INLINE void mulWide(Int a, uint32_t factor, Int& high, Int& low) {
  const __m256i f = _mm256_set1_epi32(int32_t(factor));
  const __m256i even = _mm256_mul_epu32(a.v, f), odd = _mm256_mul_epu32(_mm256_srli_epi64(a.v, 32), f);
  low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
  high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
}

CHAINRULE_INLINE Mask operator==(Float a, Float b) { return maskOf(_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)); }
CHAINRULE_INLINE Mask operator!=(Float a, Float b) { return maskOf(_mm256_cmp_ps(a.v, b.v, _CMP_NEQ_UQ)); }
CHAINRULE_INLINE Mask operator<(Float a, Float b) { return maskOf(_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)); }
CHAINRULE_INLINE Mask operator<=(Float a, Float b) { return maskOf(_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)); }
CHAINRULE_INLINE Mask operator>(Float a, Float b) { return b < a; }
CHAINRULE_INLINE Mask operator>=(Float a, Float b) { return b <= a; }
CHAINRULE_INLINE Mask operator&(Mask a, Mask b) { return {_mm256_and_si256(a.v, b.v)}; }
CHAINRULE_INLINE Mask operator|(Mask a, Mask b) { return {_mm256_or_si256(a.v, b.v)}; }
CHAINRULE_INLINE Mask operator!(Mask a) { return {_mm256_xor_si256(a.v, _mm256_set1_epi32(-1))}; }
CHAINRULE_INLINE Mask operator==(Int a, Int b) { return {_mm256_cmpeq_epi32(a.v, b.v)}; }
CHAINRULE_INLINE Mask operator<(Int a, Int b) { return {_mm256_cmpgt_epi32(b.v, a.v)}; }
CHAINRULE_INLINE Mask operator>(Int a, Int b) { return b < a; }
CHAINRULE_INLINE Mask operator!=(Int a, Int b) { return !(a == b); }
CHAINRULE_INLINE Mask operator<=(Int a, Int b) { return !(b < a); }
CHAINRULE_INLINE Mask operator>=(Int a, Int b) { return !(a < b); }
CHAINRULE_INLINE Float andBits(Float a, Mask m) { return _mm256_and_ps(a.v, floatMask(m)); }  // zero where m is false
CHAINRULE_INLINE bool any(Mask m) { return !_mm256_testz_si256(m.v, m.v); }
CHAINRULE_INLINE int laneBits(Mask m) { return _mm256_movemask_ps(floatMask(m)); }
// For each set of lanes their numbers, a byte each.
struct LaneLists {
  uint64_t of[256] = {};
  constexpr LaneLists() {
    for (int bits = 0; bits < 256; ++bits) {
      for (int lane = 0, place = 0; lane < 8; ++lane) {
        if (bits >> lane & 1) of[bits] |= uint64_t(lane) << 8 * place++;
      }
    }
  }
};
constexpr LaneLists laneLists;
// The lanes of the mask, side by side; a whole vector is written. Returns their number.
CHAINRULE_INLINE int storeLanes(int32_t* p, Int a, Mask m) {
  const int bits = laneBits(m);
  const __m256i order = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(int64_t(laneLists.of[bits])));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permutevar8x32_epi32(a.v, order));
  return __builtin_popcount(unsigned(bits));
}
CHAINRULE_INLINE Float select(Mask m, Float a, Float b) { return _mm256_blendv_ps(b.v, a.v, floatMask(m)); }
CHAINRULE_INLINE Int select(Mask m, Int a, Int b) { return _mm256_blendv_epi8(b.v, a.v, m.v); }
CHAINRULE_INLINE Int toLanes(Mask m) { return _mm256_srli_epi32(m.v, 31); }  // 0 or 1

CHAINRULE_INLINE Int bitsOf(Float a) { return _mm256_castps_si256(a.v); }
CHAINRULE_INLINE Float floatOf(Int a) { return _mm256_castsi256_ps(a.v); }  // the same bits
CHAINRULE_INLINE Float toFloat(Int a) { return _mm256_cvtepi32_ps(a.v); }
CHAINRULE_INLINE Int toInt(Float a) { return _mm256_cvttps_epi32(a.v); }  // truncates; INT_MIN when out of range or NaN
CHAINRULE_INLINE Int roundToInt(Float a) { return _mm256_cvtps_epi32(a.v); }
CHAINRULE_INLINE Int laneIndex() { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }

// Rows become columns.
CHAINRULE_INLINE void transpose(Float (&r)[8]) {
  const __m256 a0 = _mm256_unpacklo_ps(r[0].v, r[1].v), a1 = _mm256_unpackhi_ps(r[0].v, r[1].v);
  const __m256 a2 = _mm256_unpacklo_ps(r[2].v, r[3].v), a3 = _mm256_unpackhi_ps(r[2].v, r[3].v);
  const __m256 a4 = _mm256_unpacklo_ps(r[4].v, r[5].v), a5 = _mm256_unpackhi_ps(r[4].v, r[5].v);
  const __m256 a6 = _mm256_unpacklo_ps(r[6].v, r[7].v), a7 = _mm256_unpackhi_ps(r[6].v, r[7].v);
  const __m256 b0 = _mm256_shuffle_ps(a0, a2, 0x44), b1 = _mm256_shuffle_ps(a0, a2, 0xEE);
  const __m256 b2 = _mm256_shuffle_ps(a1, a3, 0x44), b3 = _mm256_shuffle_ps(a1, a3, 0xEE);
  const __m256 b4 = _mm256_shuffle_ps(a4, a6, 0x44), b5 = _mm256_shuffle_ps(a4, a6, 0xEE);
  const __m256 b6 = _mm256_shuffle_ps(a5, a7, 0x44), b7 = _mm256_shuffle_ps(a5, a7, 0xEE);
  r[0] = _mm256_permute2f128_ps(b0, b4, 0x20);
  r[1] = _mm256_permute2f128_ps(b1, b5, 0x20);
  r[2] = _mm256_permute2f128_ps(b2, b6, 0x20);
  r[3] = _mm256_permute2f128_ps(b3, b7, 0x20);
  r[4] = _mm256_permute2f128_ps(b0, b4, 0x31);
  r[5] = _mm256_permute2f128_ps(b1, b5, 0x31);
  r[6] = _mm256_permute2f128_ps(b2, b6, 0x31);
  r[7] = _mm256_permute2f128_ps(b3, b7, 0x31);
}

// Lane exchanges for folding a vector: lane i meets i ^ 4, i ^ 2, i ^ 1.
CHAINRULE_INLINE Float swapHalves(Float a) { return _mm256_permute2f128_ps(a.v, a.v, 1); }
CHAINRULE_INLINE Float swapPairs(Float a) { return _mm256_permute_ps(a.v, 0x4E); }
CHAINRULE_INLINE Float swapNeighbours(Float a) { return _mm256_permute_ps(a.v, 0xB1); }
CHAINRULE_INLINE float firstLane(Float a) { return _mm256_cvtss_f32(a.v); }
CHAINRULE_INLINE int32_t firstLane(Int a) { return _mm256_cvtsi256_si32(a.v); }
