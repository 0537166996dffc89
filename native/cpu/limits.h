#pragma once

namespace chainrule::cpu {

// What this process may use: CPUs of the affinity mask, and the cgroup quota in CPUs (0 = none).
struct CpuLimits {
  int affinity = 1;
  double quota = 0;
};
CpuLimits cpuLimits();

}  // namespace chainrule::cpu
