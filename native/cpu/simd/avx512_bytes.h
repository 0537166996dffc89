// As in avx2_bytes.h. A part of avx512.h that isa/vnni.cpp has of its own.

constexpr int32_t kFlip = 0;
CHAINRULE_INLINE void accumulateQuads(Int& acc, Int w, Int x) {
  const __m512i pairs = _mm512_maddubs_epi16(_mm512_abs_epi8(x.v), signBytes(w, x).v);
  acc.v = _mm512_add_epi32(acc.v, _mm512_madd_epi16(pairs, _mm512_set1_epi32(0x10001)));
}
