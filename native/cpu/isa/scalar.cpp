#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstddef>
#include <cstdint>

#include "base/philox.h"
#include "cpu/conv_rows.h"
#include "cpu/kernel_table.h"
#include "cpu/simd/inline.h"
#include "cpu/split.h"
#include "cpu/winograd.h"

// Generic vectors cross no function boundary here: everything that takes one is inlined.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace chainrule::cpu::scalar {
// clang-format off
#include "cpu/simd/scalar.h"
#include "cpu/kernels/all.inl"
// clang-format on
extern const KernelTable table;
constexpr KernelTable table{
    "scalar",
#define KERNEL(result, name, parameters) name,
#include "cpu/kernels.list"
};
}  // namespace chainrule::cpu::scalar
