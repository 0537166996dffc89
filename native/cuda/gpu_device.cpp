#include <unordered_map>
#include <vector>

#include "cuda/devices.h"
#include "cuda/driver.h"
#include "cuda/free_memory.h"
#include "cuda/images.h"

// A GPU: its primary context, one stream on which everything happens in order but copies of batches, the kernels of the
// embedded image.
namespace chainrule::cuda {
namespace {

constexpr int kMultiprocessors = 16, kMajor = 75, kMinor = 76, kMostShared = 97;  // CUdevice_attribute
constexpr int kMaxDynamicShared = 8;                                              // CUfunction_attribute
constexpr CuResult kNotFound = 500, kNotReady = 600;
constexpr int kRelaxedCapture = 2, kNonBlocking = 1, kUntimed = 2;  // flags
constexpr int64_t kSharedWithoutAsking = 32 << 10;                  // with what kernels declare, 48 KiB

CuPointer address(const void* memory) { return CuPointer(reinterpret_cast<uintptr_t>(memory)); }

struct Gpu {
  const Driver& driver = driverState().driver;
  CuStream stream = nullptr, copies = nullptr;  // `copies`: what goes over beside the steps
  std::vector<CuModule> modules;
  int mostShared = 0;
  CuContext context = nullptr;
  mutable Outcome lost;  // what the driver said when it lost the context: no call after that would mean anything

  Outcome outcome(CuResult result, const char* call) const {
    Outcome found = outcomeOf(driver, result, call);
    if (found.code == "DEVICE_LOST" && !lost.failed()) lost = found;
    return found;
  }
  void check(CuResult result, const char* call) const { outcome(result, call).orThrow(); }
  // Before the calls of any thread.
  void enter() const {
    lost.orThrow();
    driver.ctxSetCurrent(context);
  }
  // Runs `body`, which calls the driver; what it throws becomes an outcome.
  template <typename Body>
  Outcome calling(Body body) const {
    return outcomeFrom([&] {
      enter();
      body();
    });
  }
  // The same for what gives something back: there is nobody to tell.
  template <typename Body>
  void returning(Body body) const {
    if (lost.failed()) return;
    driver.ctxSetCurrent(context);
    body();
  }
};

// An event that is destroyed whatever happens.
class Event {
 public:
  Event(const Gpu& gpu, unsigned flags) : gpu_(gpu) {
    gpu_.check(gpu_.driver.eventCreate(&event_, flags), "cuEventCreate");
  }
  ~Event() {
    gpu_.returning([&] { gpu_.driver.eventDestroy(event_); });
  }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  operator CuEvent() const { return event_; }

 private:
  const Gpu& gpu_;
  CuEvent event_ = nullptr;
};

class GpuQueue : public Queue {
 public:
  explicit GpuQueue(const Gpu& gpu) : gpu_(gpu) {}

  void copy(void* to, const void* from, int64_t bytes) override {
    if (bytes > 0)
      gpu_.check(gpu_.driver.memcpyDtoDAsync(address(to), address(from), size_t(bytes), gpu_.stream), "copy");
  }
  void upload(void* to, const void* from, int64_t bytes) override {
    if (bytes > 0)
      gpu_.check(gpu_.driver.memcpyHtoDAsync(address(to), from, size_t(bytes), gpu_.stream), "copy to the GPU");
  }
  void download(void* to, const void* from, int64_t bytes) override {
    if (bytes > 0)
      gpu_.check(gpu_.driver.memcpyDtoHAsync(to, address(from), size_t(bytes), gpu_.stream), "copy from the GPU");
  }
  void fill(void* memory, uint32_t word, int64_t words) override {
    if (words > 0) gpu_.check(gpu_.driver.memsetD32Async(address(memory), word, size_t(words), gpu_.stream), "fill");
  }
  int64_t mostShared() const override { return gpu_.mostShared; }
  CuStream stream() override { return gpu_.stream; }

 private:
  void start(const char* name, emulation::Call, void (*)(), void** arguments, const LaunchSize& size) override {
    const CuFunction function = find(name, size.sharedBytes);
    gpu_.check(gpu_.driver.launchKernel(function, unsigned(size.grid.x), unsigned(size.grid.y), unsigned(size.grid.z),
                                        unsigned(size.block.x), unsigned(size.block.y), unsigned(size.block.z),
                                        unsigned(size.sharedBytes), gpu_.stream, arguments, nullptr),
               name);
  }

