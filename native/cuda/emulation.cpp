#include "cuda/emulation.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "base/error.h"

namespace chainrule::cuda::emulation {

Index gridDim, blockDim, blockIdx, threadIdx;

namespace {

constexpr size_t kStack = 1 << 17;
constexpr size_t kSharedBytes = 228 << 10;  // of an sm_90
constexpr uint32_t kWarp = 32;

struct Fiber {
  ucontext_t context;
  void* stack = nullptr;
  uint32_t thread = 0;
};

// One block at a time. A fiber that ends without waiting takes the next thread, so kernels without barriers need one.
class Block {
 public:
  void run(const char* name, Call call, void (*body)(), void** arguments) {
    call_ = call;
    body_ = body;
    arguments_ = arguments;
    size_ = blockDim.x * blockDim.y * blockDim.z;
    started_ = ended_ = 0;
    waiting_.clear();
    warps_.assign((size_ + kWarp - 1) / kWarp, {});
    // What nobody wrote reads as NaN, in every block anew.
    std::memset(shared_.get(), 0xFF, std::min(sharedBytes, kSharedBytes));
    while (ended_ < size_) {
      Fiber* fiber = next();
      if (!fiber) fail("INTERNAL", "kernel ", name, ": threads wait at a barrier that others do not reach");
      resume(*fiber);
    }
  }

  void waitForBlock() {
    waiting_.push_back(current_);
    if (waiting_.size() == size_ - ended_) {
      ready_.insert(ready_.end(), waiting_.begin(), waiting_.end());
      waiting_.clear();
    }
    yield();
  }

  void waitForWarp() {
    Warp& warp = warps_[current_->thread / kWarp];
    warp.waiting.push_back(current_);
    if (warp.waiting.size() == std::min(kWarp, size_ - current_->thread / kWarp * kWarp)) {
      ready_.insert(ready_.begin(), warp.waiting.begin(), warp.waiting.end());
      warp.waiting.clear();
    }
    yield();
  }

  const uint64_t* exchangeAll(uint64_t value) {
    Warp& warp = warps_[current_->thread / kWarp];
    warp.values[current_->thread % kWarp] = value;
    waitForWarp();
    return warp.values;
  }
  uint64_t exchange(uint64_t value, int lane) {
    const uint64_t result = exchangeAll(value)[lane % int(kWarp)];
    waitForWarp();
    return result;
  }

  void* shared() const { return shared_.get(); }
  size_t sharedBytes = 0;

 private:
  struct Warp {
    std::vector<Fiber*> waiting;
    uint64_t values[kWarp] = {};
  };

  Fiber* next() {
    if (!ready_.empty()) {
      Fiber* fiber = ready_.front();
      ready_.pop_front();
      return fiber;
    }
    if (started_ == size_) return nullptr;
    if (idle_.empty()) {
      auto fiber = std::make_unique<Fiber>();
      fiber->stack = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (fiber->stack == MAP_FAILED) fail("OOM", "no memory for the stacks of an emulated block");
      idle_.push_back(fiber.get());
      all_.push_back(std::move(fiber));
    }
    Fiber* fiber = idle_.back();
    idle_.pop_back();
    getcontext(&fiber->context);
    fiber->context.uc_stack = {fiber->stack, 0, kStack};
    fiber->context.uc_link = &main_;
    makecontext(&fiber->context, &Block::enter, 0);
    fiber->thread = started_++;
    return fiber;
  }

  void resume(Fiber& fiber) {
    current_ = &fiber;
    setThread(fiber.thread);
    swapcontext(&main_, &fiber.context);
  }

  void yield() {
    Fiber* own = current_;
    swapcontext(&own->context, &main_);
  }

  static void setThread(uint32_t thread) {
    threadIdx = {thread % blockDim.x, thread / blockDim.x % blockDim.y, thread / (blockDim.x * blockDim.y)};
  }

  static void enter();

  Call call_ = nullptr;
  void (*body_)() = nullptr;
  void** arguments_ = nullptr;
  uint32_t size_ = 0, started_ = 0, ended_ = 0;
  std::vector<std::unique_ptr<Fiber>> all_;
  std::vector<Fiber*> idle_, waiting_;
  std::deque<Fiber*> ready_;
  std::vector<Warp> warps_;
  Fiber* current_ = nullptr;
  ucontext_t main_;
  std::unique_ptr<std::max_align_t[]> shared_ =
      std::make_unique<std::max_align_t[]>(kSharedBytes / sizeof(std::max_align_t));
};

Block& block() {
  static auto* const instance = new Block;  // device calls come from one thread at a time
  return *instance;
}

void Block::enter() {
  Block& self = block();
  for (;;) {
    self.call_(self.body_, self.arguments_);
    ++self.ended_;
    // Others wait for a barrier that this thread has left for good: all that are still there suffice.
    if (!self.waiting_.empty() && self.waiting_.size() == self.size_ - self.ended_) {
      self.ready_.insert(self.ready_.end(), self.waiting_.begin(), self.waiting_.end());
      self.waiting_.clear();
    }
    if (self.started_ == self.size_) break;
    self.current_->thread = self.started_++;
    setThread(self.current_->thread);
  }
  self.idle_.push_back(self.current_);
}

}  // namespace

void syncBlock() { block().waitForBlock(); }
void syncWarp() { block().waitForWarp(); }
uint64_t exchange(uint64_t value, int lane) { return block().exchange(value, lane); }
const uint64_t* exchangeAll(uint64_t value) { return block().exchangeAll(value); }
void* dynamicShared() { return block().shared(); }

void runGrid(const char* name, Call call, void (*body)(), void** arguments, Index grid, Index blockSize,
             size_t sharedBytes) {
  gridDim = grid;
  blockDim = blockSize;
  block().sharedBytes = sharedBytes;
  for (uint32_t z = 0; z < grid.z; ++z) {
    for (uint32_t y = 0; y < grid.y; ++y) {
      for (uint32_t x = 0; x < grid.x; ++x) {
        blockIdx = {x, y, z};
        block().run(name, call, body, arguments);
      }
    }
  }
}

}  // namespace chainrule::cuda::emulation
