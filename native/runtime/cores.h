#pragma once

#include <atomic>
#include <string>

namespace chainrule {

// How many threads this process may use, and why.
struct ThreadLimit {
  int threads = 1;
  std::string reason;
};
ThreadLimit threadLimit();
void setThreadLimit(int threads);  // 0: back to the default

// One per process, leaked: lanes lease cores at step boundaries and keep them until another lane asks.
class CoreArbiter {
 public:
  static CoreArbiter& instance();

  // A lane says that it has work which could use `wanted` threads, and learns how many it may use now (at least 1).
  int lease(void* lane, int wanted);
  // The same for one run beside the lanes: it takes what they have left, and nothing from a lane that has a team.
  int borrow(void* run, int wanted);
  void release(void* lane);
  // Changes whenever a lane's share may have changed; lanes compare it between steps.
  uint64_t generation() const { return generation_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> generation_{0};
  friend void setThreadLimit(int threads);
};

}  // namespace chainrule
