#include "runtime/machine.h"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace chainrule {
namespace {

double now() {
  return double(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

constexpr size_t kHugePage = 1 << 21, kHugeFrom = 1 << 18;

void meetTeam(void* team) { static_cast<cpu::Barrier*>(team)->wait(); }

}  // namespace

std::byte* Machine::arena(int64_t bytes) {
  if (size_t(bytes) > arena_.size()) {
    arena_ = Buffer();  // first give back, then ask: both together may not fit
    arena_ = Buffer(size_t(bytes));
  }
  return arena_.data();
}

std::byte* Machine::staging(int64_t bytes) {
  if (size_t(bytes) > staging_.size()) {
    staging_ = Buffer();
    staging_ = Buffer(size_t(bytes));
  }
  return staging_.data();
}

void Machine::reserveScratch(int64_t bytesPerMember) {
  scratchBytes_ = std::max(scratchBytes_, (bytesPerMember + 63) / 64 * 64);
  const size_t needed = size_t(scratchBytes_) * size_t(members());
  // Blocks of a matrix are read from here over and over: one huge page spares them misses of the TLB.
  const size_t whole = needed < kHugeFrom ? needed : (needed + kHugePage - 1) / kHugePage * kHugePage;
  if (scratch_.size() < needed) scratch_ = Buffer(whole);
}

std::byte* Machine::scratchOf(int member) const {
  return scratch_.size() == 0 ? nullptr : scratch_.data() + member * scratchBytes_;
}

void Machine::enter(cpu::Barrier& team) { team_ = &team; }

void Machine::follow(cpu::Barrier& team, int member) {
  for (;;) {
    team.wait();
    if (!part_) return;
    (*part_)(member);
    team.wait();
  }
}

void Machine::leave() {
  part_ = nullptr;
  team_->wait();
  team_ = nullptr;
}

void Machine::share(Part part) {
  if (members() == 1) return part(0);
  part_ = &part;
  team_->wait();
  part(0);
  team_->wait();
}

void Machine::copy(void* to, const void* from, int64_t bytes) {
  if (bytes < kCopiedByAll) {
    std::memcpy(to, from, size_t(bytes));
    return;
  }
  share([&](int member) {
    const cpu::Range part = cpu::partOf(bytes, 64, member, members());
    std::memcpy(static_cast<std::byte*>(to) + part.begin, static_cast<const std::byte*>(from) + part.begin,
                size_t(part.end - part.begin));
  });
}

void Machine::walk(const std::vector<Step>& steps, const Frame& frame) {
  const bool together =
      members() > 1 && std::any_of(steps.begin(), steps.end(), [](const Step& step) { return step.parallel; });
  if (together) return share([&](int member) { walkAs(steps, frame, member); });
  StepArgs args;
  args.slots = frame.slots;
  args.own = scratchOf(0);
  args.fault = frame.fault;
  args.rowOffset = frame.rowOffset;
  for (size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    const double start = frame.times ? now() : 0;
    args.step = i;
    args.operands = step.operands.data();
    args.inputs = step.inputs;
    args.shared = static_cast<std::byte*>(frame.slots[step.sharedScratch]);
    step.launch(args);
    if (frame.times) frame.times[i] = std::min(frame.times[i], now() - start);
  }
}

// Members meet before and after every step that more than one of them works on.
void Machine::walkAs(const std::vector<Step>& steps, const Frame& frame, int member) {
  StepArgs args;
  args.slots = frame.slots;
  args.own = scratchOf(member);
  args.fault = frame.fault;
  args.rowOffset = frame.rowOffset;
  args.team = team_;
  args.meet = meetTeam;
  bool open = false;  // the last step was parallel and nobody has met since
  for (size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    if (open || (step.parallel && i > 0)) team_->wait();
    open = step.parallel;
    if (!step.parallel && member != 0) continue;
    const double start = frame.times && member == 0 ? now() : 0;
    args.step = i;
    args.operands = step.operands.data();
    args.inputs = step.inputs;
    args.shared = static_cast<std::byte*>(frame.slots[step.sharedScratch]);
    args.member = step.parallel ? member : 0;
    args.members = step.parallel ? team_->size() : 1;
    step.launch(args);
    if (frame.times && member == 0) frame.times[i] = std::min(frame.times[i], now() - start);
  }
}

}  // namespace chainrule
