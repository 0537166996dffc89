#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace chainrule {

// Calls `rest` once when nobody has called touch() for a while, on a thread of its own that else sleeps. Kept for ever;
// the thread ends before the process's exit handlers of libraries that were loaded earlier.
class IdleWatch {
 public:
  using Clock = std::chrono::steady_clock;

  // rest: false if there is work after all, to be called again later.
  IdleWatch(Clock::duration patience, std::function<bool()> rest);
  void touch();  // from any thread

 private:
  void loop();
  void stop();

  const Clock::duration patience_;
  const std::function<bool()> rest_;
  std::atomic<Clock::time_point> touched_{};
  std::atomic<bool> awaited_{false};  // the thread counts, or is about to
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace chainrule
