#if defined(__aarch64__)

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "base/philox.h"
#include "cpu/conv_rows.h"
#include "cpu/kernel_table.h"
#include "cpu/simd/inline.h"
#include "cpu/split.h"
#include "cpu/winograd.h"

namespace chainrule::cpu::neon {
// clang-format off
#include "cpu/simd/neon.h"
#include "cpu/kernels/all.inl"
// clang-format on
extern const KernelTable table;
constexpr KernelTable table{
    "neon",
#define KERNEL(result, name, parameters) name,
#include "cpu/kernels.list"
};
}  // namespace chainrule::cpu::neon

#endif
