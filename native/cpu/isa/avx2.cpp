#if defined(__x86_64__)

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "base/philox.h"
#include "cpu/conv_rows.h"
#include "cpu/kernel_table.h"
#include "cpu/simd/inline.h"
#include "cpu/split.h"
#include "cpu/winograd.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c")
#endif

namespace chainrule::cpu::avx2 {
// clang-format off
#include "cpu/simd/avx2.h"
#include "cpu/simd/avx2_bytes.h"
#include "cpu/kernels/all.inl"
// clang-format on
extern const KernelTable table;
constexpr KernelTable table{
    "avx2",
#define KERNEL(result, name, parameters) name,
#include "cpu/kernels.list"
};
}  // namespace chainrule::cpu::avx2

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
