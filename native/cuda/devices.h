#pragma once

#include "cuda/queue.h"

namespace chainrule::cuda {

// What every device of this library does alike.
class QueueDevice : public Device {
 public:
  Outcome lower(const LowerContext& node, Lowering& result) final;
};

// Gives the steps of a walk, and the copies around it, to a queue.
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
