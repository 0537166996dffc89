#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "plan/device.h"

namespace chainrule {

class OpenDevice;

// Memory on a device.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  DeviceMemory(OpenDevice& device, int64_t bytes);
  ~DeviceMemory();
  DeviceMemory(DeviceMemory&& other) noexcept;
  DeviceMemory& operator=(DeviceMemory&& other) noexcept;

  std::byte* data() const { return data_; }
  int64_t size() const { return size_; }

 private:
  OpenDevice* device_ = nullptr;
  std::byte* data_ = nullptr;
  int64_t size_ = 0;
};

// Memory of the host that a device copies from and to without a detour.
class HostStaging {
 public:
  HostStaging() = default;
  HostStaging(OpenDevice& device, int64_t bytes);
  ~HostStaging();
  HostStaging(HostStaging&& other) noexcept;
  HostStaging& operator=(HostStaging&& other) noexcept;

  std::byte* data() const { return data_; }

 private:
  OpenDevice* device_ = nullptr;
  std::byte* data_ = nullptr;
};

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
