#pragma once

#include <cstdint>
#include <string_view>

#include "cpu/attention.h"
#include "cpu/island.h"
#include "cpu/recurrent.h"
#include "cpu/types.h"

namespace chainrule::cpu {

// Function pointers to all kernels, compiled for one instruction set.
struct KernelTable {
  const char* isa;
#define KERNEL(result, name, parameters) result(*name) parameters;
#include "cpu/kernels.list"
#undef KERNEL
};

// The best table for this machine, or the one that CHAINRULE_ISA names; chosen at the first call.
const KernelTable& kernels();
const KernelTable* tableFor(std::string_view isa);  // null if unknown or not supported by this machine
std::string_view isaName();
std::string_view isaReason();  // why this one, e.g. "best of this CPU" or "CHAINRULE_ISA=avx9 is unknown; using avx2"

}  // namespace chainrule::cpu
