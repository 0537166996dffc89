#include "runtime/device_plan.h"

#include <algorithm>
#include <cstring>

#include "base/pieces.h"

namespace chainrule {
namespace {

constexpr int64_t kBeside = 256 << 10;  // bytes of inputs from which they go over beside the steps, not as one of them

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
  for (const TensorType& type : plan.outputs) outputAt_.push_back(there.add(type.bytes()));
  Pieces<8> control;
  control.add(sizeof(int64_t));
  columnsInControl_ = control.add(int64_t(plan.inputs.size() * sizeof(void*)));
  rowsInControl_ = control.add(plan.batch * int64_t(sizeof(int32_t)));
  controlBytes_ = control.size;
  controlAt_ = there.add(controlBytes_);
  faultsAt_ = there.add(steps * int64_t(sizeof(uint64_t)));
  memory_ = DeviceMemory(device, there.size);
  for (size_t i = 0; i < constants.size(); ++i) {
    device.upload(memory_.data() + constantAt_[i], constants[i].data.data(), int64_t(constants[i].data.size()));
  }
  Pieces<256> inputs;
  for (const TensorType& type : plan.inputs) inputAt_.push_back(inputs.add(type.bytes()));
  inputBytes_ = inputs.size;
  Pieces<256> here;
  for (const TensorType& type : plan.outputs) stagedOutput_.push_back(here.add(type.bytes()));
  stagedControl_ = here.add(controlBytes_);
  stagedFaults_ = here.add(steps * int64_t(sizeof(uint64_t)));
  stagingBytes_ = here.size;
}

// Addresses of all slots but those of the inputs, which each side has for itself. Where one moved, what was recorded
// with the old one is worthless.
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
        continue;
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
    side.bodyOfRows.reset();
  }
  slots_ = std::move(slots);
  return missing;
}

// What the recordings of prologue and body have in common; their faults come back to `faults`.
DeviceFrame DevicePlan::frameOf(const Side& side, const std::vector<Step>& steps, std::byte* faults) {
  DeviceFrame frame;
  frame.slots = slots_;
  for (size_t i = 0; i < plan_.slots.size(); ++i) {
    const Slot& slot = plan_.slots[i];
    frame.slotBytes.push_back(slot.bytes);
    if (slot.space == Space::input) frame.slots[i] = side.inputs.data() + inputAt_[slot.index] + slot.offset;
  }
  frame.rowOffset = reinterpret_cast<const int64_t*>(memory_.data() + controlAt_);
  if (!checksIndices_) return frame;
  frame.faults = reinterpret_cast<uint64_t*>(memory_.data() + faultsAt_);
  frame.downloads.push_back({faults, frame.faults, int64_t(steps.size() * sizeof(uint64_t))});
  return frame;
}

DeviceFrame DevicePlan::bodyFrame(const Side& side, bool ofRows) {
  DeviceFrame frame = frameOf(side, plan_.body, staged(side, stagedFaults_));
  std::byte* const control = memory_.data() + controlAt_;
  frame.uploads.push_back({control, staged(side, stagedControl_), ofRows ? controlBytes_ : int64_t(sizeof(int64_t))});
  if (ofRows) {
    const auto columns = reinterpret_cast<const void* const*>(control + columnsInControl_);
    const auto rows = reinterpret_cast<const int32_t*>(control + rowsInControl_);
    for (size_t i = 0; i < inputAt_.size(); ++i) {
      frame.rows.push_back(
          {side.inputs.data() + inputAt_[i], columns + i, rows, plan_.inputs[i].bytes() / plan_.batch, plan_.batch});
    }
  } else if (inputBytes_ < kBeside) {
    for (const DeviceCopy& copy : inputCopies(side)) frame.uploads.push_back(copy);
  }
  for (size_t i = 0; i < outputAt_.size(); ++i) {
    frame.downloads.push_back(
        {staged(side, stagedOutput_[i]), memory_.data() + outputAt_[i], plan_.outputs[i].bytes()});
  }
  return frame;
}

