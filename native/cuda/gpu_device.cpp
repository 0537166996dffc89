#include "cuda/free_memory.h"
#include "cuda/gpu_recording.h"
#include "cuda/images.h"

// A GPU: its primary context, one stream of steps and one of copies beside them, the kernels of the embedded image.
namespace chainrule::cuda {
namespace {

constexpr int kMultiprocessors = 16, kMajor = 75, kMinor = 76, kMostShared = 97;  // CUdevice_attribute
constexpr CuResult kNotReady = 600;
constexpr unsigned kNonBlocking = 1;  // flag of a stream

class GpuDevice : public QueueDevice {
 public:
  GpuDevice(DeviceDescription description, CuDevice device) : QueueDevice(std::move(description)), device_(device) {
    gpu_.check(gpu_.driver.deviceGetAttribute(&gpu_.mostShared, kMostShared, device_), "cuDeviceGetAttribute");
    gpu_.check(gpu_.driver.devicePrimaryCtxRetain(&gpu_.context, device_), "cuDevicePrimaryCtxRetain");
    const Outcome started = gpu_.calling([&] { start(); });
    if (started.failed()) close();
    started.orThrow();
  }
  ~GpuDevice() override { close(); }

  DeviceMemoryUse memoryUse() override {
    DeviceMemoryUse use = QueueDevice::memoryUse();
    size_t free = 0, total = 0;
    gpu_.returning([&] {
      if (gpu_.driver.memGetInfo(&free, &total) == 0) use.free = int64_t(free);
    });
    return use;
  }

  Outcome record(const std::vector<Step>& steps, const DeviceFrame& frame,
                 std::unique_ptr<Recording>& result) override {
    return gpu_.calling([&] { result = recordOn(gpu_, queue_, steps, frame); });
  }

  Outcome transfer(std::unique_ptr<Transfer>& result) override {
    return gpu_.calling([&] { result = std::make_unique<GpuTransfer>(gpu_); });
  }

  Outcome time(const std::vector<Step>& steps, const DeviceFrame& frame, double* nanoseconds) override {
    return gpu_.calling([&] {
      const Driver& d = gpu_.driver;
      const Event begin(gpu_, 0), end(gpu_, 0);
      enqueueEach(steps, frame, queue_, [&](size_t i) {
        gpu_.check(d.eventRecord(begin, gpu_.stream), "cuEventRecord");
        steps[i].launch(argsOf(steps, i, frame, queue_));
        gpu_.check(d.eventRecord(end, gpu_.stream), "cuEventRecord");
        gpu_.check(d.eventSynchronize(end), steps[i].name.c_str());
        float milliseconds = 0;
        gpu_.check(d.eventElapsedTime(&milliseconds, begin, end), "cuEventElapsedTime");
        nanoseconds[i] = std::min(nanoseconds[i], double(milliseconds) * 1e6);
      });
    });
  }

  Outcome copyIn(void* to, const void* from, int64_t bytes) override {
    return gpu_.calling([&] {
      queue_.upload(to, from, bytes);
      synchronize("copy to the GPU");
    });
  }
  Outcome copyOut(void* to, const void* from, int64_t bytes) override {
    return gpu_.calling([&] {
      queue_.download(to, from, bytes);
      synchronize("copy from the GPU");
    });
  }
  Outcome finish() override {
    return gpu_.calling([&] { synchronize("the GPU's work"); });
  }
  bool finished() override {
    bool done = true;  // a lost GPU does nothing any more
    gpu_.returning([&] {
      done = gpu_.driver.streamQuery(gpu_.copies) != kNotReady && gpu_.driver.streamQuery(gpu_.stream) != kNotReady;
    });
    return done;
  }
  Libraries& vendorLibraries() override {
    gpu_.driver.ctxSetCurrent(gpu_.context);  // does not throw: asked from the runtime, and without the device's lock
    return libraries_;
  }
  int64_t mostShared() const override { return gpu_.mostShared; }

 private:
  Outcome takeMemory(int64_t bytes, void*& memory) override {
    return gpu_.calling([&] {
      CuPointer pointer = 0;
      gpu_.check(gpu_.driver.memAlloc(&pointer, size_t(bytes)), "cuMemAlloc");
      memory = reinterpret_cast<void*>(pointer);
    });
  }
  void giveMemory(void* memory) override {
    gpu_.returning([&] { gpu_.driver.memFree(address(memory)); });
  }
  Outcome takeHostMemory(int64_t bytes, void*& memory) override {
    return gpu_.calling([&] { gpu_.check(gpu_.driver.memAllocHost(&memory, size_t(bytes)), "cuMemAllocHost"); });
  }
  void giveHostMemory(void* memory) override {
    gpu_.returning([&] { gpu_.driver.memFreeHost(memory); });
  }

