#include "runtime/program.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <optional>

#include "cpu/float_mode.h"
#include "cpu/kernel_table.h"

namespace chainrule {
namespace {

std::atomic<double> parallelThreshold{CompileOptions{}.parallelThreshold};
std::atomic<MatmulPrecision> matmulPrecision{MatmulPrecision::high};
std::atomic<ConvAlgorithm> defaultConvAlgorithm{ConvAlgorithm::automatic};
struct Autotune {
  std::mutex mutex;
  std::string file;
};
Autotune& autotune() {
  static auto* const instance = new Autotune;
  return *instance;
}
std::string autotuneFile() {
  const std::lock_guard guard(autotune().mutex);
  return autotune().file;
}
constexpr size_t kPlans = 16;
constexpr double kInlineWait = 1e6;  // nanoseconds that an inline run may wait for a running step
constexpr double kOnDevice = -1;     // a cost that nobody knows

std::chrono::steady_clock::time_point inlineDeadline() {
  return std::chrono::steady_clock::now() + std::chrono::nanoseconds(int64_t(kInlineWait));
}

// Says to inline runs how long this step takes, while it runs.
class Busy {
 public:
  Busy(std::atomic<double>& stepCost, double cost) : stepCost_(stepCost) { stepCost_ = cost; }
  ~Busy() { stepCost_ = 0; }

 private:
  std::atomic<double>& stepCost_;
};

// Names the layer, the row and the id that no table has.
[[noreturn]] void failAt(const Fault::Place& place, const std::vector<Step>& body, int64_t rowOffset) {
  const std::string& scope = body[place.step].scope;
  const std::string layer = scope.substr(scope.rfind('/') + 1);
  std::string where = "element " + std::to_string(place.position) + " of its ids";
  if (place.rowSize > 0) {
    where = "row " + std::to_string(rowOffset + place.position / place.rowSize);
    if (place.rowSize > 1) where += ", column " + std::to_string(place.position % place.rowSize);
  }
  fail("INPUT", layer.empty() ? "a gather" : "layer \"" + layer + "\"", ": ", where, " is the id ", place.value,
       ", but the table has ", place.limit, " rows: ids must be 0 to ", place.limit - 1,
       ". Raise the layer's inputDim, or map other ids to one of these");
}

// Index of the first NaN or infinity, or -1. All members look through a large array.
int64_t firstNonFinite(const float* data, int64_t count, Machine& machine) {
  const auto find = cpu::kernels().findNonFinite;
  const int members = machine.members();
  if (members == 1 || count * 4 < Machine::kCopiedByAll) return find(data, 0, count);
  std::vector<int64_t> found(size_t(members), -1);
  machine.share([&](int member) {
    const cpu::Range part = cpu::partOf(count, 16, member, members);
    found[size_t(member)] = find(data, part.begin, part.end);
  });
  const auto first = std::find_if(found.begin(), found.end(), [](int64_t index) { return index >= 0; });
  return first == found.end() ? -1 : *first;
}

}  // namespace

void setParallelThreshold(double nanoseconds) { parallelThreshold = nanoseconds; }
void setMatmulPrecision(MatmulPrecision precision) { matmulPrecision = precision; }
void setConvAlgorithm(ConvAlgorithm algorithm) { defaultConvAlgorithm = algorithm; }
void setAutotune(std::string file) {
  const std::lock_guard guard(autotune().mutex);
  autotune().file = std::move(file);
}

Program::Program(Graph graph, std::vector<std::shared_ptr<Variable>> variables, OpenDevice* device)
    : device_(device),
      source_(std::move(graph)),
      variables_(std::move(variables)),
      target_{!device, defaultConvAlgorithm, matmulPrecision},
      autotune_(device ? autotuneFile() : "") {
  domain_ = joinDomains(variables_);
  for (const VariableGroup& group : source_.groups) {
    groups_.emplace_back();
    for (int index : group.variables) groups_.back().push_back(variables_[size_t(index)]);
  }
  optimizeSource();
}

// The layouts of variables are decided here, by the first program that reads them.
void Program::optimizeSource() {
  Graph graph = source_;
  std::unique_lock<std::shared_mutex> lock;
  if (!variables_.empty()) lock = lockExclusive(*variables_[0]);
  for (size_t i = 0; i < variables_.size(); ++i) {
    if (device_) variables_[i]->unpack();
    graph.variables[i].layoutFixed = variables_[i]->layoutFixed();
    graph.variables[i].fixedLayout = variables_[i]->layout();
  }
  if (lock) lock.unlock();
  graph = optimizeValues(std::move(graph), target_);
  optimized_ = optimizeSteps(graph, target_);
  if (source_.memoryBudget > 0) values_ = std::move(graph);
  if (!variables_.empty()) lock = lockExclusive(*variables_[0]);
  for (size_t i = 0; i < variables_.size(); ++i) {
    const VariableInfo& info = optimized_.variables[i];
    if (info.layoutFixed) variables_[i]->fixLayout(info.type.layout);
  }
}

int64_t Program::batchOf(std::span<const ArrayRef> inputs) const {
  if (inputs.size() != source_.inputs.size()) {
    fail("INPUT", "this program takes ", source_.inputs.size(), " arrays, got ", inputs.size());
  }
  int64_t batch = -1;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ValueType& type = source_.inputTypes[i];
    const std::string name = "input \"" + source_.inputNames[i] + "\"";
    const bool bytes = byteSize(type.dtype) == 1 && byteSize(inputs[i].dtype) == 1;  // bools arrive in a Uint8Array
    if (inputs[i].dtype != type.dtype && !bytes) {
      fail("DTYPE", name, " must be ", dtypeName(type.dtype), ", got ", dtypeName(inputs[i].dtype));
    }
    bool fits = inputs[i].dims.size() == type.shape.size();
    for (int axis = 0; fits && axis < type.shape.size(); ++axis) {
      const Dim& dim = type.shape[axis];
      const int64_t got = inputs[i].dims[axis];
      if (!dim.perBatch) {
        fits = got == dim.value;
      } else {
        if (batch < 0) batch = got / dim.value;
        if (got != batch * dim.value) {
          fail("SHAPE", name, " has ", got, " rows, other inputs have ", batch * dim.value,
               ". All inputs need equally many");
        }
      }
    }
    if (!fits) fail("SHAPE", name, " must have shape ", toString(type.shape), ", got ", toString(inputs[i].dims));
  }
  if (batch == 0) fail("INPUT", "the batch is empty");
  return std::max<int64_t>(batch, 1);
}

