#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "plan/plan.h"

// What a device library offers to the runtime: it is opened at run time, so that nothing of it is needed where there is
// no such device. Both sides are built from the same sources, and nothing throws from one to the other.
namespace chainrule {

// Nothing, or what went wrong: the parts of an Error.
struct Outcome {
  std::string code, message;

  bool failed() const { return !code.empty(); }
  void orThrow() const {
    if (failed()) throw Error(code, message);
  }
};

struct DeviceDescription {
  std::string id;    // "cuda:0"
  std::string name;  // of the product
  int major = 0, minor = 0;
  int64_t memoryBytes = 0;
  int multiprocessors = 0;
  std::string driver;  // its version
};

// A library of the device's maker that is used where it is installed: its version and place, or why it is not used.
struct LibraryDescription {
  std::string name, text;
};

// Where the launches of a device put their work, in order.
class DeviceQueue {
 public:
  virtual ~DeviceQueue() = default;
  virtual void copy(void* to, const void* from, int64_t bytes) = 0;  // both on the device
};

struct DeviceCopy {
  void* to;
  const void* from;
  int64_t bytes;
};

// Rows of an array on the device, brought together before the steps; what `from` and `rows` point to may change from
// run to run.
struct DeviceRows {
  void* to;
  const void* const* from;  // where the array lies
  const int32_t* rows;      // which rows, `count` of them
  int64_t rowBytes, count;
};

// All that is fixed when steps are recorded. Pointers are the device's, but for the host's end of the copies, which is
// memory from allocateHost.
struct DeviceFrame {
  std::vector<void*> slots;
  std::vector<int64_t> slotBytes;
  const int64_t* rowOffset = nullptr;  // global index of row 0 of the batch
  uint64_t* faults = nullptr;          // one per step, all bits set: see Lowering::indexLimit
  std::vector<DeviceCopy> uploads, downloads;
  std::vector<DeviceRows> rows;  // behind the uploads
};

// Copies from memory of allocateHost that go over beside the steps of recordings.
class Transfer {
 public:
  virtual ~Transfer() = default;
  virtual Outcome send(std::span<const DeviceCopy> copies) = 0;  // returns before they are done
  virtual Outcome wait() = 0;                                    // for all that was sent
};

// Of a device, in bytes.
struct DeviceMemoryUse {
  int64_t used = 0;   // by this process for weights, plans and data
  int64_t held = 0;   // with what is kept for the next allocations
  int64_t free = -1;  // of the whole device, for all processes; negative: not known
};

// Steps made ready: one call runs them all, as often as one likes.
class Recording {
 public:
  virtual ~Recording() = default;
  // Returns before the device is done. `first`, if not null, of the same device: the steps wait for its copies.
  virtual Outcome run(Transfer* first) = 0;
  virtual Outcome wait() = 0;  // for the last run
};

// Calls come from one thread at a time; the device works in their order.
class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceDescription& description() const = 0;

  virtual Outcome libraries(std::vector<LibraryDescription>& found) = 0;  // looks for them; from any thread

  // The launch of one node; UNSUPPORTED names an op that has none.
  virtual Outcome lower(const LowerContext& node, Lowering& result) = 0;

  virtual Outcome allocate(int64_t bytes, void*& memory) = 0;
  virtual void release(void* memory) = 0;
  virtual Outcome allocateHost(int64_t bytes, void*& memory) = 0;  // that copies read and write without a detour
  virtual void releaseHost(void* memory) = 0;
  virtual DeviceMemoryUse memoryUse() = 0;
  virtual void limitMemory(int64_t bytes) = 0;  // that this process may take; 0: no limit
  virtual void trimMemory() = 0;                // what is kept for the next allocations goes back to the driver

  virtual Outcome record(const std::vector<Step>& steps, const DeviceFrame& frame,
                         std::unique_ptr<Recording>& result) = 0;
  virtual Outcome transfer(std::unique_ptr<Transfer>& result) = 0;
  // Runs the steps one by one and lowers `nanoseconds` (one per step) to the times they took.
  virtual Outcome time(const std::vector<Step>& steps, const DeviceFrame& frame, double* nanoseconds) = 0;
  virtual Outcome copyIn(void* to, const void* from, int64_t bytes) = 0;   // any host memory, done on return
  virtual Outcome copyOut(void* to, const void* from, int64_t bytes) = 0;  // likewise
  virtual Outcome finish() = 0;                                            // waits for all that was asked
  virtual bool finished() = 0;                                             // whether that is done, without waiting
};

// What the library exports as chainruleDevices().
struct DeviceLibrary {
  const char* interface;  // of the sources it was built from; see scripts/sources.mjs
  // Descriptions of what is there. An outcome says in one line why there is nothing.
  Outcome (*list)(std::vector<DeviceDescription>& devices);
  Outcome (*open)(int index, std::unique_ptr<Device>& device);
  int64_t (*freeMemory)(int index);  // of a device that need not be open; negative: not known
};

}  // namespace chainrule
