#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "plan/device.h"

namespace chainrule::cuda {

// Blocks of memory whose source is slow and makes the whole device wait. Small ones (up to 1 MiB) are cut from pieces
// of 2 MiB, the smallest that fits first, and grow together again; a large one is a piece of its own and serves again
// what is about as large. The device may still work with a block that was given back, in another order than it is asked
// again: such blocks rest until it has done all it was asked, which an allocation waits for only where it needs them.
// One call at a time.
class MemoryPool {
 public:
  struct Source {
    std::string name;  // of the memory, for messages: "cuda:0"
    std::function<Outcome(int64_t bytes, void*& memory)> take;
    std::function<void(void* memory)> give;
    std::function<void()> settle;  // waits for all that the device was asked
    bool pools = true;  // else every block comes from the source, exactly as large as asked, and goes back at once
  };
  explicit MemoryPool(Source source) : source_(std::move(source)) {}

  Outcome allocate(int64_t bytes, void*& memory);
  void release(void* memory);
  void trim();                                   // gives back the pieces that nobody uses
  void limit(int64_t bytes) { limit_ = bytes; }  // of all pieces; 0: none

  int64_t usedBytes() const { return used_; }
  int64_t heldBytes() const { return held_; }

 private:
  enum class State { used, resting, free };
  struct Block {
    int64_t bytes = 0;
    std::byte* piece = nullptr;
    State state = State::free;
  };
  using Blocks = std::map<std::byte*, Block>;

  std::byte* takeFree(int64_t bytes);
  Outcome grow(int64_t bytes);
  Outcome takePiece(int64_t bytes, int64_t asked);
  void free(Blocks::iterator block);
  void wakeResting();
  void givePiece(std::byte* piece);
  std::string askedText(int64_t bytes) const;

  const Source source_;
  Blocks blocks_;                                  // all of all pieces, by address
  std::map<std::byte*, int64_t> pieces_;           // bytes by address
  std::set<std::pair<int64_t, std::byte*>> free_;  // by size
  bool resting_ = false;                           // some block rests
  int64_t used_ = 0, held_ = 0, limit_ = 0;
};

}  // namespace chainrule::cuda
