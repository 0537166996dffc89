#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "cpu/barrier.h"

namespace chainrule::cpu {

template <typename Signature>
class FunctionRef;

// A borrowed callable: two words, no allocation. The callable must outlive the call.
template <typename Result, typename... Args>
class FunctionRef<Result(Args...)> {
 public:
  template <typename F, typename = std::enable_if_t<!std::is_same_v<std::decay_t<F>, FunctionRef>>>
  FunctionRef(F&& callable)
      : object_(const_cast<void*>(static_cast<const void*>(&callable))),
        call_([](void* object, Args... args) -> Result {
          return (*static_cast<std::remove_reference_t<F>*>(object))(std::forward<Args>(args)...);
        }) {}
  Result operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }

 private:
  void* object_;
  Result (*call_)(void*, Args...);
};

// The threads of one lane. run() enters one parallel region, in which `size` members (0 is the calling thread) execute
// `body` and meet at barrier(). Only one run() at a time. Size 1 calls `body` directly. `body` must not throw.
// Denormals are flushed in every member while it runs (float_mode.h).
class Team {
 public:
  explicit Team(int size);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return size_; }
  void run(FunctionRef<void(int member)> body);
  // Where every member waits, in the same order.
  Barrier& barrier();

 private:
  struct Body;
  int size_;
  std::unique_ptr<Body> body_;
};

// The part of [0, count) that belongs to `member` of `size`, cut at multiples of `grain`. Equal parts to within one
// grain.
struct Range {
  int64_t begin = 0, end = 0;
};
constexpr Range partOf(int64_t count, int64_t grain, int member, int size) {
  const int64_t grains = (count + grain - 1) / grain;
  const int64_t begin = grains * member / size * grain, end = grains * (member + 1) / size * grain;
  return {begin < count ? begin : count, end < count ? end : count};
}

}  // namespace chainrule::cpu
