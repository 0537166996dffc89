#if defined(__x86_64__)

#if !defined(__clang__)
// GCC 12 takes the undefined vectors inside its own intrinsics for a mistake (https://gcc.gnu.org/PR105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

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
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), \
                             apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")
#endif

namespace chainrule::cpu::avx512 {
// clang-format off
#include "cpu/simd/avx512_fma.h"
#include "cpu/kernels/wide.inl"
// clang-format on
extern const KernelTable table;
constexpr KernelTable table{
    "avx512",
#define KERNEL(result, name, parameters) name,
#include "cpu/kernels.list"
};
}  // namespace chainrule::cpu::avx512

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
