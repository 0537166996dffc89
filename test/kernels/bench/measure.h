#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "cpu/float_mode.h"
#include "cpu/kernel_table.h"
#include "cpu/split.h"
#include "cpu/team.h"

// Microbenchmark of the kernels on one core: kernel_bench [filter]. Figures beside the FMA peak measured in the same
// run.

// Timing and reporting for the microbenchmarks.
namespace bench {

using namespace chainrule;
using namespace chainrule::cpu;

inline const char* filter = "";
inline double peak = 0;  // GFLOP/s of fused multiply-adds in registers

// CPU time of this thread: other processes on the machine disturb it less than the clock.
inline double now() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + double(t.tv_nsec) * 1e-9;
}

// Best seconds per call of several blocks of at least 20 ms.
template <typename F>
double best(F&& body) {
  body();
  int64_t repeats = 1;
  double least = 1e9;
  for (int block = 0; block < 24;) {
    const double start = now();
    for (int64_t i = 0; i < repeats; ++i) body();
    const double time = now() - start;
    if (time < 0.02) {
      repeats = time < 0.002 ? repeats * 8 : repeats * 2;
      continue;
    }
    least = std::min(least, time / double(repeats));
    ++block;
  }
  return least;
}

inline void report(const std::string& name, double seconds, double flops, double bytes = 0) {
  std::printf("%-44s %10.2f us", name.c_str(), seconds * 1e6);
  if (flops > 0)
    std::printf("  %7.1f GFLOP/s %5.1f %%", flops / seconds * 1e-9, peak > 0 ? 100 * flops / seconds * 1e-9 / peak : 0);
  if (bytes > 0) std::printf("  %6.1f GB/s", bytes / seconds * 1e-9);
  std::printf("\n");
  std::fflush(stdout);
}
inline bool wanted(const char* name) { return std::strstr(name, filter) != nullptr; }

// Memory as the engine's arena has it: huge pages.
template <typename T>
struct HugePages {
  using value_type = T;
  T* allocate(size_t n) {
    const size_t bytes = (n * sizeof(T) + (2 << 20) - 1) >> 21 << 21;
    void* p = std::aligned_alloc(2 << 20, bytes);
#if defined(__linux__)
    madvise(p, bytes, MADV_HUGEPAGE);
#endif
    return static_cast<T*>(p);
  }
  void deallocate(T* p, size_t) { std::free(p); }
  bool operator==(const HugePages&) const { return true; }
};
using Floats = std::vector<float, HugePages<float>>;

inline Floats values(int64_t n) {
  Floats v(n);
  uint32_t x = 1;
  for (float& f : v) f = float(int32_t(x = x * 1664525 + 1013904223)) * 0x1p-31f;
  return v;
}

}  // namespace bench
