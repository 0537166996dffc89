#if defined(__x86_64__)

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "base/philox.h"
#include "cpu/kernel_table.h"
#include "cpu/simd/inline.h"

// VNNI, an instruction that multiplies unsigned by signed bytes and adds up four products: on vectors of 8 in the form
// of AVX-VNNI, on vectors of 16 with AVX-512. Only the kernels of bytes are compiled again, the rest is AVX2's
// or AVX-512's.
// x comes with 128 added to every byte; int8Tile takes 128 times the sum of w off again.

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avxvnni")
#endif
namespace chainrule::cpu::avxvnni {
// clang-format off
#include "cpu/simd/avx2.h"
constexpr int32_t kFlip = 128;
CHAINRULE_INLINE void accumulateQuads(Int& acc, Int w, Int x) { acc.v = _mm256_dpbusd_avx_epi32(acc.v, x.v, w.v); }
CHAINRULE_INLINE void accumulateSigned(Int& acc, Int w, Int x) {
  acc.v = _mm256_dpbusd_avx_epi32(acc.v, _mm256_abs_epi8(x.v), _mm256_sign_epi8(w.v, x.v));
}
#include "cpu/simd/functions.inl"
#include "cpu/kernels/quantized.inl"
// clang-format on
}  // namespace chainrule::cpu::avxvnni
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), \
                             apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#endif
namespace chainrule::cpu::avx512vnni {
// clang-format off
#include "cpu/simd/avx512_fma.h"
#include "cpu/simd/avx512.h"
constexpr int32_t kFlip = 128;
CHAINRULE_INLINE void accumulateQuads(Int& acc, Int w, Int x) { acc.v = _mm512_dpbusd_epi32(acc.v, x.v, w.v); }
CHAINRULE_INLINE void accumulateSigned(Int& acc, Int w, Int x) {
  acc.v = _mm512_dpbusd_epi32(acc.v, _mm512_abs_epi8(x.v), signBytes(w, x).v);
}
#include "cpu/simd/functions.inl"
#include "cpu/kernels/quantized.inl"
// clang-format on
}  // namespace chainrule::cpu::avx512vnni
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace chainrule::cpu {
namespace avx2 {
extern const KernelTable table;
}
namespace avx512 {
extern const KernelTable table;
}
namespace {
// The kernels of another instruction set but for those of bytes.
KernelTable withBytes(KernelTable t, const char* isa, decltype(t.quantizeRows) quantizeRows,
                      decltype(t.quantizePart) quantizePart, decltype(t.gemmInt8) gemmInt8,
                      decltype(t.gatherInt8) gatherInt8) {
  t.isa = isa, t.quantizeRows = quantizeRows, t.quantizePart = quantizePart, t.gemmInt8 = gemmInt8,
  t.gatherInt8 = gatherInt8;
  return t;
}
}  // namespace
namespace avxvnni {
const KernelTable& table() {
  static const KernelTable made = withBytes(avx2::table, "avxvnni", quantizeRows, quantizePart, gemmInt8, gatherInt8);
  return made;
}
}  // namespace avxvnni
namespace avx512vnni {
const KernelTable& table() {
  static const KernelTable made =
      withBytes(avx512::table, "avx512vnni", quantizeRows, quantizePart, gemmInt8, gatherInt8);
  return made;
}
}  // namespace avx512vnni
}  // namespace chainrule::cpu

#endif
