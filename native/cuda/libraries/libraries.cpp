#include "cuda/libraries/libraries.h"

namespace chainrule::cuda {

template <typename Handle, typename Device, typename Library>
const Device* Libraries::use(Used<Device>& used, const Library& library, const char* call) {
  if (used.reason) return used.device.get();
  used.reason = library.reason;
  if (!library.reason.empty()) return nullptr;
  try {
    Handle handle = nullptr;
    library.check(library.functions.create(&handle), call);
    used.device.reset(new Device{library, handle, memory_ == LibraryMemory::host});
  } catch (const Error& error) {
    used.reason = error.what();
  }
  return used.device.get();
}

const LtDevice* Libraries::cublasLt() {
  const std::lock_guard guard(mutex_);
  return use<LtHandle>(cublasLt_, cuda::cublasLt(memory_, cuda_), "cublasLtCreate");
}

const DnnDevice* Libraries::cudnn() {
  const std::lock_guard guard(mutex_);
  return use<DnnHandle>(cudnn_, cuda::cudnn(memory_), "cudnnCreate");
}

std::vector<LibraryDescription> Libraries::describe() {
  const auto text = [](const auto* device, const auto& used) {
    return device ? device->library.version + ", " + device->library.path : "not used: " + *used.reason;
  };
  return {{"cuBLASLt", text(cublasLt(), cublasLt_)}, {"cuDNN", text(cudnn(), cudnn_)}};
}

void Libraries::close() {
  const std::lock_guard guard(mutex_);
  if (cublasLt_.device) cublasLt_.device->library.functions.destroy(cublasLt_.device->handle);
  if (cudnn_.device) cudnn_.device->library.functions.destroy(cudnn_.device->handle);
  cublasLt_.device.reset();
  cudnn_.device.reset();
}

}  // namespace chainrule::cuda
