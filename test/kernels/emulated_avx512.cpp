#include "check.h"

// The AVX-512 kernels on AVX2: simd/avx512.h and all code for 16 lanes over a stand-in for the instructions it names,
// each written from its definition in the Intel 64 manual. What this cannot show is that the compiler's are the same.
#if defined(__x86_64__)

#include <immintrin.h>

#include "base/philox.h"
#include "cpu/conv_rows.h"
#include "cpu/simd/inline.h"
#include "cpu/winograd.h"

#pragma GCC target("avx2,fma,f16c")
#pragma GCC diagnostic ignored "-Wunused-function"

namespace chainrule::cpu::emulated {

struct __m512 {
  __m256 low, high;
};
struct __m512i {
  __m256i low, high;
};

// op(a, b) by halves.
#define UNARY(type, result, name, half) \
  CHAINRULE_INLINE result name(type a) { return {half(a.low), half(a.high)}; }
#define BINARY(type, name, half) \
  CHAINRULE_INLINE type name(type a, type b) { return {half(a.low, b.low), half(a.high, b.high)}; }
#define SHIFT(name, half) \
  CHAINRULE_INLINE __m512i name(__m512i a, int bits) { return {half(a.low, bits), half(a.high, bits)}; }
UNARY(__m512, __m512i, _mm512_castps_si512, _mm256_castps_si256)
UNARY(__m512i, __m512, _mm512_castsi512_ps, _mm256_castsi256_ps)
UNARY(__m512i, __m512i, _mm512_abs_epi32, _mm256_abs_epi32)
UNARY(__m512, __m512, _mm512_sqrt_ps, _mm256_sqrt_ps)
UNARY(__m512i, __m512, _mm512_cvtepi32_ps, _mm256_cvtepi32_ps)
UNARY(__m512, __m512i, _mm512_cvttps_epi32, _mm256_cvttps_epi32)
UNARY(__m512, __m512i, _mm512_cvtps_epi32, _mm256_cvtps_epi32)
BINARY(__m512i, _mm512_add_epi32, _mm256_add_epi32)
BINARY(__m512i, _mm512_sub_epi32, _mm256_sub_epi32)
BINARY(__m512i, _mm512_mullo_epi32, _mm256_mullo_epi32)
BINARY(__m512i, _mm512_and_si512, _mm256_and_si256)
BINARY(__m512i, _mm512_or_si512, _mm256_or_si256)
BINARY(__m512i, _mm512_xor_si512, _mm256_xor_si256)
BINARY(__m512, _mm512_add_ps, _mm256_add_ps)
BINARY(__m512, _mm512_sub_ps, _mm256_sub_ps)
BINARY(__m512, _mm512_mul_ps, _mm256_mul_ps)
BINARY(__m512, _mm512_div_ps, _mm256_div_ps)
BINARY(__m512, _mm512_min_ps, _mm256_min_ps)
BINARY(__m512, _mm512_max_ps, _mm256_max_ps)
BINARY(__m512i, _mm512_maddubs_epi16, _mm256_maddubs_epi16)
BINARY(__m512i, _mm512_madd_epi16, _mm256_madd_epi16)
UNARY(__m512i, __m512i, _mm512_abs_epi8, _mm256_abs_epi8)
SHIFT(_mm512_slli_epi32, _mm256_slli_epi32)
SHIFT(_mm512_srai_epi32, _mm256_srai_epi32)
SHIFT(_mm512_srli_epi32, _mm256_srli_epi32)
#undef UNARY
#undef BINARY
#undef SHIFT

CHAINRULE_INLINE __m512 _mm512_set1_ps(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
CHAINRULE_INLINE __m512i _mm512_set1_epi32(int x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
CHAINRULE_INLINE __m512 _mm512_fmadd_ps(__m512 a, __m512 b, __m512 c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
CHAINRULE_INLINE void fuseInto(__m512& acc, __m512 a, __m512 b) { acc = _mm512_fmadd_ps(a, b, acc); }

CHAINRULE_INLINE __m512 _mm512_loadu_ps(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
CHAINRULE_INLINE void _mm512_storeu_ps(float* p, __m512 a) {
  _mm256_storeu_ps(p, a.low);
  _mm256_storeu_ps(p + 8, a.high);
}
CHAINRULE_INLINE void _mm512_stream_ps(float* p, __m512 a) {
  if (reinterpret_cast<uintptr_t>(p) % 64) __builtin_trap();
  _mm512_storeu_ps(p, a);
}
CHAINRULE_INLINE __m512i _mm512_loadu_si512(const void* p) {
  return _mm512_castps_si512(_mm512_loadu_ps(static_cast<const float*>(p)));
}
CHAINRULE_INLINE void _mm512_storeu_si512(void* p, __m512i a) {
  _mm512_storeu_ps(static_cast<float*>(p), _mm512_castsi512_ps(a));
}
CHAINRULE_INLINE __m512i _mm512_maskz_loadu_epi32(__mmask16 m, const void* p) {
  int32_t lane[16] = {};
  for (int i = 0; i < 16; ++i) {
    if (m >> i & 1) std::memcpy(&lane[i], static_cast<const char*>(p) + 4 * i, 4);
  }
  return _mm512_loadu_si512(lane);
}
CHAINRULE_INLINE void _mm512_mask_storeu_epi32(void* p, __mmask16 m, __m512i a) {
  int32_t lane[16];
  _mm512_storeu_si512(lane, a);
  for (int i = 0; i < 16; ++i) {
    if (m >> i & 1) std::memcpy(static_cast<char*>(p) + 4 * i, &lane[i], 4);
  }
}
CHAINRULE_INLINE __m512 _mm512_maskz_loadu_ps(__mmask16 m, const void* p) {
  return _mm512_castsi512_ps(_mm512_maskz_loadu_epi32(m, p));
}
CHAINRULE_INLINE void _mm512_mask_storeu_ps(void* p, __mmask16 m, __m512 a) {
  _mm512_mask_storeu_epi32(p, m, _mm512_castps_si512(a));
}
CHAINRULE_INLINE __m512i _mm512_cvtepu8_epi32(__m128i a) {
  return {_mm256_cvtepu8_epi32(a), _mm256_cvtepu8_epi32(_mm_srli_si128(a, 8))};
}
CHAINRULE_INLINE __m512i _mm512_cvtepu16_epi32(__m256i a) {
  return {_mm256_cvtepu16_epi32(_mm256_castsi256_si128(a)), _mm256_cvtepu16_epi32(_mm256_extracti128_si256(a, 1))};
}
CHAINRULE_INLINE __m512i _mm512_maskz_compress_epi32(__mmask16 m, __m512i a) {
  int32_t all[16], kept[16] = {};
  __builtin_memcpy(all, &a, 64);
  for (int i = 0, place = 0; i < 16; ++i) {
    if (m >> i & 1) kept[place++] = all[i];
  }
  __builtin_memcpy(&a, kept, 64);
  return a;
}
CHAINRULE_INLINE __m128i _mm512_cvtepi32_epi8(__m512i a) {  // keeps the low bytes
  int32_t lane[16];
  uint8_t bytes[16];
  _mm512_storeu_si512(lane, a);
  for (int i = 0; i < 16; ++i) bytes[i] = uint8_t(lane[i]);
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
}

CHAINRULE_INLINE __m256i _mm512_cvtepi32_epi16(__m512i a) {  // keeps the low halves
  int32_t lane[16];
  uint16_t halves[16];
  _mm512_storeu_si512(lane, a);
  for (int i = 0; i < 16; ++i) halves[i] = uint16_t(lane[i]);
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves));
}

// Masks: bit i is lane i.
CHAINRULE_INLINE __mmask16 joined(__m256i low, __m256i high) {
  return __mmask16(_mm256_movemask_ps(_mm256_castsi256_ps(low)) | _mm256_movemask_ps(_mm256_castsi256_ps(high)) << 8);
}
CHAINRULE_INLINE __m512i spread(__mmask16 m) {
  const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  return {_mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(m), bit), bit),
          _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(m >> 8), bit), bit)};
}
// Of 64 bytes.
CHAINRULE_INLINE uint64_t _mm512_movepi8_mask(__m512i a) {
  return uint32_t(_mm256_movemask_epi8(a.low)) | uint64_t(uint32_t(_mm256_movemask_epi8(a.high))) << 32;
}
CHAINRULE_INLINE __m512i _mm512_mask_sub_epi8(__m512i rest, uint64_t m, __m512i a,
                                              __m512i b) {  // rest where m is not set
  uint8_t byte[3][64];
  _mm512_storeu_si512(byte[0], rest);
  _mm512_storeu_si512(byte[1], a);
  _mm512_storeu_si512(byte[2], b);
  for (int i = 0; i < 64; ++i) {
    if (m >> i & 1) byte[0][i] = uint8_t(byte[1][i] - byte[2][i]);
  }
  return _mm512_loadu_si512(byte[0]);
}
#define _mm512_cmp_ps_mask(a, b, kind)                           \
  joined(_mm256_castps_si256(_mm256_cmp_ps(a.low, b.low, kind)), \
         _mm256_castps_si256(_mm256_cmp_ps(a.high, b.high, kind)))
