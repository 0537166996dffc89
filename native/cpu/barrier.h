#pragma once

#include <atomic>
#include <cstdint>

namespace chainrule::cpu {

// Where `size` threads meet again and again; what they wrote before is visible to all after. A waiter spins for about
// as long as a futex wake takes (50-100 us in a virtual machine) and then sleeps. Without a CPU per member it yields
// instead of spinning.
class Barrier {
 public:
  explicit Barrier(int size);
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;

  int size() const { return size_; }
  void wait();

 private:
  bool opened(uint32_t phase) const { return phase_.load(std::memory_order_acquire) != phase; }
  bool spin(uint32_t phase) const;
  bool yield(uint32_t phase) const;

  const int size_;
  const bool spins_;
  alignas(64) std::atomic<int> missing_;
  alignas(64) std::atomic<uint32_t> phase_{0};
  std::atomic<int> sleepers_{0};
};

}  // namespace chainrule::cpu
