#include "runtime/idle.h"

#include <cstdlib>
#include <vector>

namespace chainrule {
namespace {

std::mutex watchesMutex;
std::vector<IdleWatch*>& watches() {
  static auto* const all = new std::vector<IdleWatch*>;
  return *all;
}

}  // namespace

IdleWatch::IdleWatch(Clock::duration patience, std::function<bool()> rest)
    : patience_(patience), rest_(std::move(rest)) {
  const std::lock_guard guard(watchesMutex);
  if (watches().empty()) {
    std::atexit([] {
      const std::lock_guard stopping(watchesMutex);
      for (IdleWatch* watch : watches()) watch->stop();
    });
  }
  watches().push_back(this);
  thread_ = std::thread([this] { loop(); });
}

void IdleWatch::touch() {
  touched_.store(Clock::now(), std::memory_order_relaxed);
  if (awaited_.exchange(true)) return;
  const std::lock_guard guard(mutex_);
  wake_.notify_one();
}

void IdleWatch::loop() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    wake_.wait(lock, [this] { return stopping_ || awaited_.load(); });
    Clock::time_point due;
    while (!stopping_ && Clock::now() < (due = touched_.load(std::memory_order_relaxed) + patience_)) {
      wake_.wait_until(lock, due);
    }
    if (stopping_) return;
    awaited_ = false;
    lock.unlock();
    if (!rest_()) touch();
    lock.lock();
  }
}

void IdleWatch::stop() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

}  // namespace chainrule
