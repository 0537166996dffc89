#include "runtime/device_plan.h"

#include <algorithm>
#include <cstring>

namespace chainrule {
namespace {

// Sizes of pieces of one block of memory.
struct Pieces {
  int64_t size = 0;
  int64_t add(int64_t bytes) {
    const int64_t at = size;
    size += (bytes + 255) / 256 * 256;
    return at;
  }
};

bool checksIndices(const std::vector<Step>& steps) {
  return std::any_of(steps.begin(), steps.end(), [](const Step& step) { return step.indexLimit > 0; });
}

}  // namespace

DevicePlan::DevicePlan(OpenDevice& device, const Plan& plan, const std::vector<Constant>& constants)
    : device_(device), plan_(plan) {
  const int64_t steps = int64_t(std::max(plan.body.size(), plan.prologue.size()));
  checksIndices_ = checksIndices(plan.body) || checksIndices(plan.prologue);
  Pieces there;
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
  Pieces here;
  for (const TensorType& type : plan.inputs) stagedInput_.push_back(here.add(type.bytes()));
  for (const TensorType& type : plan.outputs) stagedOutput_.push_back(here.add(type.bytes()));
  stagedControl_ = here.add(sizeof(int64_t));
  stagedFaults_ = here.add(steps * int64_t(sizeof(uint64_t)));
  stagingBytes_ = here.size;
}

// Addresses of all slots. Where one moved, what was recorded with the old one is worthless.
void DevicePlan::bind(std::span<std::byte* const> variables) {
  std::byte* const arena = device_.arena(plan_.arenaBytes);
  bool moved = arena != arena_ || slots_.size() != plan_.slots.size();
  arena_ = arena;
  slots_.resize(plan_.slots.size());
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
    void* const address = base + slot.offset;
    moved |= slots_[i] != address;
    slots_[i] = address;
  }
  if (!moved) return;
  prologue_.reset();
  prologueVersion_.reset();
  for (Side& side : sides_) side.body.reset();
}

DeviceFrame DevicePlan::frameOf(const Side& side, size_t steps, bool prologue) {
  DeviceFrame frame;
  frame.slots = slots_.data();
  frame.rowOffset = reinterpret_cast<const int64_t*>(memory_.data() + controlAt_);
  frame.faults = checksIndices_ ? reinterpret_cast<uint64_t*>(memory_.data() + faultsAt_) : nullptr;
  if (!prologue) {
    frame.uploads.push_back({memory_.data() + controlAt_, staged(side, stagedControl_), sizeof(int64_t)});
    for (size_t i = 0; i < inputAt_.size(); ++i) {
      frame.uploads.push_back({memory_.data() + inputAt_[i], staged(side, stagedInput_[i]), plan_.inputs[i].bytes()});
    }
    for (size_t i = 0; i < outputAt_.size(); ++i) {
      frame.downloads.push_back(
          {staged(side, stagedOutput_[i]), memory_.data() + outputAt_[i], plan_.outputs[i].bytes()});
    }
  }
  if (checksIndices_) {
    frame.downloads.push_back(
        {staged(side, stagedFaults_), memory_.data() + faultsAt_, int64_t(steps * sizeof(uint64_t))});
  }
  return frame;
}

std::optional<DevicePlan::Missing> DevicePlan::firstMissing(const Side& side, const std::vector<Step>& steps,
                                                            bool prologue) const {
  if (!checksIndices_) return std::nullopt;
  const uint64_t* faults = reinterpret_cast<const uint64_t*>(staged(side, stagedFaults_));
  for (size_t i = 0; i < steps.size(); ++i) {
    if (faults[i] == ~uint64_t(0)) continue;
    return Missing{
        {i, int64_t(faults[i] >> 32), int32_t(uint32_t(faults[i])), steps[i].indexLimit, steps[i].indexRowSize},
        prologue,
        side.rowOffset};
  }
  return std::nullopt;
}

std::optional<DevicePlan::Missing> DevicePlan::await(Side& side) {
  if (!side.running) return std::nullopt;
  side.body->wait().orThrow();
  side.running = false;
  return firstMissing(side, plan_.body, false);
}

std::optional<DevicePlan::Missing> DevicePlan::run(const Run& run) {
  // Before the device is locked: a variable's own lock comes first.
  std::vector<std::byte*> variables;
  for (const auto& variable : run.variables) variables.push_back(variable->onDevice(device_));
  const std::lock_guard guard(device_.mutex);
  Device& device = *device_.device;
  Side& side = sides_[next_];
  next_ = 1 - next_;
  if (const auto missing = await(side)) return missing;
  if (!side.staging.data()) side.staging = HostStaging(device_, stagingBytes_);
  bind(variables);
  for (size_t i = 0; i < run.inputs.size(); ++i) {
    std::memcpy(staged(side, stagedInput_[i]), run.inputs[i], size_t(plan_.inputs[i].bytes()));
  }
  std::memcpy(staged(side, stagedControl_), &run.rowOffset, sizeof run.rowOffset);
  side.rowOffset = run.rowOffset;

  if (!plan_.prologue.empty() && prologueVersion_ != run.weightsVersion) {
    if (!prologue_) device.record(plan_.prologue, frameOf(side, plan_.prologue.size(), true), prologue_).orThrow();
    prologue_->run().orThrow();
    prologue_->wait().orThrow();
    if (const auto missing = firstMissing(side, plan_.prologue, true)) return missing;
    prologueVersion_ = run.weightsVersion;
  }
  const DeviceFrame frame = frameOf(side, plan_.body.size(), false);
  if (run.times) {
    device.time(plan_.body, frame, run.times).orThrow();
    device.finish().orThrow();
    return firstMissing(side, plan_.body, false);
  }
  if (!side.body) device.record(plan_.body, frame, side.body).orThrow();
  side.body->run().orThrow();
  side.running = true;
  if (run.detached) return std::nullopt;
  // The other side was asked for earlier, so it is done as well.
  for (Side* each : {&sides_[next_], &side}) {
    if (const auto missing = await(*each)) return missing;
  }
  for (size_t i = 0; i < run.outputs.size(); ++i) {
    std::memcpy(run.outputs[i], staged(side, stagedOutput_[i]), size_t(plan_.outputs[i].bytes()));
  }
  return std::nullopt;
}

}  // namespace chainrule
