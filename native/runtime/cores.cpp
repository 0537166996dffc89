#include "runtime/cores.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "cpu/limits.h"

namespace chainrule {
namespace {

struct Lease {
  void* lane;
  int wanted;
  bool borrowed = false;
};

std::mutex& mutex() {
  static std::mutex* leaked = new std::mutex;
  return *leaked;
}
std::vector<Lease>& leases() {
  static auto* leaked = new std::vector<Lease>;
  return *leaked;
}
std::atomic<int> chosen{0};

// Two hardware threads of one core share its FMA units, so only cores count.
int physicalCores() {
  std::set<std::string> cores;
  const int cpus = int(std::thread::hardware_concurrency());
  for (int cpu = 0; cpu < cpus; ++cpu) {
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    std::ifstream package(folder + "physical_package_id"), core(folder + "core_id");
    std::string a, b;
    if (!(package >> a) || !(core >> b)) return std::max(1, cpus);
    cores.insert(a + ":" + b);
  }
  return std::max(1, int(cores.size()));
}

int fromEnvironment(const char* name) {
  const char* text = std::getenv(name);
  return text ? std::atoi(text) : 0;
}

ThreadLimit defaultLimit() {
  for (const char* name : {"CHAINRULE_NUM_THREADS", "OMP_NUM_THREADS"}) {
    if (const int threads = fromEnvironment(name); threads > 0) return {threads, name};
  }
  const cpu::CpuLimits limits = cpu::cpuLimits();
  ThreadLimit limit{physicalCores(), "physical cores"};
  if (limits.affinity < limit.threads) limit = {limits.affinity, "CPU affinity"};
  const int quota = std::max(1, int(std::floor(limits.quota)));
  if (limits.quota > 0 && quota < limit.threads) limit = {quota, "cgroup quota"};
  return limit;
}

}  // namespace

ThreadLimit threadLimit() {
  if (const int threads = chosen.load()) return {threads, "setNumThreads"};
  static const ThreadLimit* limit = new ThreadLimit(defaultLimit());
  return *limit;
}

void setThreadLimit(int threads) {
  chosen = threads;
  ++CoreArbiter::instance().generation_;
}

CoreArbiter& CoreArbiter::instance() {
  static CoreArbiter* arbiter = new CoreArbiter;
  return *arbiter;
}

int CoreArbiter::lease(void* lane, int wanted) {
  const std::lock_guard guard(mutex());
  auto own = std::find_if(leases().begin(), leases().end(), [&](const Lease& lease) { return lease.lane == lane; });
  if (own == leases().end()) own = leases().insert(own, {lane, 0});
  if (own->wanted != wanted) {
    own->wanted = wanted;
    ++generation_;
  }
  // Everyone gets one core; what is left goes to those who want more, in equal parts.
  int spare = threadLimit().threads, greedy = 0;
  for (const Lease& lease : leases()) {
    if (lease.borrowed && lease.wanted == 1) continue;  // soon over, and nobody would tell the lane
    spare -= 1;
    greedy += lease.wanted > 1;
  }
  if (wanted <= 1 || spare <= 0) return 1;
  return std::min(wanted, 1 + spare / greedy);
}

int CoreArbiter::borrow(void* run, int wanted) {
  const std::lock_guard guard(mutex());
  const bool shared =
      std::any_of(leases().begin(), leases().end(), [](const Lease& lease) { return lease.wanted > 1; });
  const int spare = threadLimit().threads - int(leases().size());
  const int size = shared ? 1 : std::clamp(spare, 1, wanted);
  leases().push_back({run, size, true});
  return size;
}

// One who had a single core leaves the others' shares as they are.
void CoreArbiter::release(void* lane) {
  const std::lock_guard guard(mutex());
  const auto own =
      std::find_if(leases().begin(), leases().end(), [&](const Lease& lease) { return lease.lane == lane; });
  if (own == leases().end()) return;
  if (own->wanted > 1) ++generation_;
  leases().erase(own);
}

}  // namespace chainrule
