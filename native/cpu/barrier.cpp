#include "cpu/barrier.h"

#include <chrono>
#include <thread>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "cpu/limits.h"

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

bool maySpin(int size) {
  const CpuLimits limits = cpuLimits();
  return size <= limits.affinity && limits.quota == 0;
}

}  // namespace

Barrier::Barrier(int size) : size_(size), spins_(size > 1 && maySpin(size)), missing_(size) {}

// Members arrive by counting down; the last one opens the next phase.
void Barrier::wait() {
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

bool Barrier::spin(uint32_t phase) const {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(80);
  for (;;) {
    for (int i = 0; i < 64; ++i) {  // the clock is looked at now and then only
      if (opened(phase)) return true;
      pause();
    }
    if (std::chrono::steady_clock::now() > deadline) return false;
  }
}

bool Barrier::yield(uint32_t phase) const {
  for (int i = 0; i < 16; ++i) {
    if (opened(phase)) return true;
    std::this_thread::yield();
  }
  return opened(phase);
}

}  // namespace chainrule::cpu