void Program::expectFinite(std::span<const ArrayRef> inputs, Machine& machine) const {
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].dtype != DType::f32) continue;
    const int64_t count = elementCount(inputs[i].dims);
    const float* data = static_cast<const float*>(inputs[i].data);
    const int64_t bad = firstNonFinite(data, count, machine);
    if (bad < 0) continue;
    const int64_t row =
        inputs[i].dims.empty() ? 1 : std::max<int64_t>(1, count / std::max<int64_t>(1, inputs[i].dims[0]));
    fail("INPUT", "input \"", source_.inputNames[i], "\" has ", std::isnan(data[bad]) ? "NaN" : "Infinity", " in row ",
         bad / row, ", column ", bad % row, ". Clean the data, or pass allowNonFinite: true to let it through");
  }
}

std::vector<TensorType> Program::outputTypes(int64_t batch) const {
  std::vector<TensorType> types;
  for (ValueId output : source_.outputs) {
    const ValueType& type = source_.type(output);
    types.push_back({type.dtype, concrete(type.shape, batch), Layout::rowMajor});
  }
  return types;
}

std::pair<int64_t, int64_t> Program::rowLengths() const {
  if (source_.inputs.size() != 1 || source_.outputs.size() != 1) {
    fail("INPUT", "a row in, a row out: needs a program with one input and one output, this one has ",
         source_.inputs.size(), " and ", source_.outputs.size());
  }
  return {elementCount(concrete(source_.inputTypes[0].shape, 1)),
          elementCount(concrete(source_.type(source_.outputs[0]).shape, 1))};
}

std::shared_ptr<Program::Prepared> Program::preparedFor(int64_t batch) {
  const std::lock_guard guard(plansMutex_);
  if (const auto found = plans_.find(batch); found != plans_.end()) {
    recent_.splice(recent_.begin(), recent_, found->second->use);
    return found->second;
  }
  auto prepared = std::make_shared<Prepared>();
  const CompileOptions options{parallelThreshold.load(), device_ ? device_->device.get() : nullptr, target_.precision,
                               autotune_};
  OpenDevice::Lock alone;  // measuring allocates and runs, and nobody else's work may count
  if (!autotune_.empty()) alone = device_->lock();
  prepared->plan = source_.memoryBudget > 0 ? lowerWithin(source_.memoryBudget, values_, target_, batch, options)
                                            : lower(optimized_, batch, options);
  if (device_) prepared->onDevice = std::make_unique<DevicePlan>(*device_, prepared->plan, optimized_.constants);
  ++counters_.plans;
  if (plans_.size() >= kPlans) {
    if (device_) plans_[recent_.back()]->onDevice->settle();
    plans_.erase(recent_.back());
    recent_.pop_back();
  }
  recent_.push_front(batch);
  prepared->use = recent_.begin();
  plans_[batch] = prepared;
  return prepared;
}

