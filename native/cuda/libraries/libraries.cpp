#include "cuda/libraries/libraries.h"

namespace chainrule::cuda {

const LtDevice* Libraries::cublasLt() {
  const std::lock_guard guard(mutex_);
  if (looked_) return cublasLt_.get();
  looked_ = true;
  const CublasLt& library = cuda::cublasLt(memory_, cuda_);
  noCublasLt_ = library.reason;
  if (!library.reason.empty()) return nullptr;
  try {
    LtHandle handle = nullptr;
    library.check(library.functions.create(&handle), "cublasLtCreate");
    cublasLt_ = std::make_unique<LtDevice>(LtDevice{library, handle, memory_ == LibraryMemory::host});
  } catch (const Error& error) {
    noCublasLt_ = error.what();
  }
  return cublasLt_.get();
}

std::vector<LibraryDescription> Libraries::describe() {
  const LtDevice* const lt = cublasLt();
  return {{"cuBLASLt", lt ? lt->library.version + ", " + lt->library.path : "not used: " + noCublasLt_}};
}

void Libraries::close() {
  const std::lock_guard guard(mutex_);
  if (cublasLt_) cublasLt_->library.functions.destroy(cublasLt_->handle);
  cublasLt_.reset();
}

}  // namespace chainrule::cuda
