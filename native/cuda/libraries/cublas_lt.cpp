#include "cuda/libraries/cublas_lt.h"

namespace chainrule::cuda {
namespace {

constexpr const char* kNames[] = {"libcublasLt.so.13", "libcublasLt.so.12"};
constexpr size_t kOldest = 120000;

void open(CublasLt& lt, LibraryMemory memory, int cuda) {
  // A library for CUDA 13 does not start on a driver for 12.
  const std::span<const char* const> names = kNames;
  OpenedLibrary opened = openVendorLibrary(cuda >= 13000 ? names : names.subspan(1), memory);
  lt.path = opened.path;
  lt.reason = opened.reason;
  if (!opened.handle) return;
  Symbols symbols(opened.handle);
  CublasLtFunctions& f = lt.functions;
  symbols.find(f.create, "cublasLtCreate");
  symbols.find(f.destroy, "cublasLtDestroy");
  symbols.find(f.getVersion, "cublasLtGetVersion");
  symbols.find(f.getStatusName, "cublasLtGetStatusName");
  symbols.find(f.productCreate, "cublasLtMatmulDescCreate");
  symbols.find(f.productDestroy, "cublasLtMatmulDescDestroy");
  symbols.find(f.productSet, "cublasLtMatmulDescSetAttribute");
  symbols.find(f.layoutCreate, "cublasLtMatrixLayoutCreate");
  symbols.find(f.layoutDestroy, "cublasLtMatrixLayoutDestroy");
  symbols.find(f.layoutSet, "cublasLtMatrixLayoutSetAttribute");
  symbols.find(f.preferenceCreate, "cublasLtMatmulPreferenceCreate");
  symbols.find(f.preferenceDestroy, "cublasLtMatmulPreferenceDestroy");
  symbols.find(f.preferenceSet, "cublasLtMatmulPreferenceSetAttribute");
  symbols.find(f.heuristic, "cublasLtMatmulAlgoGetHeuristic");
  symbols.find(f.check, "cublasLtMatmulAlgoCheck");
  symbols.find(f.matmul, "cublasLtMatmul");
  if (symbols.missing()) {
    lt.reason = std::string("lacks ") + symbols.missing() + ": " + opened.path;
    return;
  }
  const size_t version = f.getVersion();
  lt.version = versionText(version);
  if (version < kOldest) lt.reason = "is version " + lt.version + ", 12.0 is needed: " + opened.path;
}

}  // namespace

void CublasLt::check(LtStatus status, const char* call) const {
  if (status != 0) failCall("cuBLASLt", call, status, functions.getStatusName(status));
}

const CublasLt& cublasLt(LibraryMemory memory, int cuda) {
  static const CublasLt* const state = [&] {
    auto* fresh = new CublasLt;
    open(*fresh, memory, cuda);
    return fresh;
  }();
  return *state;
}

}  // namespace chainrule::cuda