std::vector<DeviceCopy> DevicePlan::inputCopies(const Side& side) const {
  std::vector<DeviceCopy> copies;
  for (size_t i = 0; i < inputAt_.size(); ++i) {
    copies.push_back(
        {side.inputs.data() + inputAt_[i], side.stagedInputs.data() + inputAt_[i], plan_.inputs[i].bytes()});
  }
  return copies;
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
  std::exchange(side.running, nullptr)->wait().orThrow();
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

std::optional<DevicePlan::Missing> DevicePlan::runPrologue(const Side& side, uint64_t weightsVersion) {
  if (plan_.prologue.empty() || prologueVersion_ == weightsVersion) return std::nullopt;
  if (!prologueFaults_.data())
    prologueFaults_ = HostStaging(device_, int64_t(plan_.prologue.size() * sizeof(uint64_t)));
  if (!prologue_) prologue_ = device_.record(plan_.prologue, frameOf(side, plan_.prologue, prologueFaults_.data()));
  prologue_->run(nullptr).orThrow();
  prologue_->wait().orThrow();
  const auto missing = firstMissing(plan_.prologue, prologueFaults_.data(), 0);
  if (!missing) prologueVersion_ = weightsVersion;
  return missing;
}

// Memory of a side, as far as the run needs it.
void DevicePlan::prepare(Side& side, const Run& run) {
  if (!side.staging.data()) side.staging = HostStaging(device_, stagingBytes_);
  if (!side.inputs.data()) {
    side.inputs = DeviceMemory(device_, std::max<int64_t>(inputBytes_, 1));
    // Whoever had that memory before may still work on it, and transfers don't wait for steps.
    device_.device->finish().orThrow();
  }
  if (!run.fill) return;
  if (!side.stagedInputs.data()) side.stagedInputs = HostStaging(device_, std::max<int64_t>(inputBytes_, 1));
  if (!side.transfer && inputBytes_ >= kBeside) side.transfer = device_.transfer();
}

// What the host gives to a run; inputs that take long are on their way on return.
void DevicePlan::stage(Side& side, const Run& run) {
  std::byte* const control = staged(side, stagedControl_);
  std::memcpy(control, &run.rowOffset, sizeof run.rowOffset);
  side.rowOffset = run.rowOffset;
  if (run.rows) {
    std::memcpy(control + columnsInControl_, run.rows->columns.data(), run.rows->columns.size_bytes());
    std::memcpy(control + rowsInControl_, run.rows->numbers.data(), run.rows->numbers.size_bytes());
    return;
  }
  std::vector<std::byte*> to;
  for (const int64_t at : inputAt_) to.push_back(side.stagedInputs.data() + at);
  (*run.fill)(to);
  if (side.transfer) side.transfer->send(inputCopies(side)).orThrow();
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
  prepare(side, run);
  if (const auto missing = bind(variables)) return missing;
  stage(side, run);
  if (const auto missing = runPrologue(side, run.weightsVersion)) return missing;
  Transfer* const sent = run.rows ? nullptr : side.transfer.get();
  if (run.times) {
    if (sent) sent->wait().orThrow();
    device.time(plan_.body, bodyFrame(side, run.rows), run.times).orThrow();
    device.finish().orThrow();
    return firstMissing(plan_.body, staged(side, stagedFaults_), run.rowOffset);
  }
  OpenDevice::Recorded& body = run.rows ? side.bodyOfRows : side.body;
  if (!body) body = device_.record(plan_.body, bodyFrame(side, run.rows));
  body->run(sent).orThrow();
  side.running = body.get();
  if (run.detached) return std::nullopt;
  const auto missing = settle();
  for (size_t i = 0; i < run.outputs.size(); ++i) {
    std::memcpy(run.outputs[i], staged(side, stagedOutput_[i]), size_t(plan_.outputs[i].bytes()));
  }
  next_ = int(&side - sides_);  // runs that are waited for need one side only
  return missing;
}

}  // namespace chainrule
