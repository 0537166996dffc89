#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>

#include "passes/passes.h"
#include "runtime/crew.h"
#include "runtime/device_plan.h"
#include "runtime/floor.h"
#include "runtime/machine.h"
#include "runtime/variable.h"

namespace chainrule {

struct ArrayRef {
  const void* data = nullptr;
  DType dtype = DType::f32;
  Dims dims;
};

// A traced computation, ready to run for any batch size. Plans are made on demand and kept (the least recently used
// goes first).
class Program {
 public:
  // device null: the CPU.
  Program(Graph graph, std::vector<std::shared_ptr<Variable>> variables, OpenDevice* device = nullptr);

  const Graph& graph() const { return source_; }
  OpenDevice* device() const { return device_; }  // null: the CPU
  std::string deviceId() const { return device_ ? device_->device->description().id : "cpu"; }
  bool updates() const { return !source_.commits.empty(); }

  // The batch size of these inputs; throws Error naming the input and both shapes if they don't fit.
  int64_t batchOf(std::span<const ArrayRef> inputs) const;
  // Throws naming input, row and column of the first NaN or infinity.
  void expectFinite(std::span<const ArrayRef> inputs, Machine& machine) const;
  std::vector<TensorType> outputTypes(int64_t batch) const;

  // Elements of one row of the only input and of the only output.
  std::pair<int64_t, int64_t> rowLengths() const;

  void prepare(int64_t batch);
  bool usesTeam(int64_t batch);  // makes the plan if need be
  int64_t inputBytes(int64_t batch) const;
  std::string describe(int64_t batch);

  struct Request {
    int64_t batch = 0;
    std::span<const void* const> inputs;
    std::span<void* const> outputs;
    int64_t rowOffset = 0;
    Crew* crew = nullptr;  // on a JavaScript thread, beside the lane: who may share the work
    bool timed = false;
    bool detached = false;  // the outputs aren't wanted: on a device the step may still run on return
    // On a device instead of `inputs`.
    const DevicePlan::Fill* fill = nullptr;
    const DevicePlan::Rows* rows = nullptr;
  };
  // Runs one step under the lock of its variables. Inline runs throw BUSY instead of waiting long.
  void run(Machine& machine, const Request& request);

  // Waits for detached runs on a device. report: throws what one of them found missing; else that is forgotten.
  void settle(bool report);

  // The runs with timed = true since the last call, as a table for people: of every step its least time, since a
  // shared machine only ever adds to it. Floor: the larger of flop and bytes against what the machine can do.
  std::string profileText(int64_t batch, const Floor& floor);

  struct Counters {
    int64_t plans = 0;
  };
  Counters counters() const { return counters_; }

 private:
  // What prologues leave, with the version of the weights that it is of.
  struct Persistent {
    Buffer memory;
    bool done = false;
    uint64_t version = 0;
  };
  // Pointers of a plan's slots on one machine.
  struct Binding {
    std::vector<void*> slots;
    std::byte* arena = nullptr;
    std::shared_ptr<Persistent> persistent;
  };
  struct Prepared {
    Plan plan;
    std::unique_ptr<DevicePlan> onDevice;
    Binding bindings[2];  // lane, inline
    std::vector<double> times;
    std::list<int64_t>::iterator use;
  };

  void optimizeSource();
  std::shared_ptr<Prepared> preparedFor(int64_t batch);
  void bind(Prepared& prepared, Binding& binding, Machine& machine, const Request& request);
  void lockAndRun(Machine& machine, const Request& request, std::shared_ptr<Prepared>& prepared);
  void walk(Machine& machine, const Request& request, Prepared& prepared);
  void runOnDevice(Machine& machine, const Request& request, Prepared& prepared);
  std::vector<std::shared_ptr<Prepared>> allPrepared();
  void touchUpdated();
  bool arrangeVariables();  // groups contiguous; false if a layout is not what the plans were made for
  uint64_t weightsVersion() const;

  OpenDevice* const device_;
  Graph source_;
  Graph optimized_;
  Graph values_;  // half optimized, where a budget chooses the rest for each batch size
  std::vector<std::shared_ptr<Variable>> variables_;
  const Target target_;
  const std::string autotune_;
  std::vector<std::vector<std::shared_ptr<Variable>>> groups_;
  std::shared_ptr<LockDomain> domain_;
  std::mutex plansMutex_;
  std::map<int64_t, std::shared_ptr<Prepared>> plans_;
  std::list<int64_t> recent_;
  std::shared_ptr<Persistent> persistent_[2];  // of all plans whose prologue is the same; lane, inline
  Counters counters_;
};

// Nanoseconds of work below which a step runs on one member; tests set 0.
void setParallelThreshold(double nanoseconds);
// For programs made from now on.
void setMatmulPrecision(MatmulPrecision precision);
void setConvAlgorithm(ConvAlgorithm algorithm);
void setAutotune(std::string file);  // see LowerContext

}  // namespace chainrule
