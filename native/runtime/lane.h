#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "runtime/machine.h"

namespace chainrule {

// Work for a lane, cut at step boundaries: step() is called until it returns false. Exactly one of the two ends
// happens, on the lane's thread: `done` with the error or nothing.
class Job {
 public:
  virtual ~Job() = default;
  virtual bool usesTeam() = 0;  // asked before each step; may make plans
  virtual bool step(Machine& machine) = 0;

  void cancel() { cancelled_ = true; }
  bool cancelled() const { return cancelled_.load(); }
  std::function<void(std::exception_ptr)> done;

 private:
  std::atomic<bool> cancelled_{false};
};

// The executor of one JavaScript environment: a thread with a queue, its team and its memory. Jobs take turns step by
// step, so a prediction waits one training step, not one epoch.
class Lane {
 public:
  Lane();
  ~Lane();  // stops at the next step boundary and drops what is queued; `done` is not called any more
  void submit(std::shared_ptr<Job> job);
  Machine& machine() { return machine_; }

 private:
  void loop();
  void drain(int size);
  bool wantsTeam();
  std::shared_ptr<Job> front();

  Machine machine_;
  std::unique_ptr<cpu::Team> team_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Job>> queue_;
  std::atomic<int> queued_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// A job of one step that needs no machine: compiling, reading and writing variables.
std::shared_ptr<Job> task(std::function<void()> work);
// Work that shares itself out over the team, if it wants one.
std::shared_ptr<Job> sharedTask(std::function<void(Machine&)> work, bool team);

}  // namespace chainrule
