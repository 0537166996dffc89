#include <cstdlib>

#include "build_info.h"
#include "cuda/devices.h"
#include "cuda/ops/joining_queue.h"

namespace chainrule::cuda {

Outcome QueueDevice::lower(const LowerContext& node, Lowering& result) {
  const Launcher* launcher = findLauncher(node.node.op->name);
  if (!launcher) {
    const std::string where = node.node.origin.scope.empty() ? "" : " (in layer \"" + node.node.origin.scope + "\")";
    return {"UNSUPPORTED", "the op \"" + std::string(node.node.op->name) + "\"" + where +
                               " has no CUDA launch. Compile with device: 'cpu'"};
  }
  LowerContext here = node;
  here.device = this;
  return outcomeFrom([&] { result = launcher->lower(here); });
}

StepArgs argsOf(const std::vector<Step>& steps, size_t index, const DeviceFrame& frame, Queue& queue) {
  const Step& step = steps[index];
  StepArgs args;
  args.slots = frame.slots.data();
  args.operands = step.operands.data();
  args.inputs = step.inputs;
  args.shared = static_cast<std::byte*>(frame.slots[step.sharedScratch]);
  args.step = index;
  args.queue = &queue;
  args.deviceRowOffset = frame.rowOffset;
  args.deviceFault = frame.faults ? frame.faults + index : nullptr;
  return args;
}

void enqueue(const std::vector<Step>& steps, const DeviceFrame& frame, Queue& to) {
  JoiningQueue queue(to);
  enqueueEach(steps, frame, queue, [&](size_t i) { steps[i].launch(argsOf(steps, i, frame, queue)); });
  queue.flush();
}

namespace {

// For tests and for looking at kernels in a debugger; see cuda/emulation.h.
bool emulates() { return std::getenv("CHAINRULE_CUDA_EMULATE") != nullptr; }

Outcome list(std::vector<DeviceDescription>& devices) {
  if (!emulates()) return listGpus(devices);
  devices.push_back(describeEmulated());
  return {};
}

Outcome open(int index, std::unique_ptr<Device>& device) {
  if (!emulates()) return openGpu(index, device);
  device = openEmulated();
  return {};
}

constexpr DeviceLibrary library = {CHAINRULE_INTERFACE, list, open};

}  // namespace
}  // namespace chainrule::cuda

extern "C" __attribute__((visibility("default"))) const chainrule::DeviceLibrary* chainruleDevices() {
  return &chainrule::cuda::library;
}