CHAINRULE_INLINE __mmask16 _mm512_cmpeq_epi32_mask(__m512i a, __m512i b) {
  return joined(_mm256_cmpeq_epi32(a.low, b.low), _mm256_cmpeq_epi32(a.high, b.high));
}
CHAINRULE_INLINE __mmask16 _mm512_cmplt_epi32_mask(__m512i a, __m512i b) {
  return joined(_mm256_cmpgt_epi32(b.low, a.low), _mm256_cmpgt_epi32(b.high, a.high));
}
CHAINRULE_INLINE __m512i _mm512_mask_blend_epi32(__mmask16 m, __m512i a, __m512i b) {  // b where m is set
  const __m512i s = spread(m);
  return {_mm256_blendv_epi8(a.low, b.low, s.low), _mm256_blendv_epi8(a.high, b.high, s.high)};
}
CHAINRULE_INLINE __m512 _mm512_mask_blend_ps(__mmask16 m, __m512 a, __m512 b) {
  return _mm512_castsi512_ps(_mm512_mask_blend_epi32(m, _mm512_castps_si512(a), _mm512_castps_si512(b)));
}
CHAINRULE_INLINE __m512 _mm512_maskz_mov_ps(__mmask16 m, __m512 a) {
  return _mm512_mask_blend_ps(m, _mm512_set1_ps(0), a);
}
CHAINRULE_INLINE __m512i _mm512_maskz_set1_epi32(__mmask16 m, int x) {
  return _mm512_mask_blend_epi32(m, _mm512_set1_epi32(0), _mm512_set1_epi32(x));
}

