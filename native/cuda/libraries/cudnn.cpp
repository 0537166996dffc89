#include "cuda/libraries/cudnn.h"

namespace chainrule::cuda {
namespace {

constexpr const char* kNames[] = {"libcudnn.so.9"};
constexpr size_t kOldest = 90000;

void open(Cudnn& dnn, LibraryMemory memory) {
  OpenedLibrary opened = openVendorLibrary(kNames, memory);
  dnn.path = opened.path;
  dnn.reason = opened.reason;
  if (!opened.handle) return;
  Symbols symbols(opened.handle);
  CudnnFunctions& f = dnn.functions;
  symbols.find(f.create, "cudnnCreate");
  symbols.find(f.destroy, "cudnnDestroy");
  symbols.find(f.setStream, "cudnnSetStream");
  symbols.find(f.getVersion, "cudnnGetVersion");
  symbols.find(f.getErrorString, "cudnnGetErrorString");
  symbols.find(f.tensorCreate, "cudnnCreateTensorDescriptor");
  symbols.find(f.tensorDestroy, "cudnnDestroyTensorDescriptor");
  symbols.find(f.tensorSet, "cudnnSetTensor4dDescriptor");
  symbols.find(f.filterCreate, "cudnnCreateFilterDescriptor");
  symbols.find(f.filterDestroy, "cudnnDestroyFilterDescriptor");
  symbols.find(f.filterSet, "cudnnSetFilter4dDescriptor");
  symbols.find(f.convolutionCreate, "cudnnCreateConvolutionDescriptor");
  symbols.find(f.convolutionDestroy, "cudnnDestroyConvolutionDescriptor");
  symbols.find(f.convolutionSet, "cudnnSetConvolution2dDescriptor");
  symbols.find(f.convolutionMath, "cudnnSetConvolutionMathType");
  symbols.find(f.convolutionGroups, "cudnnSetConvolutionGroupCount");
  symbols.find(f.activationCreate, "cudnnCreateActivationDescriptor");
  symbols.find(f.activationDestroy, "cudnnDestroyActivationDescriptor");
  symbols.find(f.activationSet, "cudnnSetActivationDescriptor");
  symbols.find(f.forwardWorkspace, "cudnnGetConvolutionForwardWorkspaceSize");
  symbols.find(f.inputWorkspace, "cudnnGetConvolutionBackwardDataWorkspaceSize");
  symbols.find(f.filterWorkspace, "cudnnGetConvolutionBackwardFilterWorkspaceSize");
  symbols.find(f.forward, "cudnnConvolutionForward");
  symbols.find(f.forwardWithBias, "cudnnConvolutionBiasActivationForward");
  symbols.find(f.input, "cudnnConvolutionBackwardData");
  symbols.find(f.filter, "cudnnConvolutionBackwardFilter");
  if (symbols.missing()) {
    dnn.reason = std::string("lacks ") + symbols.missing() + ": " + opened.path;
    return;
  }
  const size_t version = f.getVersion();  // of 8: 8907, of 9: 90100
  dnn.version = versionText(version);
  if (version < kOldest) dnn.reason = "is older than version 9: " + opened.path;
}

}  // namespace

void Cudnn::check(DnnStatus status, const char* call) const {
  if (status != 0) failCall("cuDNN", call, status, functions.getErrorString(status));
}

const Cudnn& cudnn(LibraryMemory memory) {
  static const Cudnn* const state = [&] {
    auto* fresh = new Cudnn;
    open(*fresh, memory);
    return fresh;
  }();
  return *state;
}

}  // namespace chainrule::cuda
