#pragma once

#include "cuda/libraries/libraries.h"
#include "cuda/memory_pool.h"
#include "cuda/queue.h"

namespace chainrule::cuda {

// What every device of this library does alike.
class QueueDevice : public Device {
 public:
  explicit QueueDevice(DeviceDescription description);

  const DeviceDescription& description() const final { return description_; }
  Outcome lower(const LowerContext& node, Lowering& result) final;

  Outcome allocate(int64_t bytes, void*& memory) override { return memory_.allocate(bytes, memory); }
  void release(void* memory) final { memory_.release(memory); }
  Outcome allocateHost(int64_t bytes, void*& memory) override { return hostMemory_.allocate(bytes, memory); }
  void releaseHost(void* memory) final { hostMemory_.release(memory); }
  DeviceMemoryUse memoryUse() override { return {.used = memory_.usedBytes(), .held = memory_.heldBytes()}; }
  void limitMemory(int64_t bytes) final { memory_.limit(bytes); }
  void trimMemory() final;

  Outcome libraries(std::vector<LibraryDescription>& found) final;
  virtual Libraries& vendorLibraries() = 0;  // makes the device's context current
  virtual int64_t mostShared() const = 0;    // bytes that a block can have

 protected:
  // What the pools are filled from.
  virtual Outcome takeMemory(int64_t bytes, void*& memory) = 0;
  virtual void giveMemory(void* memory) = 0;
  virtual Outcome takeHostMemory(int64_t bytes, void*& memory) = 0;
  virtual void giveHostMemory(void* memory) = 0;

 private:
  const DeviceDescription description_;
  MemoryPool memory_, hostMemory_;
};
inline Libraries& librariesOf(const LowerContext& node) {
  return static_cast<QueueDevice*>(node.device)->vendorLibraries();
}
inline int64_t mostSharedOf(const LowerContext& node) { return static_cast<QueueDevice*>(node.device)->mostShared(); }

// Launches the gathering of rows.
void fetch(Queue& queue, const DeviceRows& rows);

// What stands around the steps of a walk, and `each(i)` for step i.
template <typename Each>
void enqueueEach(const std::vector<Step>& steps, const DeviceFrame& frame, Queue& queue, Each each) {
  for (const DeviceCopy& copy : frame.uploads) queue.upload(copy.to, copy.from, copy.bytes);
  for (const DeviceRows& rows : frame.rows) fetch(queue, rows);
  if (frame.faults && !steps.empty()) queue.fill(frame.faults, ~0u, int64_t(steps.size()) * 2);
  for (size_t i = 0; i < steps.size(); ++i) each(i);
  for (const DeviceCopy& copy : frame.downloads) queue.download(copy.to, copy.from, copy.bytes);
}
// The arguments of step `index` of a walk.
StepArgs argsOf(const std::vector<Step>& steps, size_t index, const DeviceFrame& frame, Queue& queue);

Outcome listGpus(std::vector<DeviceDescription>& devices);
Outcome openGpu(int index, std::unique_ptr<Device>& device);
int64_t freeMemoryOfGpu(int index);

DeviceDescription describeEmulated(int index);
std::unique_ptr<Device> openEmulated(int index);

// Runs `body`; what it throws becomes an outcome.
template <typename Body>
Outcome outcomeFrom(Body body) {
  try {
    body();
    return {};
  } catch (const Error& error) {
    return {error.code(), error.what()};
  } catch (const std::exception& error) {
    return {"INTERNAL", error.what()};
  }
}

}  // namespace chainrule::cuda
