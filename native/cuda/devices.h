#pragma once

#include "cuda/libraries/libraries.h"
#include "cuda/queue.h"

namespace chainrule::cuda {

// What every device of this library does alike.
class QueueDevice : public Device {
 public:
  Outcome lower(const LowerContext& node, Lowering& result) final;
  std::vector<LibraryDescription> libraries() final { return vendorLibraries().describe(); }

  virtual Libraries& vendorLibraries() = 0;  // makes the device's context current
};
inline Libraries& librariesOf(const LowerContext& node) {
  return static_cast<QueueDevice*>(node.device)->vendorLibraries();
}

// What stands around the steps of a walk, and `each(i)` for step i.
template <typename Each>
void enqueueEach(const std::vector<Step>& steps, const DeviceFrame& frame, Queue& queue, Each each) {
  for (const DeviceCopy& copy : frame.uploads) queue.upload(copy.to, copy.from, copy.bytes);
  if (frame.faults && !steps.empty()) queue.fill(frame.faults, ~0u, int64_t(steps.size()) * 2);
  for (size_t i = 0; i < steps.size(); ++i) each(i);
  for (const DeviceCopy& copy : frame.downloads) queue.download(copy.to, copy.from, copy.bytes);
}
// Gives it all to a queue, small programs in a row as one launch.
void enqueue(const std::vector<Step>& steps, const DeviceFrame& frame, Queue& queue);
// The arguments of step `index` of a walk.
StepArgs argsOf(const std::vector<Step>& steps, size_t index, const DeviceFrame& frame, Queue& queue);

Outcome listGpus(std::vector<DeviceDescription>& devices);
Outcome openGpu(int index, std::unique_ptr<Device>& device);

DeviceDescription describeEmulated();
std::unique_ptr<Device> openEmulated();

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
