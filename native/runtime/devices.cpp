#include "runtime/devices.h"

#include <dlfcn.h>

#include <algorithm>
#include <map>
#include <utility>

#include "build_info.h"

namespace chainrule {
namespace {

constexpr auto kPatience = std::chrono::seconds(2);  // without work, until memory goes back

// Leaked on purpose, as all that lanes use: they may outlive static destruction.
struct Registry {
  std::mutex mutex;
  std::string path;
  bool looked = false;
  const DeviceLibrary* library = nullptr;
  DeviceList list;
  std::map<int, std::unique_ptr<OpenDevice>> open;
  std::map<std::string, double> limits;
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

int indexOf(const DeviceDescription& device) { return std::stoi(device.id.substr(device.id.find(':') + 1)); }

void applyLimit(const Registry& r, OpenDevice& open) {
  const DeviceDescription& device = open.device->description();
  double limit = 0;
  for (const std::string& name :
       {std::string(), std::string(device.id == r.list.devices[0].id ? "cuda" : ""), device.id}) {
    if (const auto found = r.limits.find(name); found != r.limits.end()) limit = found->second;
  }
  if (limit < 1) limit *= double(device.memoryBytes);
  open.limitMemory(limit > 0 ? std::max<int64_t>(1, int64_t(limit)) : 0);
}

// Copied, so that nobody waits for a device while the registry is locked.
std::vector<OpenDevice*> openDevices() {
  Registry& r = registry();
  const std::lock_guard guard(r.mutex);
  std::vector<OpenDevice*> devices;
  for (const auto& [index, open] : r.open) {
    if (open) devices.push_back(open.get());
  }
  return devices;
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
    const int index = indexOf(device);
    std::unique_ptr<OpenDevice>& open = r.open[index];
    if (!open) {
      std::unique_ptr<Device> fresh;
      r.library->open(index, fresh).orThrow();
      open = std::make_unique<OpenDevice>(std::move(fresh));
      applyLimit(r, *open);
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

void setDeviceMemoryLimit(const std::string& id, double limit) {
  Registry& r = registry();
  const std::lock_guard guard(r.mutex);
  r.limits[id] = limit;
  for (const auto& [index, open] : r.open) {
    if (open) applyLimit(r, *open);
  }
}

std::map<std::string, ListedMemory> deviceMemory() {
  std::map<std::string, ListedMemory> all;
  for (const DeviceDescription& device : listDevices().devices) {
    all[device.id].use.free = registry().library->freeMemory(indexOf(device));
  }
  for (OpenDevice* open : openDevices()) {
    const auto lock = open->lock();
    all[open->device->description().id] = {open->device->memoryUse(), true, open->memoryLimit()};
  }
  return all;
}

void releaseDeviceMemory() {
  for (OpenDevice* open : openDevices()) {
    const auto lock = open->lock();
    if (!open->device->finish().failed()) open->rest();
  }
}

template <bool onHost>
DeviceBlock<onHost>::DeviceBlock(OpenDevice& device, int64_t bytes) : device_(&device), size_(bytes) {
  if (bytes == 0) return;
  const auto lock = device.lock();
  void* memory = nullptr;
  (onHost ? device.device->allocateHost(bytes, memory) : device.device->allocate(bytes, memory)).orThrow();
  data_ = static_cast<std::byte*>(memory);
}
template <bool onHost>
DeviceBlock<onHost>::~DeviceBlock() {
  if (data_) device_->discard(data_, onHost);
}
template class DeviceBlock<true>;
template class DeviceBlock<false>;

OpenDevice::OpenDevice(std::unique_ptr<Device> device)
    : device(std::move(device)), idle_(kPatience, [this] { return rest(); }) {}

OpenDevice::Lock OpenDevice::lock() {
  Lock lock(mutex_);
  device->limitMemory(limit_);
  sweep();
  idle_.touch();
  return lock;
}

OpenDevice::Lock OpenDevice::lockUntil(std::chrono::steady_clock::time_point until) {
  Lock lock(mutex_, std::defer_lock);
  awaitBriefly(until, [&] { return lock.try_lock(); });
  awaitBriefly(until, [&] { return device->finished(); });
  return this->lock();
}

void OpenDevice::discard(Recording* recording) {
  const std::lock_guard guard(discardMutex_);
  recordings_.emplace_back(recording);
  idle_.touch();
}

void OpenDevice::discard(Transfer* transfer) {
  const std::lock_guard guard(discardMutex_);
  transfers_.emplace_back(transfer);
  idle_.touch();
}

void OpenDevice::discard(std::byte* memory, bool onHost) {
  const std::lock_guard guard(discardMutex_);
  blocks_.emplace_back(memory, onHost);
  idle_.touch();
}

void OpenDevice::sweep() {
  decltype(recordings_) recordings;
  decltype(transfers_) transfers;
  decltype(blocks_) blocks;
  {
    const std::lock_guard guard(discardMutex_);
    recordings.swap(recordings_);
    transfers.swap(transfers_);
    blocks.swap(blocks_);
  }
  recordings.clear();
  transfers.clear();
  for (const auto& [memory, onHost] : blocks) onHost ? device->releaseHost(memory) : device->release(memory);
}

bool OpenDevice::lost() {
  const auto lock = this->lock();
  return device->finish().code == "DEVICE_LOST";
}

bool OpenDevice::rest() {
  const Lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock() || !device->finished()) return false;
  arena_ = DeviceMemory();
  sweep();
  device->trimMemory();
  return true;
}

OpenDevice::Recorded OpenDevice::record(const std::vector<Step>& steps, const DeviceFrame& frame) {
  const auto lock = this->lock();
  std::unique_ptr<Recording> made;
  device->record(steps, frame, made).orThrow();
  return Recorded(made.release(), Drop{this});
}

OpenDevice::Transfers OpenDevice::transfer() {
  const auto lock = this->lock();
  std::unique_ptr<Transfer> made;
  device->transfer(made).orThrow();
  return Transfers(made.release(), Drop{this});
}

std::byte* OpenDevice::arena(int64_t bytes) {
  if (bytes > arena_.size()) {
    arena_ = DeviceMemory();  // first give back, then ask: both together may not fit
    arena_ = DeviceMemory(*this, bytes);
  }
  return arena_.data();
}

void OpenDevice::upload(void* to, const void* from, int64_t bytes) {
  const auto lock = this->lock();
  if (bytes > 0) device->copyIn(to, from, bytes).orThrow();
}
void OpenDevice::download(void* to, const void* from, int64_t bytes) {
  const auto lock = this->lock();
  if (bytes > 0) device->copyOut(to, from, bytes).orThrow();
}

}  // namespace chainrule