void Program::prepare(int64_t batch) { preparedFor(batch); }
bool Program::usesTeam(int64_t batch) {
  // Large inputs of a device are copied by all.
  return preparedFor(batch)->plan.parallel || (device_ && inputBytes(batch) >= Machine::kCopiedByAll);
}
int64_t Program::inputBytes(int64_t batch) const {
  int64_t bytes = 0;
  for (const ValueType& type : source_.inputTypes)
    bytes += elementCount(concrete(type.shape, batch)) * byteSize(type.dtype);
  return bytes;
}
std::string Program::describe(int64_t batch) {
  return batch > 0 ? chainrule::describe(preparedFor(batch)->plan) : chainrule::describe(optimized_);
}

bool Program::arrangeVariables() {
  for (size_t i = 0; i < variables_.size(); ++i) {
    if (variables_[i]->layout() != optimized_.variables[i].type.layout) return false;
  }
  for (const auto& group : groups_) {
    if (!isContiguous(group)) return false;
  }
  return true;
}

uint64_t Program::weightsVersion() const {
  uint64_t version = 0;
  for (const auto& variable : variables_) version += variable->version();
  return version;
}

void Program::run(Machine& machine, const Request& request) {
  // A plan takes memory there, and variables are copied: refused before.
  if (device_ && request.crew) device_->lockUntil(inlineDeadline());
  std::shared_ptr<Prepared> prepared = preparedFor(request.batch);
  lockAndRun(machine, request, prepared);
}

void Program::lockAndRun(Machine& machine, const Request& request, std::shared_ptr<Prepared>& prepared) {
  std::unique_lock<std::shared_mutex> exclusive;
  std::shared_lock<std::shared_mutex> shared;
  const bool alone = updates();
  std::shared_ptr<LockDomain> domain = domain_;
  const auto take = [&](auto& lock, std::shared_mutex& mutex) {
    lock = std::remove_reference_t<decltype(lock)>(mutex, std::try_to_lock);
    if (lock.owns_lock()) return;
    if (request.crew && domain->stepCost.load() == kOnDevice) {
      awaitBriefly(inlineDeadline(), [&] { return lock.try_lock(); });
      return;
    }
    if (request.crew && domain->stepCost.load() > kInlineWait) {
      fail("BUSY",
           "a training step of this model is running on the executor. Use await model.predict(x), or wait for fit to "
           "end");
    }
    lock.lock();
  };
  bool arranged = true;
  for (;;) {
    if (!variables_.empty()) {
      // Compiling another program may have joined our variables with others since.
      domain = variables_[0]->domain();
      alone || !arranged ? take(exclusive, domain->mutex) : take(shared, domain->mutex);
      if (variables_[0]->domain() != domain) {
        exclusive = {};
        shared = {};
        continue;
      }
    }
    arranged = arrangeVariables();
    if (arranged) break;
    if (!alone && !exclusive.owns_lock()) {
      shared = {};
      continue;  // moving variables needs the lock alone
    }
    bool layouts = true;
    for (size_t i = 0; i < variables_.size(); ++i)
      layouts &= variables_[i]->layout() == optimized_.variables[i].type.layout;
    if (!layouts) {
      exclusive = {};
      optimizeSource();
      const std::lock_guard guard(plansMutex_);
      plans_.clear();
      recent_.clear();
      for (auto& persistent : persistent_) persistent.reset();
    } else {
      for (const auto& group : groups_) {
        if (!isContiguous(group)) makeContiguous(group);
      }
      break;
    }
    prepared = preparedFor(request.batch);
  }

  const Busy busy(domain->stepCost, device_ ? kOnDevice : prepared->plan.cost);
  if (device_) {
    runOnDevice(machine, request, *prepared);
  } else {
    walk(machine, request, *prepared);
  }
}

void Program::touchUpdated() {
  const auto touch = [&](int variable) {
    device_ ? variables_[size_t(variable)]->touchOnDevice(*device_) : variables_[size_t(variable)]->touch();
  };
  for (const Commit& commit : optimized_.commits) {
    if (!commit.group) touch(commit.target);
    if (commit.group) {
      for (int index : optimized_.groups[size_t(commit.target)].variables) touch(index);
    }
  }
}

