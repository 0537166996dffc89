#pragma once

#include "cuda/island.h"
#include "cuda/queue.h"

namespace chainrule::cuda {

// Gives all on to a queue in order, but small elementwise programs that follow each other as one launch: a step of
// training has many over a few numbers (metrics, the optimizer's step count), and a launch costs more than they do.
class JoiningQueue : public Queue {
 public:
  explicit JoiningQueue(Queue& to) : to_(to) {}
  int64_t mostShared() const override { return to_.mostShared(); }
  CuStream stream() override {
    flush();
    return to_.stream();
  }
  void flush();  // once after the last

  void copy(void* to, const void* from, int64_t bytes) override {
    flush();
    to_.copy(to, from, bytes);
  }
  void fill(void* memory, uint32_t word, int64_t words) override {
    flush();
    to_.fill(memory, word, words);
  }
  void upload(void* to, const void* from, int64_t bytes) override {
    flush();
    to_.upload(to, from, bytes);
  }
  void download(void* to, const void* from, int64_t bytes) override {
    flush();
    to_.download(to, from, bytes);
  }

 private:
  void start(const char* name, emulation::Call call, void (*body)(), void** arguments, const LaunchSize& size) override;

  Queue& to_;
  SeveralDeviceIslands waiting_ = {};
  LaunchSize first_;  // of the first that waits
  int64_t sharedBytes_ = 0;
};

}  // namespace chainrule::cuda
