#include "runtime/devices.h"

#include <dlfcn.h>

#include <map>
#include <utility>

#include "build_info.h"

namespace chainrule {
namespace {

// Leaked on purpose, as all that lanes use: they may outlive static destruction.
struct Registry {
  std::mutex mutex;
  std::string path;
  bool looked = false;
  const DeviceLibrary* library = nullptr;
  DeviceList list;
  std::map<int, std::unique_ptr<OpenDevice>> open;
};
Registry& registry() {
  static auto* const instance = new Registry;
  return *instance;
}

Outcome openLibrary(Registry& r) {
  if (r.path.empty()) return {"DEVICE", "the package @chainrule/cuda-linux-x64 is not installed"};
  void* handle = dlopen(r.path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) return {"DEVICE", std::string("the CUDA library could not be loaded: ") + dlerror()};
  const auto entry = reinterpret_cast<const DeviceLibrary* (*)()>(dlsym(handle, "chainruleDevices"));
  if (!entry) return {"DEVICE", r.path + " is not a device library of Chainrule"};
  if (std::string(entry()->interface) != CHAINRULE_INTERFACE) {
    return {"DEVICE", r.path + " belongs to another version of Chainrule: install both packages in the same version"};
  }
  r.library = entry();
  return r.library->list(r.list.devices);
}

const DeviceList& look(Registry& r) {
  if (!r.looked) {
    r.looked = true;
    r.list.reason = openLibrary(r).message;
  }
  return r.list;
}

}  // namespace

void setDeviceLibrary(std::string path) {
  Registry& r = registry();
  const std::lock_guard guard(r.mutex);
  if (!r.looked) r.path = std::move(path);
}

const DeviceList& listDevices() {
  Registry& r = registry();
  const std::lock_guard guard(r.mutex);
  return look(r);
}

OpenDevice* openDevice(const std::string& id) {
  if (id == "cpu") return nullptr;
  Registry& r = registry();
  const std::lock_guard guard(r.mutex);
  const DeviceList& list = look(r);
  if (id == "auto" && list.devices.empty()) return nullptr;
  const bool any = id == "auto" || id == "cuda";
  std::string names;
  for (const DeviceDescription& device : list.devices) {
    if (!any && device.id != id) {
      names += (names.empty() ? "" : ", ") + device.id;
      continue;
    }
    const int index = std::stoi(device.id.substr(device.id.find(':') + 1));
    std::unique_ptr<OpenDevice>& open = r.open[index];
    if (!open) {
      std::unique_ptr<Device> fresh;
      r.library->open(index, fresh).orThrow();
      open = std::make_unique<OpenDevice>(std::move(fresh));
    }
    return open.get();
  }
  if (!any && id.rfind("cuda:", 0) != 0) {
    fail("VALUE", "there is no device \"", id, "\". Use 'auto', 'cpu', 'cuda' or 'cuda:0'");
  }
  if (names.empty())
    fail("DEVICE", "device \"", id, "\" is not available: ", list.reason, ". Use device: 'cpu' or 'auto'");
  fail("DEVICE", "there is no device \"", id, "\", only ", names);
}

template <bool onHost>
DeviceBlock<onHost>::DeviceBlock(OpenDevice& device, int64_t bytes) : device_(&device), size_(bytes) {
  if (bytes == 0) return;
  const std::lock_guard guard(device.mutex);
  void* memory = nullptr;
  (onHost ? device.device->allocateHost(bytes, memory) : device.device->allocate(bytes, memory)).orThrow();
  data_ = static_cast<std::byte*>(memory);
}
template <bool onHost>
DeviceBlock<onHost>::~DeviceBlock() {
  if (!data_) return;
  const std::lock_guard guard(device_->mutex);
  onHost ? device_->device->releaseHost(data_) : device_->device->release(data_);
}
template class DeviceBlock<true>;
template class DeviceBlock<false>;

std::byte* OpenDevice::arena(int64_t bytes) {
  if (bytes > arena_.size()) {
    arena_ = DeviceMemory();  // first give back, then ask: both together may not fit
    arena_ = DeviceMemory(*this, bytes);
  }
  return arena_.data();
}

void OpenDevice::upload(void* to, const void* from, int64_t bytes) {
  const std::lock_guard guard(mutex);
  if (bytes > 0) device->copyIn(to, from, bytes).orThrow();
}
void OpenDevice::download(void* to, const void* from, int64_t bytes) {
  const std::lock_guard guard(mutex);
  if (bytes > 0) device->copyOut(to, from, bytes).orThrow();
}

}  // namespace chainrule
