#include "cpu/team.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if !defined(CHAINRULE_TEAM_STDTHREAD)
#include <omp.h>
#else
#include <condition_variable>
#include <mutex>
#endif

#include "cpu/float_mode.h"

namespace chainrule::cpu {
namespace {

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Sleeps until `word` differs from `seen`. May return early; the caller looks again.
void sleepWhile(std::atomic<uint32_t>& word, uint32_t seen) {
#if defined(__linux__)
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
#else
  word.wait(seen);
#endif
}
void wakeAll(std::atomic<uint32_t>& word) {
#if defined(__linux__)
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
#else
  word.notify_all();
#endif
}

// Members arrive by counting down; the last one opens the next phase. A waiter spins for about as long as a futex wake
// takes (50-100 us in a virtual machine) and then sleeps. Without a CPU per member it yields instead of spinning.
class Barrier {
 public:
  Barrier(int size, bool spins) : size_(size), spins_(spins), missing_(size) {}

  void wait() {
    const uint32_t phase = phase_.load(std::memory_order_acquire);
    if (missing_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      missing_.store(size_, std::memory_order_relaxed);
      phase_.store(phase + 1, std::memory_order_seq_cst);
      if (sleepers_.load(std::memory_order_seq_cst) > 0) wakeAll(phase_);
      return;
    }
    if (spins_ ? spin(phase) : yield(phase)) return;
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    while (phase_.load(std::memory_order_seq_cst) == phase) sleepWhile(phase_, phase);
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  bool opened(uint32_t phase) const { return phase_.load(std::memory_order_acquire) != phase; }

  bool spin(uint32_t phase) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(80);
    for (;;) {
      for (int i = 0; i < 64; ++i) {  // the clock is looked at now and then only
        if (opened(phase)) return true;
        pause();
      }
      if (std::chrono::steady_clock::now() > deadline) return false;
    }
  }
  bool yield(uint32_t phase) const {
    for (int i = 0; i < 16; ++i) {
      if (opened(phase)) return true;
      std::this_thread::yield();
    }
    return opened(phase);
  }

  const int size_;
  const bool spins_;
  alignas(64) std::atomic<int> missing_;
  alignas(64) std::atomic<uint32_t> phase_{0};
  std::atomic<int> sleepers_{0};
};

bool maySpin(int size) {
  const CpuLimits limits = cpuLimits();
  return size <= limits.affinity && limits.quota == 0;
}

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

#if !defined(CHAINRULE_TEAM_STDTHREAD)

struct Team::Body {
  Body(int size, bool spins) : barrier(size, spins) {}
  Barrier barrier;
};

void Team::run(FunctionRef<void(int member)> body) {
  if (size_ == 1) {
    FlushDenormals flush;
    body(0);
    return;
  }
  omp_set_dynamic(0);  // a smaller team would wait forever for the missing members
#pragma omp parallel num_threads(size_)
  {
    FlushDenormals flush;
    body(omp_get_thread_num());
  }
}

#else  // the same on std::thread, for sanitizers and toolchains without OpenMP

struct Team::Body {
  Body(int size, bool spins) : barrier(size, spins) {
    for (int member = 1; member < size; ++member) threads.emplace_back([this, member] { serve(member); });
  }
  ~Body() {
    {
      std::lock_guard lock(mutex);
      stop = true;
    }
    changed.notify_all();
    for (std::thread& thread : threads) thread.join();
  }

  void serve(int member) {
    FlushDenormals flush;
    uint64_t seen = 0;
    for (;;) {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return stop || round != seen; });
      if (stop) return;
      seen = round;
      const FunctionRef<void(int)>* work = job;
      lock.unlock();
      (*work)(member);
      lock.lock();
      if (--running == 0) changed.notify_all();
    }
  }

  Barrier barrier;
  std::mutex mutex;
  std::condition_variable changed;
  const FunctionRef<void(int)>* job = nullptr;
  uint64_t round = 0;
  size_t running = 0;
  bool stop = false;
  std::vector<std::thread> threads;
};

void Team::run(FunctionRef<void(int member)> body) {
  if (size_ > 1) {
    std::lock_guard lock(body_->mutex);
    body_->job = &body;
    body_->running = body_->threads.size();
    ++body_->round;
  }
  if (size_ > 1) body_->changed.notify_all();
  {
    FlushDenormals flush;
    body(0);
  }
  if (size_ == 1) return;
  std::unique_lock lock(body_->mutex);
  body_->changed.wait(lock, [&] { return body_->running == 0; });
}

#endif

namespace {
int possible(int size) {
#if !defined(CHAINRULE_TEAM_STDTHREAD)
  size = std::min(size, omp_get_thread_limit());
#endif
  return std::max(size, 1);
}
}  // namespace

Team::Team(int size) : size_(possible(size)), body_(size_ > 1 ? new Body(size_, maySpin(size_)) : nullptr) {}
Team::~Team() = default;

void Team::barrier(int) {
  if (size_ > 1) body_->barrier.wait();
}

}  // namespace chainrule::cpu
