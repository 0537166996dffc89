#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "plan/backend.h"
#include "runtime/devices.h"

namespace chainrule {

// The lock under which steps run that share variables: steps that update take it alone. A step never spans two domains,
// because compiling a program joins the domains of its variables.
struct LockDomain {
  std::shared_mutex mutex;
  std::atomic<double> stepCost{0};  // nanoseconds of the step that holds it, an estimate; negative: on a device
  // Whose values are gone and given up: somebody wrote others after it was lost.
  std::atomic<const OpenDevice*> forgotten{nullptr};
};

// Memory of one or, after grouping, several variables: on the host, and a copy on each device whose programs use them.
// The newest may be on any of them; the others are brought up to date when they are asked for.
class VariableStorage {
 public:
  explicit VariableStorage(size_t bytes) : buffer_(bytes, true) {}

  size_t size() const { return buffer_.size(); }
  std::byte* address() const { return buffer_.data(); }  // whatever it holds
  std::byte* onHost();                                   // up to date
  std::byte* onDevice(OpenDevice& device);               // likewise
  OpenDevice* newest() const { return newest_; }         // null: the host has the newest values

  void forgetNewest();  // what a lost device held is gone: the host's older values count again

  // With the domain locked exclusively.
  void wroteOnHost() { written_.store(written_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }
  void wroteOnDevice(OpenDevice& device);

 private:
  struct Mirror {
    explicit Mirror(OpenDevice& device) : device(&device) {}
    OpenDevice* const device;
    DeviceMemory memory;
    std::atomic<uint64_t> written{0};  // what it is up to
  };
  void download();

  Buffer buffer_;
  std::mutex mutex_;                          // of the copies between the host and devices
  std::list<Mirror> mirrors_;                 // one for each device that ever asked
  std::atomic<const Mirror*> last_{nullptr};  // that was asked for
  std::atomic<OpenDevice*> newest_{nullptr};
  std::atomic<uint64_t> written_{1};
};

// A weight, moving statistic, optimizer slot, counter or seed. Shared by all programs that use it and by workers that
// attach.
class Variable {
 public:
  Variable(std::string name, DType dtype, Dims dims, double fill);

  const std::string name;
  const DType dtype;
  const Dims dims;

  Layout layout() const { return layout_; }
  bool layoutFixed() const { return layoutFixed_; }
  std::byte* data() const;  // throws DEVICE_LOST if the newest values were on a device that is lost
  std::byte* onDevice(OpenDevice& device) const { return storage_->onDevice(device) + offset_; }
  TensorType type() const { return {dtype, dims, layout_}; }
  int64_t bytes() const { return type().bytes(); }
  uint64_t version() const { return version_.load(std::memory_order_acquire); }
  // After each write, by what did it.
  void touch() {
    storage_->wroteOnHost();
    version_.fetch_add(1, std::memory_order_acq_rel);
  }
  void touchOnDevice(OpenDevice& device) {
    storage_->wroteOnDevice(device);
    version_.fetch_add(1, std::memory_order_acq_rel);
  }

  // The rest is called with the domain locked exclusively.
  void fixLayout(Layout layout);         // converts what is stored; a second, different wish is an error
  void unpack();                         // back to row-major for good: programs that were made for panels are made anew
  void read(std::byte* rowMajor) const;  // bytes of the row-major tensor
  void write(const std::byte* rowMajor);
  void compact();  // memory of its own where it shares that of a group, so that the group's can go

  std::shared_ptr<LockDomain> domain() const;

 private:
  friend std::shared_ptr<LockDomain> joinDomains(std::span<const std::shared_ptr<Variable>>);
  friend bool isContiguous(std::span<const std::shared_ptr<Variable>>);
  friend void makeContiguous(std::span<const std::shared_ptr<Variable>>);
  void convert(Layout layout);
  std::byte* dataToWrite();  // as data(), but what is lost is given up

  std::shared_ptr<VariableStorage> storage_;
  int64_t offset_ = 0;
  Layout layout_ = Layout::rowMajor;
  bool layoutFixed_ = false;
  std::atomic<uint64_t> version_{0};
  std::shared_ptr<LockDomain> domain_;
};

// Gives all variables one domain and returns it (a new one if there are none).
std::shared_ptr<LockDomain> joinDomains(std::span<const std::shared_ptr<Variable>> variables);

// Locks the variable's domain, whichever it is by then.
std::unique_lock<std::shared_mutex> lockExclusive(const Variable& variable);

// Whether the variables lie one after the other, each padded to 16 elements; and the move that makes them.
bool isContiguous(std::span<const std::shared_ptr<Variable>> variables);
void makeContiguous(std::span<const std::shared_ptr<Variable>> variables);

// Handles for other workers.
int64_t shareVariable(const std::shared_ptr<Variable>& variable);
std::shared_ptr<Variable> attachVariable(int64_t token);  // throws if nobody holds it any more

}  // namespace chainrule
