#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "plan/plan.h"
#include "runtime/devices.h"
#include "runtime/variable.h"

namespace chainrule {

// A plan on a device: its memory there and the recording of its steps. One call of the device does a whole step: the
// batch goes over, everything is computed, results come back.
class DevicePlan {
 public:
  DevicePlan(OpenDevice& device, const Plan& plan, const std::vector<Constant>& constants);

  struct Run {
    std::span<const std::shared_ptr<Variable>> variables;
    std::span<const void* const> inputs;
    std::span<void* const> outputs;
    bool detached = false;  // nobody wants the outputs: the run need not be complete on return
    // On a JavaScript thread: when to give up waiting for the device.
    std::optional<std::chrono::steady_clock::time_point> until;
    int64_t rowOffset = 0;
    uint64_t weightsVersion = 0;
    double* times = nullptr;  // see Frame
  };
  // The first index that was out of range in this run or in one before it that nobody waited for.
  struct Missing {
    Fault::Place place;
    bool prologue = false;
    int64_t rowOffset = 0;
  };
  std::optional<Missing> run(const Run& run);
  // Waits for detached runs; what was missing in the first of them that missed something.
  std::optional<Missing> settle();
  void keepPrologue(uint64_t weightsVersion) { prologueVersion_ = weightsVersion; }

 private:
  // Two, so that the host fills one while the device works on the other.
  struct Side {
    HostStaging staging;
    OpenDevice::Recorded body;
    bool running = false;
    int64_t rowOffset = 0;
  };
  std::optional<Missing> bind(std::span<std::byte* const> variables);  // of a run before
  DeviceFrame frameOf(const std::vector<Step>& steps, std::byte* faults);
  DeviceFrame bodyFrame(const Side& side);
  std::optional<Missing> runPrologue(uint64_t weightsVersion);
  std::optional<Missing> await(Side& side);
  std::optional<Missing> firstMissing(const std::vector<Step>& steps, const std::byte* faults, int64_t rowOffset) const;
  std::byte* staged(const Side& side, int64_t offset) const { return side.staging.data() + offset; }

  OpenDevice& device_;
  const Plan& plan_;
  DeviceMemory memory_;  // persistent memory, constants, inputs, outputs, row offset and faults
  std::vector<int64_t> constantAt_, inputAt_, outputAt_;
  int64_t controlAt_ = 0, faultsAt_ = 0;
  // In the staging: inputs, then the row offset; outputs, then the faults.
  std::vector<int64_t> stagedInput_, stagedOutput_;
  int64_t stagedControl_ = 0, stagedFaults_ = 0, stagingBytes_ = 0;
  bool checksIndices_ = false;
  std::vector<void*> slots_;
  OpenDevice::Recorded prologue_;
  HostStaging prologueFaults_;
  std::optional<uint64_t> prologueVersion_;
  Side sides_[2];
  int next_ = 0;
};

}  // namespace chainrule
