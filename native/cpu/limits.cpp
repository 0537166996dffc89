#include "cpu/limits.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#if defined(__linux__)
#include <sched.h>
#else
#include <thread>
#endif

namespace chainrule::cpu {
namespace {

#if defined(__linux__)
// "max 100000" or "150000 100000"; cgroup v1 has the two numbers in files of their own.
double quotaFromFile(const char* path, const char* periodPath) {
  std::FILE* file = std::fopen(path, "r");
  if (!file) return 0;
  char first[32] = {}, second[32] = {};
  const int fields = std::fscanf(file, "%31s %31s", first, second);
  std::fclose(file);
  if (fields < 1 || std::strcmp(first, "max") == 0) return 0;
  if (periodPath) {
    file = std::fopen(periodPath, "r");
    if (!file) return 0;
    const int ok = std::fscanf(file, "%31s", second);
    std::fclose(file);
    if (ok != 1) return 0;
  }
  const double quota = std::atof(first), period = std::atof(second);
  return quota > 0 && period > 0 ? quota / period : 0;
}
#endif

}  // namespace

CpuLimits cpuLimits() {
  CpuLimits limits;
#if defined(__linux__)
  // The kernel's mask may be longer than cpu_set_t on large machines.
  for (int cpus = 1024; cpus <= 65536; cpus *= 4) {
    cpu_set_t* set = CPU_ALLOC(cpus);
    if (!set) break;
    const size_t bytes = CPU_ALLOC_SIZE(cpus);
    const bool ok = sched_getaffinity(0, bytes, set) == 0;
    if (ok) limits.affinity = CPU_COUNT_S(bytes, set);
    CPU_FREE(set);
    if (ok) break;
  }
  limits.quota = quotaFromFile("/sys/fs/cgroup/cpu.max", nullptr);
  if (limits.quota == 0)
    limits.quota = quotaFromFile("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us");
#else
  limits.affinity = int(std::thread::hardware_concurrency());
#endif
  if (limits.affinity < 1) limits.affinity = 1;
  return limits;
}

}  // namespace chainrule::cpu