void Program::walk(Machine& machine, const Request& request, Prepared& prepared) {
  std::optional<Crew::Shift> shift;
  if (request.crew && prepared.plan.parallel) shift.emplace(*request.crew);
  Binding& binding = prepared.bindings[request.crew ? 1 : 0];
  bind(prepared, binding, machine, request);
  Fault fault;
  Frame frame{binding.slots.data(), request.rowOffset, &fault, nullptr};
  const cpu::FlushDenormals flush;
  if (!prepared.plan.prologue.empty()) {
    const uint64_t version = weightsVersion();
    Persistent& persistent = *binding.persistent;
    if (!persistent.done || persistent.version != version) {
      persistent.done = false;
      machine.walk(prepared.plan.prologue, frame);
      if (fault.occurred()) failAt(fault.first(), prepared.plan.prologue, 0);
      persistent.done = true;
      persistent.version = version;
    }
  }
  if (request.timed) {
    prepared.times.resize(prepared.plan.body.size(), INFINITY);
    frame.times = prepared.times.data();
  }
  machine.walk(prepared.plan.body, frame);
  if (updates()) {
    touchUpdated();
    // The prologue reads none of those, so it stays valid.
    if (binding.persistent) binding.persistent->version = weightsVersion();
  }
  if (fault.occurred()) failAt(fault.first(), prepared.plan.body, request.rowOffset);
}

void Program::runOnDevice(Machine& machine, const Request& request, Prepared& prepared) {
  const DevicePlan::Fill copyInputs = [&](std::span<std::byte* const> to) {
    for (size_t i = 0; i < to.size(); ++i) {
      machine.copy(to[i], request.inputs[i], prepared.plan.inputs[i].bytes());
    }
  };
  DevicePlan::Run run{.variables = variables_,
                      .fill = request.fill   ? request.fill
                              : request.rows ? nullptr
                                             : &copyInputs,
                      .rows = request.rows,
                      .outputs = request.outputs,
                      .detached = request.detached,
                      .until = {},
                      .rowOffset = request.rowOffset,
                      .weightsVersion = weightsVersion()};
  if (request.crew) run.until = inlineDeadline();
  if (request.timed) {
    prepared.times.resize(prepared.plan.body.size(), INFINITY);
    run.times = prepared.times.data();
  }
  const cpu::FlushDenormals flush;  // for an emulated device
  const auto missing = prepared.onDevice->run(run);
  if (updates()) {
    touchUpdated();
    if (!missing) prepared.onDevice->keepPrologue(weightsVersion());
  }
  if (missing) {
    failAt(missing->place, missing->prologue ? prepared.plan.prologue : prepared.plan.body, missing->rowOffset);
  }
}

std::vector<std::shared_ptr<Program::Prepared>> Program::allPrepared() {
  const std::lock_guard guard(plansMutex_);
  std::vector<std::shared_ptr<Prepared>> all;
  for (const auto& [batch, prepared] : plans_) all.push_back(prepared);
  return all;
}

void Program::settle(bool report) {
  if (!device_) return;
  for (const auto& prepared : allPrepared()) {
    const auto missing = prepared->onDevice->settle();
    if (missing && report) failAt(missing->place, prepared->plan.body, missing->rowOffset);
  }
}

void Program::bind(Prepared& prepared, Binding& binding, Machine& machine, const Request& request) {
  const Plan& plan = prepared.plan;
  std::byte* arena = machine.arena(plan.arenaBytes);
  machine.reserveScratch(plan.memberScratch);
  const auto address = [&](const Slot& slot) -> void* {
    switch (slot.space) {
      case Space::arena:
        return arena + slot.offset;
      case Space::persistent:
        return binding.persistent->memory.data() + slot.offset;
      case Space::constant:
        return const_cast<std::byte*>(optimized_.constants[slot.index].data.data()) + slot.offset;
      case Space::variable:
        return variables_[slot.index]->data() + slot.offset;
      case Space::input:
        return static_cast<std::byte*>(const_cast<void*>(request.inputs[slot.index])) + slot.offset;
      case Space::output:
        return static_cast<std::byte*>(request.outputs[slot.index]) + slot.offset;
    }
    return nullptr;
  };
  if (binding.slots.size() != plan.slots.size() || binding.arena != arena) {
    if (!binding.persistent) {
      std::shared_ptr<Persistent> own;
      std::shared_ptr<Persistent>& kept = plan.prologueOfAny ? persistent_[request.crew ? 1 : 0] : own;
      if (!kept) kept = std::make_shared<Persistent>(Buffer(size_t(plan.persistentBytes)));
      binding.persistent = kept;
    }
    std::vector<void*> slots;  // all or none: a variable may be out of reach
    for (const Slot& slot : plan.slots) slots.push_back(address(slot));
    binding.slots = std::move(slots);
    binding.arena = arena;
    return;
  }
  for (uint32_t slot : plan.boundSlots) binding.slots[slot] = address(plan.slots[slot]);
}

}  // namespace chainrule
