#pragma once

#include <vector>

#include "base/buffer.h"
#include "cpu/barrier.h"
#include "cpu/team.h"
#include "plan/plan.h"

namespace chainrule {

// What all steps of one walk share.
struct Frame {
  void* const* slots = nullptr;
  int64_t rowOffset = 0;
  Fault* fault = nullptr;
  double* times = nullptr;  // the least nanoseconds by step so far, for the profile
};

// Runs lists of steps: owns the arena and the scratch of its members. One per lane and one per JavaScript thread.
class Machine {
 public:
  // Memory for a plan; grows, never shrinks. Pointers change when it grows.
  std::byte* arena(int64_t bytes);
  void reserveScratch(int64_t bytesPerMember);
  // Memory for one batch of an epoch's rows and outputs: valid until the next step, so all jobs of a lane share it.
  std::byte* staging(int64_t bytes);

  // Member 0 of a team enters and walks; the others, each on a thread of its own, follow until it says leave(). Between
  // rest() and the next enter() it walks alone, and they wait.
  void enter(cpu::Barrier& team);
  void follow(cpu::Barrier& team, int member);
  void rest() { team_ = nullptr; }
  void leave();
  int members() const { return team_ ? team_->size() : 1; }

  void walk(const std::vector<Step>& steps, const Frame& frame);

  // Every member runs `part` once; all are done on return. It must not throw.
  using Part = cpu::FunctionRef<void(int member)>;
  void share(Part part);
  // Large pieces are copied by all members.
  void copy(void* to, const void* from, int64_t bytes);
  static constexpr int64_t kCopiedByAll = 1 << 20;  // bytes

 private:
  void walkAs(const std::vector<Step>& steps, const Frame& frame, int member);

  std::byte* scratchOf(int member) const;

  Buffer arena_, staging_, scratch_;
  int64_t scratchBytes_ = 0;  // of each member
  cpu::Barrier* team_ = nullptr;
  const Part* part_ = nullptr;  // null tells the followers to go
};

}  // namespace chainrule