  void synchronize(const char* what) {
    gpu_.check(gpu_.driver.streamSynchronize(gpu_.copies), what);
    gpu_.check(gpu_.driver.streamSynchronize(gpu_.stream), what);
  }

  void start() {
    for (const KernelImage* image = kernelImages(); image->machineCode; ++image) {
      CuModule& module = gpu_.modules.emplace_back();
      if (gpu_.driver.moduleLoadData(&module, image->machineCode) == 0) continue;
      gpu_.check(gpu_.driver.moduleLoadData(&module, image->ptx), "loading the kernels");
    }
    gpu_.check(gpu_.driver.streamCreate(&gpu_.stream, kNonBlocking), "cuStreamCreate");
    gpu_.check(gpu_.driver.streamCreate(&gpu_.copies, kNonBlocking), "cuStreamCreate");
  }

  void close() {
    gpu_.driver.ctxSetCurrent(gpu_.context);
    libraries_.close();
    if (gpu_.copies) gpu_.driver.streamDestroy(gpu_.copies);
    if (gpu_.stream) gpu_.driver.streamDestroy(gpu_.stream);
    for (CuModule module : gpu_.modules) {
      if (module) gpu_.driver.moduleUnload(module);
    }
    gpu_.driver.devicePrimaryCtxRelease(device_);
  }

  const CuDevice device_;
  Gpu gpu_;
  GpuQueue queue_{gpu_};
  Libraries libraries_{LibraryMemory::device, driverState().version};
};

Outcome describe(int index, DeviceDescription& description, CuDevice& device) {
  return outcomeFrom([&] {
    const DriverState& state = driverState();
    state.outcome.orThrow();
    const Driver& d = state.driver;
    const auto check = [&](CuResult result, const char* call) { outcomeOf(d, result, call).orThrow(); };
    check(d.deviceGet(&device, index), "cuDeviceGet");
    char name[128] = "";
    check(d.deviceGetName(name, sizeof name, device), "cuDeviceGetName");
    size_t bytes = 0;
    check(d.deviceTotalMem(&bytes, device), "cuDeviceTotalMem");
    description = {.id = "cuda:" + std::to_string(index), .name = name, .memoryBytes = int64_t(bytes)};
    check(d.deviceGetAttribute(&description.major, kMajor, device), "cuDeviceGetAttribute");
    check(d.deviceGetAttribute(&description.minor, kMinor, device), "cuDeviceGetAttribute");
    check(d.deviceGetAttribute(&description.multiprocessors, kMultiprocessors, device), "cuDeviceGetAttribute");
    description.driver =
        "CUDA " + std::to_string(state.version / 1000) + "." + std::to_string(state.version % 1000 / 10);
  });
}

}  // namespace

Outcome listGpus(std::vector<DeviceDescription>& devices) {
  const DriverState& state = driverState();
  if (state.outcome.failed()) return state.outcome;
  int count = 0;
  if (const CuResult result = state.driver.deviceGetCount(&count))
    return outcomeOf(state.driver, result, "cuDeviceGetCount");
  if (count == 0) return outcomeOf(state.driver, 100, "cuDeviceGetCount");
  std::string tooOld;
  for (int index = 0; index < count; ++index) {
    DeviceDescription description;
    CuDevice device = 0;
    if (const Outcome outcome = describe(index, description, device); outcome.failed()) return outcome;
    if (description.major >= 8) {
      devices.push_back(std::move(description));
    } else {
      tooOld = description.name + " has compute capability " + std::to_string(description.major) + "." +
               std::to_string(description.minor) + ", 8.0 is needed (A100, RTX 30 and newer)";
    }
  }
  if (devices.empty()) return {"DEVICE", tooOld};
  if (!kernelImages()->machineCode) {
    devices.clear();
    return {"DEVICE",
            "this library was built without a CUDA compiler and holds no kernels: npm run build:cmake -- cuda"};
  }
  return {};
}

Outcome openGpu(int index, std::unique_ptr<Device>& device) {
  DeviceDescription description;
  CuDevice handle = 0;
  if (const Outcome outcome = describe(index, description, handle); outcome.failed()) return outcome;
  return outcomeFrom([&] { device = std::make_unique<GpuDevice>(std::move(description), handle); });
}

int64_t freeMemoryOfGpu(int index) {
  const Driver& d = driverState().driver;
  CuDevice device = 0;
  char busId[32] = "";
  if (d.deviceGet(&device, index) != 0 || d.deviceGetPciBusId(busId, sizeof busId, device) != 0) return -1;
  return freeMemoryAt(busId);
}

}  // namespace chainrule::cuda
