#include "runtime/lane.h"

#include <chrono>
#include <utility>

#include "base/error.h"
#include "runtime/cores.h"

namespace chainrule {
namespace {

class Task : public Job {
 public:
  Task(std::function<void(Machine&)> work, bool team) : work_(std::move(work)), team_(team) {}
  bool usesTeam() override { return team_; }
  bool step(Machine& machine) override {
    work_(machine);
    return false;
  }

 private:
  std::function<void(Machine&)> work_;
  bool team_;
};

// How long a lane polls for its next job before it lets its team sleep: JavaScript answers within this time when it is
// idle.
constexpr auto kLinger = std::chrono::microseconds(150);

}  // namespace

std::shared_ptr<Job> task(std::function<void()> work) {
  return sharedTask([work = std::move(work)](Machine&) { work(); }, false);
}
std::shared_ptr<Job> sharedTask(std::function<void(Machine&)> work, bool team) {
  return std::make_shared<Task>(std::move(work), team);
}

Lane::Lane() : thread_([this] { loop(); }) {}

Lane::~Lane() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
  for (const auto& job : queue_) job->done = nullptr;  // it holds the job
}

void Lane::submit(std::shared_ptr<Job> job) {
  {
    const std::lock_guard guard(mutex_);
    queue_.push_back(std::move(job));
    ++queued_;
  }
  wake_.notify_one();
}

std::shared_ptr<Job> Lane::front() {
  const std::lock_guard guard(mutex_);
  return queue_.empty() ? nullptr : queue_.front();
}

bool Lane::wantsTeam() {
  const std::lock_guard guard(mutex_);
  for (const auto& job : queue_) {
    try {
      if (job->usesTeam()) return true;
    } catch (...) {
      // The job's own step throws again, where it is reported.
    }
  }
  return false;
}

void Lane::loop() {
  CoreArbiter& cores = CoreArbiter::instance();
  while (!stopping_) {
    {
      std::unique_lock lock(mutex_);
      if (queue_.empty()) {
        lock.unlock();
        cores.release(this);
        lock.lock();
      }
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) break;
    }
    const int size = cores.lease(this, wantsTeam() ? threadLimit().threads : 1);
    if (size == 1) {
      cpu::Team(1).run([this](int) { drain(1); });
      continue;
    }
    if (!team_ || team_->size() != size) team_ = std::make_unique<cpu::Team>(size);
    team_->run([this, size](int member) {
      if (member != 0) {
        machine_.follow(team_->barrier(), member);
        return;
      }
      machine_.enter(team_->barrier());
      drain(size);
      machine_.leave();
    });
  }
  cores.release(this);
}

// Steps the queued jobs in turn until nothing is queued, or this lane should have another number of cores.
void Lane::drain(int size) {
  CoreArbiter& cores = CoreArbiter::instance();
  uint64_t generation = cores.generation();
  bool first = true;
  while (!stopping_) {
    std::shared_ptr<Job> job = front();
    if (!job) {
      const auto until = std::chrono::steady_clock::now() + kLinger;
      while (queued_.load() == 0 && std::chrono::steady_clock::now() < until) {
        __builtin_ia32_pause();
      }
      if (queued_.load() == 0) return;
      continue;
    }
    if (!first) {
      const bool team = wantsTeam();
      if (team != (size > 1) && threadLimit().threads > 1 && (size > 1 || cores.lease(this, threadLimit().threads) > 1))
        return;
      if (cores.generation() != generation) {
        generation = cores.generation();
        if (cores.lease(this, team ? threadLimit().threads : 1) != size) return;
      }
    }
    first = false;
    bool more = false;
    std::exception_ptr error;
    try {
      if (job->cancelled()) fail("ABORTED", "the job was aborted");
      more = job->step(machine_);
    } catch (...) {
      error = std::current_exception();
    }
    {
      const std::lock_guard guard(mutex_);
      queue_.pop_front();
      if (more) {
        queue_.push_back(job);
      } else {
        --queued_;
      }
    }
    if (more) continue;
    // Taken out of the job, because it holds the job: left inside, neither would ever be freed.
    const auto done = std::exchange(job->done, nullptr);
    if (done && !stopping_) done(error);
  }
}

}  // namespace chainrule
