#include "runtime/device_plan.h"

#include <algorithm>
#include <cstring>

#include "base/pieces.h"

namespace chainrule {
namespace {

bool checksIndices(const std::vector<Step>& steps) {
  return std::any_of(steps.begin(), steps.end(), [](const Step& step) { return step.indexLimit > 0; });
}

}  // namespace

DevicePlan::DevicePlan(OpenDevice& device, const Plan& plan, const std::vector<Constant>& constants)
    : device_(device), plan_(plan) {
  const int64_t steps = int64_t(std::max(plan.body.size(), plan.prologue.size()));
  checksIndices_ = checksIndices(plan.body) || checksIndices(plan.prologue);
  Pieces<256> there;                // in bytes
  there.add(plan.persistentBytes);  // at 0
  for (const Constant& constant : constants) constantAt_.push_back(there.add(int64_t(constant.data.size())));
  for (const TensorType& type : plan.inputs) inputAt_.push_back(there.add(type.bytes()));
  for (const TensorType& type : plan.outputs) outputAt_.push_back(there.add(type.bytes()));
  controlAt_ = there.add(sizeof(int64_t));
  faultsAt_ = there.add(steps * int64_t(sizeof(uint64_t)));
  memory_ = DeviceMemory(device, there.size);
  for (size_t i = 0; i < constants.size(); ++i) {
    device.upload(memory_.data() + constantAt_[i], constants[i].data.data(), int64_t(constants[i].data.size()));
  }
  Pieces<256> here;
  for (const TensorType& type : plan.inputs) stagedInput_.push_back(here.add(type.bytes()));
  for (const TensorType& type : plan.outputs) stagedOutput_.push_back(here.add(type.bytes()));
  stagedControl_ = here.add(sizeof(int64_t));
  stagedFaults_ = here.add(steps * int64_t(sizeof(uint64_t)));
  stagingBytes_ = here.size;
}

// Addresses of all slots. Where one moved, what was recorded with the old one is worthless.
std::optional<DevicePlan::Missing> DevicePlan::bind(std::span<std::byte* const> variables) {
  std::byte* const arena = device_.arena(plan_.arenaBytes);
  std::vector<void*> slots(plan_.slots.size());
  for (size_t i = 0; i < plan_.slots.size(); ++i) {
    const Slot& slot = plan_.slots[i];
    std::byte* base = memory_.data();
    switch (slot.space) {
      case Space::arena:
        base = arena;
        break;
      case Space::persistent:
        break;
      case Space::constant:
        base += constantAt_[slot.index];
        break;
      case Space::variable:
        base = variables[slot.index];
        break;
      case Space::input:
        base += inputAt_[slot.index];
        break;
      case Space::output:
        base += outputAt_[slot.index];
        break;
    }
    slots[i] = base + slot.offset;
  }
  std::optional<Missing> missing;
  if (slots == slots_) return missing;
  slots_.clear();  // should waiting fail, nothing is recorded with old addresses
  prologue_.reset();
  prologueVersion_.reset();
  for (Side& side : sides_) {
    const auto found = await(side);
    if (!missing) missing = found;
    side.body.reset();
  }
  slots_ = std::move(slots);
  return missing;
}

// What the recordings of prologue and body have in common; their faults come back to `faults`.
DeviceFrame DevicePlan::frameOf(const std::vector<Step>& steps, std::byte* faults) {
  DeviceFrame frame;
  frame.slots = slots_;
  frame.rowOffset = reinterpret_cast<const int64_t*>(memory_.data() + controlAt_);
  if (!checksIndices_) return frame;
  frame.faults = reinterpret_cast<uint64_t*>(memory_.data() + faultsAt_);
  frame.downloads.push_back({faults, frame.faults, int64_t(steps.size() * sizeof(uint64_t))});
  return frame;
}

DeviceFrame DevicePlan::bodyFrame(const Side& side) {
  DeviceFrame frame = frameOf(plan_.body, staged(side, stagedFaults_));
  frame.uploads.push_back({memory_.data() + controlAt_, staged(side, stagedControl_), sizeof(int64_t)});
  for (size_t i = 0; i < inputAt_.size(); ++i) {
    frame.uploads.push_back({memory_.data() + inputAt_[i], staged(side, stagedInput_[i]), plan_.inputs[i].bytes()});
  }
  for (size_t i = 0; i < outputAt_.size(); ++i) {
    frame.downloads.push_back(
        {staged(side, stagedOutput_[i]), memory_.data() + outputAt_[i], plan_.outputs[i].bytes()});
  }
  return frame;
}

std::optional<DevicePlan::Missing> DevicePlan::firstMissing(const std::vector<Step>& steps, const std::byte* faults,
                                                            int64_t rowOffset) const {
  if (!checksIndices_) return std::nullopt;
  const uint64_t* words = reinterpret_cast<const uint64_t*>(faults);
  for (size_t i = 0; i < steps.size(); ++i) {
    if (words[i] == ~uint64_t(0)) continue;
    return Missing{
        {i, int64_t(words[i] >> 32), int32_t(uint32_t(words[i])), steps[i].indexLimit, steps[i].indexRowSize},
        &steps == &plan_.prologue,
        rowOffset};
  }
  return std::nullopt;
}

std::optional<DevicePlan::Missing> DevicePlan::await(Side& side) {
  if (!side.running) return std::nullopt;
  side.running = false;
  side.body->wait().orThrow();
  return firstMissing(plan_.body, staged(side, stagedFaults_), side.rowOffset);
}

std::optional<DevicePlan::Missing> DevicePlan::settle() {
  const auto lock = device_.lock();
  std::optional<Missing> missing;
  for (Side* side : {&sides_[next_], &sides_[1 - next_]}) {  // the older run first
    const auto found = await(*side);
    if (!missing) missing = found;
  }
  return missing;
}

std::optional<DevicePlan::Missing> DevicePlan::runPrologue(uint64_t weightsVersion) {
  if (plan_.prologue.empty() || prologueVersion_ == weightsVersion) return std::nullopt;
  if (!prologueFaults_.data())
    prologueFaults_ = HostStaging(device_, int64_t(plan_.prologue.size() * sizeof(uint64_t)));
  if (!prologue_) prologue_ = device_.record(plan_.prologue, frameOf(plan_.prologue, prologueFaults_.data()));
  prologue_->run().orThrow();
  prologue_->wait().orThrow();
  const auto missing = firstMissing(plan_.prologue, prologueFaults_.data(), 0);
  if (!missing) prologueVersion_ = weightsVersion;
  return missing;
}

std::optional<DevicePlan::Missing> DevicePlan::run(const Run& run) {
  // Before the device is locked: a variable's own lock comes first.
  std::vector<std::byte*> variables;
  for (const auto& variable : run.variables) variables.push_back(variable->onDevice(device_));
  const auto lock = run.until ? device_.lockUntil(*run.until) : device_.lock();
  Device& device = *device_.device;
  Side& side = sides_[next_];
  next_ = 1 - next_;
  if (const auto missing = await(side)) {
    settle();  // one error is enough
    return missing;
  }
  if (!side.staging.data()) side.staging = HostStaging(device_, stagingBytes_);
  if (const auto missing = bind(variables)) return missing;
  for (size_t i = 0; i < run.inputs.size(); ++i) {
    std::memcpy(staged(side, stagedInput_[i]), run.inputs[i], size_t(plan_.inputs[i].bytes()));
  }
  std::memcpy(staged(side, stagedControl_), &run.rowOffset, sizeof run.rowOffset);
  side.rowOffset = run.rowOffset;

  if (const auto missing = runPrologue(run.weightsVersion)) return missing;
  if (run.times) {
    device.time(plan_.body, bodyFrame(side), run.times).orThrow();
    device.finish().orThrow();
    return firstMissing(plan_.body, staged(side, stagedFaults_), run.rowOffset);
  }
  if (!side.body) side.body = device_.record(plan_.body, bodyFrame(side));
  side.body->run().orThrow();
  side.running = true;
  if (run.detached) return std::nullopt;
  if (const auto missing = settle()) return missing;
  for (size_t i = 0; i < run.outputs.size(); ++i) {
    std::memcpy(run.outputs[i], staged(side, stagedOutput_[i]), size_t(plan_.outputs[i].bytes()));
  }
  return std::nullopt;
}

}  // namespace chainrule
