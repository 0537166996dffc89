#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "plan/device.h"

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

// A device in use by this process, never closed. Its calls come from one thread at a time: whoever makes one holds the
// mutex.
class OpenDevice {
 public:
  explicit OpenDevice(std::unique_ptr<Device> device) : device(std::move(device)) {}

  const std::unique_ptr<Device> device;
  std::recursive_mutex mutex;

  // The memory in which plans work, one after the other: grows, never shrinks, and moves when it grows.
  std::byte* arena(int64_t bytes);

  // Whole pieces of host memory, complete on return.
  void upload(void* to, const void* from, int64_t bytes);
  void download(void* to, const void* from, int64_t bytes);

 private:
  DeviceMemory arena_;
};

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

}  // namespace chainrule