  struct Found {
    CuFunction function = nullptr;
    int64_t sharedBytes = kSharedWithoutAsking;
  };
  CuFunction find(const char* name, int64_t sharedBytes) {
    Found& found = functions_[name];
    for (size_t i = 0; !found.function && i < gpu_.modules.size(); ++i) {
      const CuResult result = gpu_.driver.moduleGetFunction(&found.function, gpu_.modules[i], name);
      if (result != kNotFound) gpu_.check(result, name);
    }
    if (!found.function) fail("INTERNAL", "there is no kernel ", name);
    if (sharedBytes > found.sharedBytes) {
      gpu_.check(gpu_.driver.funcSetAttribute(found.function, kMaxDynamicShared, int(sharedBytes)), name);
      found.sharedBytes = sharedBytes;
    }
    return found.function;
  }

  const Gpu& gpu_;
  std::unordered_map<std::string_view, Found> functions_;  // names are literals
};

class GpuTransfer : public Transfer {
 public:
  explicit GpuTransfer(const Gpu& gpu) : gpu_(gpu), sent_(gpu, kUntimed) {}
  Outcome send(std::span<const DeviceCopy> copies) override {
    return gpu_.calling([&] {
      for (const DeviceCopy& copy : copies) {
        if (copy.bytes == 0) continue;
        gpu_.check(gpu_.driver.memcpyHtoDAsync(address(copy.to), copy.from, size_t(copy.bytes), gpu_.copies),
                   "copy to the GPU");
      }
      gpu_.check(gpu_.driver.eventRecord(sent_, gpu_.copies), "cuEventRecord");
    });
  }
  Outcome wait() override {
    return gpu_.calling([&] { gpu_.check(gpu_.driver.eventSynchronize(sent_), "copy to the GPU"); });
  }
  void before(CuStream stream) const { gpu_.check(gpu_.driver.streamWaitEvent(stream, sent_, 0), "cuStreamWaitEvent"); }

 private:
  const Gpu& gpu_;
  const Event sent_;
};

class GpuRecording : public Recording {
 public:
  GpuRecording(const Gpu& gpu, CuGraph graph) : gpu_(gpu), done_(gpu, kUntimed) {
    gpu_.check(gpu_.driver.graphInstantiate(&graph_, graph, 0), "cuGraphInstantiate");
  }
  ~GpuRecording() override {
    gpu_.returning([&] { gpu_.driver.graphExecDestroy(graph_); });  // a run of it goes on to its end
  }
  Outcome run(Transfer* first) override {
    return gpu_.calling([&] {
      if (first) static_cast<GpuTransfer*>(first)->before(gpu_.stream);
      gpu_.check(gpu_.driver.graphLaunch(graph_, gpu_.stream), "cuGraphLaunch");
      gpu_.check(gpu_.driver.eventRecord(done_, gpu_.stream), "cuEventRecord");
    });
  }
  Outcome wait() override {
    return gpu_.calling([&] { gpu_.check(gpu_.driver.eventSynchronize(done_), "a step on the GPU"); });
  }

 private:
  const Gpu& gpu_;
  const Event done_;
  CuGraphExec graph_ = nullptr;
};

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
    return gpu_.calling([&] {
      const Driver& d = gpu_.driver;
      gpu_.check(d.streamBeginCapture(gpu_.stream, kRelaxedCapture), "cuStreamBeginCapture");
      const Outcome enqueued = outcomeFrom([&] { enqueue(steps, frame, queue_); });
      CuGraph graph = nullptr;
      const CuResult ended = d.streamEndCapture(gpu_.stream, &graph);
      const Outcome made = outcomeFrom([&] {
        enqueued.orThrow();
        gpu_.check(ended, "cuStreamEndCapture");
        result = std::make_unique<GpuRecording>(gpu_, graph);
      });
      if (graph) d.graphDestroy(graph);
      made.orThrow();
    });
  }

  Outcome transfer(std::unique_ptr<Transfer>& result) override {
    return gpu_.calling([&] { result = std::make_unique<GpuTransfer>(gpu_); });
  }

  Outcome time(const std::vector<Step>& steps, const DeviceFrame& frame, double* nanoseconds) override {
    return gpu_.calling([&] {
      const Driver& d = gpu_.driver;
      const Event begin(gpu_, 0), end(gpu_, 0);
      // Each step by itself: what `enqueue` joins into one launch takes longer here.
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
