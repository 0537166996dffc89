#include <algorithm>
#include <cstdlib>
#include <string>

#include "build_info.h"
#include "cuda/devices.h"

namespace chainrule::cuda {
namespace {

// CHAINRULE_CUDA_POOL=0: each block an allocation of the driver's, so that compute-sanitizer sees where it ends.
bool pools() {
  const char* text = std::getenv("CHAINRULE_CUDA_POOL");
  return !text || std::string(text) != "0";
}

}  // namespace

QueueDevice::QueueDevice(DeviceDescription description)
    : description_(std::move(description)),
      memory_({.name = description_.id,
               .take = [this](int64_t bytes, void*& memory) { return takeMemory(bytes, memory); },
               .give = [this](void* memory) { giveMemory(memory); },
               .settle = [this] { finish(); },
               .pools = pools()}),
      hostMemory_({.name = "the host for " + description_.id,
                   .take = [this](int64_t bytes, void*& memory) { return takeHostMemory(bytes, memory); },
                   .give = [this](void* memory) { giveHostMemory(memory); },
                   .settle = [this] { finish(); },
                   .pools = pools()}) {}

void QueueDevice::trimMemory() {
  memory_.trim();
  hostMemory_.trim();
}

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

Outcome QueueDevice::libraries(std::vector<LibraryDescription>& found) {
  return outcomeFrom([&] { found = vendorLibraries().describe(); });
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

namespace {

// How many devices, for tests and for looking at kernels in a debugger; see cuda/emulation.h.
int emulated() {
  const char* count = std::getenv("CHAINRULE_CUDA_EMULATE");
  return count ? std::clamp(std::atoi(count), 1, 8) : 0;
}

Outcome list(std::vector<DeviceDescription>& devices) {
  if (!emulated()) return listGpus(devices);
  for (int index = 0; index < emulated(); ++index) devices.push_back(describeEmulated(index));
  return {};
}

Outcome open(int index, std::unique_ptr<Device>& device) {
  if (!emulated()) return openGpu(index, device);
  device = openEmulated(index);
  return {};
}

int64_t freeMemory(int index) { return emulated() ? -1 : freeMemoryOfGpu(index); }

constexpr DeviceLibrary library = {CHAINRULE_INTERFACE, list, open, freeMemory};

}  // namespace
}  // namespace chainrule::cuda

extern "C" __attribute__((visibility("default"))) const chainrule::DeviceLibrary* chainruleDevices() {
  return &chainrule::cuda::library;
}
