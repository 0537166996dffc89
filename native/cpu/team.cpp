#include "cpu/team.h"

#include <algorithm>

#if !defined(CHAINRULE_TEAM_STDTHREAD)
#include <omp.h>
#else
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>
#endif

#include "cpu/float_mode.h"

namespace chainrule::cpu {

#if !defined(CHAINRULE_TEAM_STDTHREAD)

struct Team::Body {
  explicit Body(int size) : barrier(size) {}
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
  explicit Body(int size) : barrier(size) {
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

Team::Team(int size) : size_(possible(size)), body_(new Body(size_)) {}
Team::~Team() = default;

Barrier& Team::barrier() { return body_->barrier; }

}  // namespace chainrule::cpu
