#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>

#include "cuda/devices.h"
#include "cuda/images.h"
#include "cuda/step_order.h"

// A device that runs every kernel on one thread of the host, the same plans and launches as a GPU's.
namespace chainrule::cuda {
namespace {

// What a GPU would not find must not go unnoticed here.
void expectCompiled(std::string_view name) {
  static std::set<std::string_view> known;
  if (known.count(name)) return;
  const std::string entry = ".entry " + std::string(name) + "(";
  bool found = !kernelImages()->machineCode;  // built without a compiler for them
  for (const KernelImage* image = kernelImages(); image->machineCode && !found; ++image) {
    found = std::strstr(image->ptx, entry.c_str());
  }
  if (!found) fail("INTERNAL", "there is no kernel ", name);
  known.insert(name);
}

constexpr int64_t kMostShared = 227 << 10;  // an sm_90's

class EmulatedQueue : public Queue {
 public:
  void copy(void* to, const void* from, int64_t bytes) override { std::memmove(to, from, size_t(bytes)); }
  void upload(void* to, const void* from, int64_t bytes) override { std::memcpy(to, from, size_t(bytes)); }
  void download(void* to, const void* from, int64_t bytes) override { std::memcpy(to, from, size_t(bytes)); }
  void fill(void* memory, uint32_t word, int64_t words) override {
    std::fill_n(static_cast<uint32_t*>(memory), words, word);
  }
  int64_t mostShared() const override { return kMostShared; }
  CuStream stream() override { return nullptr; }

 private:
  void start(const char* name, emulation::Call call, void (*body)(), void** arguments,
             const LaunchSize& size) override {
    static std::mutex running;  // the grid is one for all emulated devices
    const std::lock_guard guard(running);
    expectCompiled(name);
    const auto index = [](const Extent& e) { return emulation::Index{uint32_t(e.x), uint32_t(e.y), uint32_t(e.z)}; };
    emulation::runGrid(name, call, body, arguments, index(size.grid), index(size.block), size_t(size.sharedBytes));
  }
};

class EmulatedRecording : public Recording {
 public:
  EmulatedRecording(const std::vector<Step>& steps, DeviceFrame frame)
      : steps_(steps), frame_(std::move(frame)), order_(latestFirst(dependenciesOf(steps_, frame_))) {}
  Outcome run(Transfer*) override {
    return outcomeFrom([&] {
      EmulatedQueue queue;
      enqueueEach(steps_, frame_, queue, [&](size_t i) {
        const size_t step = order_[i];
        steps_[step].launch(argsOf(steps_, step, frame_, queue));
      });
    });
  }

  Outcome wait() override { return {}; }

 private:
  const std::vector<Step>& steps_;
  const DeviceFrame frame_;
  const std::vector<size_t> order_;
};

class EmulatedTransfer : public Transfer {
 public:
  Outcome send(std::span<const DeviceCopy> copies) override {
    for (const DeviceCopy& copy : copies) std::memcpy(copy.to, copy.from, size_t(copy.bytes));
    return {};
  }
  Outcome wait() override { return {}; }
};

class EmulatedDevice : public QueueDevice {
 public:
  explicit EmulatedDevice(int index) : QueueDevice(describeEmulated(index)) {}

  Outcome allocate(int64_t bytes, void*& memory) override {
    const Outcome outcome = QueueDevice::allocate(bytes, memory);
    if (!outcome.failed()) poison(bytes, memory);
    return outcome;
  }
  Outcome allocateHost(int64_t bytes, void*& memory) override {
    const Outcome outcome = QueueDevice::allocateHost(bytes, memory);
    if (!outcome.failed()) poison(bytes, memory);
    return outcome;
  }

  Outcome record(const std::vector<Step>& steps, const DeviceFrame& frame,
                 std::unique_ptr<Recording>& result) override {
    result = std::make_unique<EmulatedRecording>(steps, frame);
    return {};
  }
  Outcome transfer(std::unique_ptr<Transfer>& result) override {
    result = std::make_unique<EmulatedTransfer>();
    return {};
  }
  Outcome time(const std::vector<Step>& steps, const DeviceFrame& frame, double* nanoseconds) override {
    std::fill_n(nanoseconds, steps.size(), 0);  // times of an emulation say nothing
    return EmulatedRecording(steps, frame).run(nullptr);
  }
  Outcome copyIn(void* to, const void* from, int64_t bytes) override {
    std::memcpy(to, from, size_t(bytes));
    return {};
  }
  Outcome copyOut(void* to, const void* from, int64_t bytes) override { return copyIn(to, from, bytes); }
  Outcome finish() override { return {}; }
  bool finished() override { return true; }
  Libraries& vendorLibraries() override { return libraries_; }
  int64_t mostShared() const override { return kMostShared; }

 private:
  // Nobody may count on what fresh memory holds: NaN as a number, and as a fault one that occurred.
  static void poison(int64_t bytes, void* memory) {
    std::fill_n(static_cast<uint32_t*>(memory), (bytes + 3) / 4, 0x7FFFFFFFu);
  }

  Outcome takeMemory(int64_t bytes, void*& memory) override {
    memory = std::aligned_alloc(256, size_t(bytes + 255) / 256 * 256);
    if (!memory) return {"DEVICE_OOM", "the host has no memory for an emulated device"};
    return {};
  }
  void giveMemory(void* memory) override { std::free(memory); }
  Outcome takeHostMemory(int64_t bytes, void*& memory) override { return takeMemory(bytes, memory); }
  void giveHostMemory(void* memory) override { std::free(memory); }

  Libraries libraries_{LibraryMemory::host, 13000};
};

}  // namespace

DeviceDescription describeEmulated(int index) {
  return {.id = "cuda:" + std::to_string(index),
          .name = "emulated GPU",
          .major = 8,
          .minor = 0,
          .memoryBytes = int64_t(4) << 30,
          .multiprocessors = 1,
          .driver = "none"};
}
std::unique_ptr<Device> openEmulated(int index) { return std::make_unique<EmulatedDevice>(index); }

}  // namespace chainrule::cuda
