#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "plan/device.h"
#include "runtime/idle.h"

namespace chainrule {

class OpenDevice;

// Memory that a device gives: its own, or the host's that it copies from and to without a detour.
template <bool onHost>
class DeviceBlock {
 public:
  DeviceBlock() = default;
  DeviceBlock(OpenDevice& device, int64_t bytes);
  ~DeviceBlock();
  DeviceBlock(DeviceBlock&& other) noexcept { *this = std::move(other); }
  DeviceBlock& operator=(DeviceBlock&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  std::byte* data() const { return data_; }
  int64_t size() const { return size_; }

 private:
  OpenDevice* device_ = nullptr;
  std::byte* data_ = nullptr;
  int64_t size_ = 0;
};
using DeviceMemory = DeviceBlock<false>;
using HostStaging = DeviceBlock<true>;

// A device in use by this process, never closed. Its calls come from one thread at a time: whoever makes one holds its
// lock.
class OpenDevice {
 public:
  explicit OpenDevice(std::unique_ptr<Device> device);

  const std::unique_ptr<Device> device;

  using Lock = std::unique_lock<std::recursive_mutex>;
  Lock lock();
  // For a JavaScript thread: waits for others and for what they asked of the device, but not beyond `until`.
  Lock lockUntil(std::chrono::steady_clock::time_point until);

  // The memory in which plans work, one after the other: moves when it grows, and goes back while the device is idle.
  std::byte* arena(int64_t bytes);

  // Whole pieces of host memory, complete on return.
  void upload(void* to, const void* from, int64_t bytes);
  void download(void* to, const void* from, int64_t bytes);

  struct Drop {
    OpenDevice* device = nullptr;
    void operator()(Recording* recording) const { device->discard(recording); }
    void operator()(Transfer* transfer) const { device->discard(transfer); }
  };
  using Recorded = std::unique_ptr<Recording, Drop>;
  Recorded record(const std::vector<Step>& steps, const DeviceFrame& frame);
  using Transfers = std::unique_ptr<Transfer, Drop>;
  Transfers transfer();

  // What nobody needs any more goes when the device is locked the next time: whoever drops it, a garbage collection
  // for instance, never waits for a step.
  void discard(Recording* recording);
  void discard(Transfer* transfer);
  void discard(std::byte* memory, bool onHost);

  bool lost();  // for good, as far as this process is concerned

  // Gives memory back that nobody uses. False if the device works.
  bool rest();
  void limitMemory(int64_t bytes) { limit_ = bytes; }  // 0: no limit
  int64_t memoryLimit() const { return limit_; }

 private:
  void sweep();  // frees what was discarded

  std::recursive_mutex mutex_;
  DeviceMemory arena_;
  std::atomic<int64_t> limit_{0};
  std::mutex discardMutex_;
  std::vector<std::unique_ptr<Recording>> recordings_;
  std::vector<std::unique_ptr<Transfer>> transfers_;
  std::vector<std::pair<std::byte*, bool>> blocks_;
  IdleWatch idle_;
};

// Waits on the JavaScript thread for something that a step on a device holds: until `until`, then throws BUSY.
template <typename Ready>
void awaitBriefly(std::chrono::steady_clock::time_point until, Ready ready) {
  while (!ready()) {
    if (std::chrono::steady_clock::now() > until) {
      fail("BUSY", "the GPU is at work on something else. Use await model.predict(x), or wait for fit to end");
    }
    std::this_thread::yield();
  }
}

// Where the library of CUDA devices lies, or "" for none; before the first of the calls below.
void setDeviceLibrary(std::string path);

struct DeviceList {
  std::vector<DeviceDescription> devices;
  std::string reason;  // why there are none
};
const DeviceList& listDevices();  // looked for once

// "cpu" gives null, "auto" the first device or null, "cuda" the first, "cuda:N" that one. Throws DEVICE if it is not
// there.
OpenDevice* openDevice(const std::string& id);

// What this process may take of the device named `id`, "cuda" for the first, "" for each that is not named: bytes, or
// below 1 a share of what it has. 0: no limit. From the next allocation on.
void setDeviceMemoryLimit(const std::string& id, double limit);

struct ListedMemory {
  DeviceMemoryUse use;
  bool open = false;  // in use by this process; else all that is known is what is free
  int64_t limit = 0;
};
// Of all devices, by id. Waits for running steps.
std::map<std::string, ListedMemory> deviceMemory();
// Gives back what nobody uses, after the work that was asked of the devices.
void releaseDeviceMemory();

}  // namespace chainrule
