#include <cstdlib>
#include <string>

#include "cpu/kernel_table.h"

namespace chainrule::cpu {
namespace scalar {
extern const KernelTable table;
}
#if defined(__x86_64__)
namespace avx2 {
extern const KernelTable table;
}
#endif
// Seats for avx512 (F, BW, DQ, VL) and neon: a vector type in simd/, a file in isa/ and an entry here.

namespace {

bool runsAvx2() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

struct Choice {
  const KernelTable* table;
  std::string reason;
};

Choice choose() {
  const KernelTable* best = tableFor("avx2");
  if (!best) best = &scalar::table;
  const char* wanted = std::getenv("CHAINRULE_ISA");
  if (!wanted || !*wanted) return {best, "best of this CPU"};
  if (const KernelTable* table = tableFor(wanted)) return {table, std::string("CHAINRULE_ISA=") + wanted};
  return {best,
          std::string("CHAINRULE_ISA=") + wanted + " is unknown or not supported by this CPU; using " + best->isa};
}

const Choice& choice() {
  static const Choice* chosen = new Choice(choose());  // lives as long as the process
  return *chosen;
}

}  // namespace

const KernelTable* tableFor(std::string_view isa) {
  if (isa == "scalar") return &scalar::table;
#if defined(__x86_64__)
  if (isa == "avx2" && runsAvx2()) return &avx2::table;
#endif
  return nullptr;
}

const KernelTable& kernels() { return *choice().table; }
std::string_view isaName() { return choice().table->isa; }
std::string_view isaReason() { return choice().reason; }

}  // namespace chainrule::cpu