#define _mm512_roundscale_ps(a, kind) \
  __m512 { _mm256_round_ps(a.low, kind), _mm256_round_ps(a.high, kind) }
CHAINRULE_INLINE __m512i _mm512_setr_epi32(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j, int k,
                                           int l, int m, int n, int o, int p) {
  return {_mm256_setr_epi32(a, b, c, d, e, f, g, h), _mm256_setr_epi32(i, j, k, l, m, n, o, p)};
}
CHAINRULE_INLINE __m512 _mm512_shuffle_f32x4(__m512 a, __m512 b, int kind) {  // quads: two of a, two of b
  float from[2][16], to[16];
  _mm512_storeu_ps(from[0], a);
  _mm512_storeu_ps(from[1], b);
  for (int i = 0; i < 4; ++i) std::memcpy(to + 4 * i, from[i / 2] + 4 * (kind >> 2 * i & 3), 16);
  return _mm512_loadu_ps(to);
}
#define _mm512_permute_ps(a, kind) \
  __m512 { _mm256_permute_ps(a.low, kind), _mm256_permute_ps(a.high, kind) }
CHAINRULE_INLINE float _mm512_cvtss_f32(__m512 a) { return _mm256_cvtss_f32(a.low); }
CHAINRULE_INLINE int _mm512_cvtsi512_si32(__m512i a) { return _mm256_cvtsi256_si32(a.low); }

// clang-format off
#include "cpu/kernels/wide.inl"
// clang-format on
constexpr KernelTable table{
    "avx512, emulated",
#define KERNEL(result, name, parameters) name,
#include "cpu/kernels.list"
};
}  // namespace chainrule::cpu::emulated

const chainrule::cpu::KernelTable* check::emulatedTable() {
  return tableFor("avx2") ? &chainrule::cpu::emulated::table : nullptr;
}

#else

const chainrule::cpu::KernelTable* check::emulatedTable() { return nullptr; }

#endif
