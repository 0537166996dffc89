#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "cuda/libraries/cublas_lt.h"
#include "plan/device.h"

namespace chainrule::cuda {

// cuBLASLt as a device uses it.
struct LtDevice {
  const CublasLt& library;
  LtHandle handle;
  bool takesAll;  // products of any size, for tests
};

// NVIDIA's libraries as one device uses them: looked for when the first program is made, so that whoever needs none
// does not wait for hundreds of megabytes. Calls come from any thread; the device's context is current.
class Libraries {
 public:
  // `cuda`: the newest CUDA that the driver runs, 13000 = 13.0.
  Libraries(LibraryMemory memory, int cuda) : memory_(memory), cuda_(cuda) {}
  void close();  // while there is still a context

  const LtDevice* cublasLt();  // null: not used
  std::vector<LibraryDescription> describe();

 private:
  const LibraryMemory memory_;
  const int cuda_;
  std::mutex mutex_;
  bool looked_ = false;
  std::unique_ptr<const LtDevice> cublasLt_;
  std::string noCublasLt_;  // why
};

}  // namespace chainrule::cuda
