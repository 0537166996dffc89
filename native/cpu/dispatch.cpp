#include <cstdlib>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "cpu/kernel_table.h"

namespace chainrule::cpu {
namespace scalar {
extern const KernelTable table;
}
#if defined(__x86_64__)
namespace avx2 {
extern const KernelTable table;
}
namespace avx512 {
extern const KernelTable table;
}
namespace avxvnni {
const KernelTable& table();
}
namespace avx512vnni {
const KernelTable& table();
}
#elif defined(__aarch64__)
namespace neon {
extern const KernelTable table;
}
#endif

namespace {

#if defined(__x86_64__)
bool runsAvx2() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
bool runsAvx512() {
  return runsAvx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

#if defined(__x86_64__)
// The compilers know this one by no name that all of them share.
bool runsAvxVnni() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return runsAvx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1) != 0;
}
#endif

struct Choice {
  const KernelTable* table;
  std::string reason;
};

Choice choose() {
  const KernelTable* best = &scalar::table;
  for (const char* isa : {"avx2", "avxvnni", "avx512", "avx512vnni", "neon"}) {
    if (const KernelTable* table = tableFor(isa)) best = table;
  }
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
  if (isa == "avx512" && runsAvx512()) return &avx512::table;
  if (isa == "avxvnni" && runsAvxVnni()) return &avxvnni::table();
  if (isa == "avx512vnni" && runsAvx512() && __builtin_cpu_supports("avx512vnni")) return &avx512vnni::table();
#elif defined(__aarch64__)
  if (isa == "neon") return &neon::table;  // every arm64 CPU has it
#endif
  return nullptr;
}

const KernelTable& kernels() { return *choice().table; }
std::string_view isaName() { return choice().table->isa; }
std::string_view isaReason() { return choice().reason; }

}  // namespace chainrule::cpu
