#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "cuda/libraries/cublas_lt.h"
#include "cuda/libraries/cudnn.h"
#include "plan/device.h"

namespace chainrule::cuda {

// cuBLASLt as a device uses it.
struct LtDevice {
  const CublasLt& library;
  LtHandle handle;
  bool takesAll;  // products of any size, for tests
};

// cuDNN likewise. Its handle is for one thread at a time.
struct DnnDevice {
  const Cudnn& library;
  DnnHandle handle;
  bool takesAll;
  mutable std::mutex mutex = {};
};

// NVIDIA's libraries as one device uses them: each is looked for when the first program asks for it, so that whoever
// needs none does not wait for hundreds of megabytes. Calls come from any thread; the device's context is current.
class Libraries {
 public:
  // `cuda`: the newest CUDA that the driver runs, 13000 = 13.0.
  Libraries(LibraryMemory memory, int cuda) : memory_(memory), cuda_(cuda) {}
  void close();  // while there is still a context

  const LtDevice* cublasLt();  // null: not used
  const DnnDevice* cudnn();    // likewise
  std::vector<LibraryDescription> describe();

 private:
  template <typename Device>
  struct Used {
    std::unique_ptr<const Device> device;
    std::optional<std::string> reason;  // why not; nothing: not looked for yet
  };
  template <typename Handle, typename Device, typename Library>
  const Device* use(Used<Device>& used, const Library& library, const char* call);

  const LibraryMemory memory_;
  const int cuda_;
  std::mutex mutex_;
  Used<LtDevice> cublasLt_;
  Used<DnnDevice> cudnn_;
};

}  // namespace chainrule::cuda
