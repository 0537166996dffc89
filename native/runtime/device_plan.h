#pragma once

#include <chrono>
#include <functional>
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

  // Writes the inputs to where the pointers say.
  using Fill = std::function<void(std::span<std::byte* const> to)>;
  // Inputs that are rows of columns on the device: `batch` row numbers.
  struct Rows {
    std::span<const std::byte* const> columns;
    std::span<const int32_t> numbers;
  };
  struct Run {
    std::span<const std::shared_ptr<Variable>> variables;
    const Fill* fill = nullptr;  // one of these two
    const Rows* rows = nullptr;
    std::span<void* const> outputs;  // empty: nobody wants them, as of a detached run
    bool detached = false;           // the run need not be complete on return
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
  // Two, so that the host fills one, and its inputs go over, while the device works on the other.
  struct Side {
    HostStaging staging, stagedInputs;
    DeviceMemory inputs;
    OpenDevice::Transfers transfer;
    OpenDevice::Recorded body, bodyOfRows;  // inputs from the host, or gathered from columns
    Recording* running = nullptr;
    int64_t rowOffset = 0;
  };
  std::optional<Missing> bind(std::span<std::byte* const> variables);  // of a run before
  DeviceFrame frameOf(const Side& side, const std::vector<Step>& steps, std::byte* faults);
  DeviceFrame bodyFrame(const Side& side, bool ofRows);
  void prepare(Side& side, const Run& run);
  void stage(Side& side, const Run& run);
  std::optional<Missing> runPrologue(const Side& side, uint64_t weightsVersion);
  std::optional<Missing> await(Side& side);
  std::vector<DeviceCopy> inputCopies(const Side& side) const;
  std::optional<Missing> firstMissing(const std::vector<Step>& steps, const std::byte* faults, int64_t rowOffset) const;
  std::byte* staged(const Side& side, int64_t offset) const { return side.staging.data() + offset; }

  OpenDevice& device_;
  const Plan& plan_;
  DeviceMemory memory_;  // persistent memory, constants, outputs, control and faults
  std::vector<int64_t> constantAt_, outputAt_;
  std::vector<int64_t> inputAt_;  // in a side's inputs, there and here
  int64_t inputBytes_ = 0;
  // What changes from run to run: the row offset, where the columns lie, the numbers of the rows.
  int64_t controlAt_ = 0, controlBytes_ = 0, faultsAt_ = 0;
  int64_t columnsInControl_ = 0, rowsInControl_ = 0;
  // In the staging: control, outputs, faults.
  std::vector<int64_t> stagedOutput_;
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
