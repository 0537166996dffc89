#pragma once

#include <functional>
#include <string_view>
#include <unordered_map>

#include "cuda/gpu.h"

namespace chainrule::cuda {

// Launches on a GPU's stream.
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
  CuStream stream() override {
    if (beforeLibrary) beforeLibrary();
    return gpu_.stream;
  }

  std::function<void()> beforeLibrary;  // if it is set: called before a library puts work on the stream

 private:
  static constexpr CuResult kNoSuchKernel = 500;
  static constexpr int kMaxDynamicShared = 8;                // CUfunction_attribute
  static constexpr int64_t kSharedWithoutAsking = 32 << 10;  // with what kernels declare, 48 KiB

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
      if (result != kNoSuchKernel) gpu_.check(result, name);
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

}  // namespace chainrule::cuda
