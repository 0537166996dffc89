// Products of bytes where there is no instruction for them. A part of avx2.h that isa/vnni.cpp has of its own.

constexpr int32_t kFlip = 0;

// acc += the four products of signed bytes of each lane, which lie within -127..127: then no sum of two leaves 16 bits.
CHAINRULE_INLINE void accumulateQuads(Int& acc, Int w, Int x) {
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x.v), _mm256_sign_epi8(w.v, x.v));
  acc.v = _mm256_add_epi32(acc.v, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
