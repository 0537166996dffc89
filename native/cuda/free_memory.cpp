#include "cuda/free_memory.h"

#include <dlfcn.h>

#include <mutex>
#include <type_traits>

namespace chainrule::cuda {
namespace {

// Names and meanings as in the documentation of NVML.
struct Memory {
  unsigned long long total, free, used;
};
struct Library {
  int (*init)() = nullptr;
  int (*deviceByBusId)(const char* busId, void** device) = nullptr;
  int (*memoryInfo)(void* device, Memory* memory) = nullptr;
  bool opened = false;
};

void open(Library& library) {
  void* handle = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!handle) return;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(handle, name));
    return function != nullptr;
  };
  library.opened = find(library.init, "nvmlInit_v2") &&
                   find(library.deviceByBusId, "nvmlDeviceGetHandleByPciBusId_v2") &&
                   find(library.memoryInfo, "nvmlDeviceGetMemoryInfo") && library.init() == 0;
}

}  // namespace

int64_t freeMemoryAt(const std::string& busId) {
  static std::mutex mutex;
  const std::lock_guard guard(mutex);
  static const Library* const library = [] {
    auto* fresh = new Library;
    open(*fresh);
    return fresh;
  }();
  void* device = nullptr;
  Memory memory = {};
  if (!library->opened || library->deviceByBusId(busId.c_str(), &device) != 0) return -1;
  return library->memoryInfo(device, &memory) == 0 ? int64_t(memory.free) : -1;
}

}  // namespace chainrule::cuda
