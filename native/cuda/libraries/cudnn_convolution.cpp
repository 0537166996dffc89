#include "cuda/libraries/cudnn_convolution.h"

#include <algorithm>

#include "plan/conv_shape.h"

namespace chainrule::cuda {
namespace {

constexpr int64_t kLeastChannels = 32, kChannelMultiple = 4;
constexpr double kLeastFlop = 1 << 28;
constexpr size_t kMostWorkspace = 256 << 20;

// The library pads both sides alike.
bool isSymmetric(const ConvShape& s) {
  const auto fits = [](int64_t in, int64_t out, int64_t taps, int64_t stride, int64_t dilation, int64_t pad) {
    const int64_t room = in + 2 * pad - ((taps - 1) * dilation + 1);
    return room >= 0 && room / stride + 1 == out;
  };
  return fits(s.h, s.oh, s.kh, s.strideH, s.dilationH, s.padTop) &&
         fits(s.w, s.ow, s.kw, s.strideW, s.dilationW, s.padLeft);
}

bool fitsInt(const ConvShape& s) {
  const int64_t largest = std::max({s.n * s.h * s.w * s.cin, s.n * s.oh * s.ow * s.cout, s.filterRows() * s.cout});
  return largest > 0 && largest <= INT32_MAX && s.n * s.oh * s.ow > 0;
}

}  // namespace

bool CudnnConvolution::pays(const DnnDevice& device, const ConvShape& s) {
  return device.takesAll ||
         (std::min(s.groupIn(), s.groupOut()) >= kLeastChannels && s.groupIn() % kChannelMultiple == 0 &&
          s.groupOut() % kChannelMultiple == 0 && flopOf(s) >= kLeastFlop);
}

std::shared_ptr<const CudnnConvolution> CudnnConvolution::make(const DnnDevice& device, const ConvShape& shape,
                                                               ConvolutionPass pass, bool tf32, bool bias, bool relu) {
  if (!fitsInt(shape) || !isSymmetric(shape)) return nullptr;
  std::shared_ptr<CudnnConvolution> result(new CudnnConvolution(device, pass));
  result->describe(shape, tf32, bias, relu);
  return result->findWorkspace() ? result : nullptr;
}

void CudnnConvolution::describe(const ConvShape& s, bool tf32, bool bias, bool relu) {
  const Cudnn& library = device_.library;
  const CudnnFunctions& f = library.functions;
  const auto tensor = [&](DnnTensor& to, int64_t n, int64_t c, int64_t h, int64_t w) {
    library.check(f.tensorCreate(&to), "cudnnCreateTensorDescriptor");
    library.check(f.tensorSet(to, kDnnChannelsLast, kDnnFloat, int(n), int(c), int(h), int(w)),
                  "cudnnSetTensor4dDescriptor");
  };
  tensor(x_, s.n, s.cin, s.h, s.w);
  tensor(y_, s.n, s.cout, s.oh, s.ow);
  library.check(f.filterCreate(&w_), "cudnnCreateFilterDescriptor");
  library.check(f.filterSet(w_, kDnnFloat, kDnnChannelsLast, int(s.cout), int(s.groupIn()), int(s.kh), int(s.kw)),
                "cudnnSetFilter4dDescriptor");
  library.check(f.convolutionCreate(&convolution_), "cudnnCreateConvolutionDescriptor");
  library.check(f.convolutionSet(convolution_, int(s.padTop), int(s.padLeft), int(s.strideH), int(s.strideW),
                                 int(s.dilationH), int(s.dilationW), kDnnCrossCorrelation, kDnnFloat),
                "cudnnSetConvolution2dDescriptor");
  library.check(f.convolutionMath(convolution_, tf32 ? kDnnTensorMath : kDnnFmaMath), "cudnnSetConvolutionMathType");
  if (s.groups > 1) {
    library.check(f.convolutionGroups(convolution_, int(s.groups)), "cudnnSetConvolutionGroupCount");
  }
  if (!bias) return;
  tensor(bias_, 1, s.cout, 1, 1);
  library.check(f.activationCreate(&activation_), "cudnnCreateActivationDescriptor");
  library.check(f.activationSet(activation_, relu ? kDnnRelu : kDnnIdentity, kDnnNanIsZero, 0),
                "cudnnSetActivationDescriptor");
}

bool CudnnConvolution::findWorkspace() {
  const Cudnn& library = device_.library;
  const CudnnFunctions& f = library.functions;
  const std::lock_guard guard(device_.mutex);
  DnnStatus status = 0;
  switch (pass_) {
    case ConvolutionPass::forward:
      status = f.forwardWorkspace(device_.handle, x_, w_, convolution_, y_, kDnnForwardAlgorithm, &workspace_.bytes);
      break;
    case ConvolutionPass::input:
      status = f.inputWorkspace(device_.handle, w_, y_, convolution_, x_, kDnnInputAlgorithm, &workspace_.bytes);
      break;
    case ConvolutionPass::filter:
      status = f.filterWorkspace(device_.handle, x_, y_, convolution_, w_, kDnnFilterAlgorithm, &workspace_.bytes);
      break;
  }
  if (isUnsupported(status) || (status == 0 && workspace_.bytes > kMostWorkspace)) return false;
  library.check(status, "cudnnGetConvolution...WorkspaceSize");
  return true;
}

CudnnConvolution::~CudnnConvolution() {
  const CudnnFunctions& f = device_.library.functions;
  for (DnnTensor tensor : {x_, y_, bias_}) {
    if (tensor) f.tensorDestroy(tensor);
  }
  if (w_) f.filterDestroy(w_);
  if (convolution_) f.convolutionDestroy(convolution_);
  if (activation_) f.activationDestroy(activation_);
}

bool CudnnConvolution::run(CuStream stream, float* x, float* w, float* y, const float* bias, void* scratch) const {
  const Cudnn& library = device_.library;
  const CudnnFunctions& f = library.functions;
  void* const workspace = workspace_.in(scratch);
  const float one = 1, zero = 0;
  const std::lock_guard guard(device_.mutex);
  library.check(f.setStream(device_.handle, stream), "cudnnSetStream");
  const auto done = [&](DnnStatus status, const char* call) {
    if (isUnsupported(status)) return false;
    library.check(status, call);
    return true;
  };
  switch (pass_) {
    case ConvolutionPass::input:
      return done(f.input(device_.handle, &one, w_, w, y_, y, convolution_, kDnnInputAlgorithm, workspace,
                          workspace_.bytes, &zero, x_, x),
                  "cudnnConvolutionBackwardData");
    case ConvolutionPass::filter:
      return done(f.filter(device_.handle, &one, x_, x, y_, y, convolution_, kDnnFilterAlgorithm, workspace,
                           workspace_.bytes, &zero, w_, w),
                  "cudnnConvolutionBackwardFilter");
    case ConvolutionPass::forward:
      break;
  }
  if (!bias) {
    return done(f.forward(device_.handle, &one, x_, x, w_, w, convolution_, kDnnForwardAlgorithm, workspace,
                          workspace_.bytes, &zero, y_, y),
                "cudnnConvolutionForward");
  }
  return done(f.forwardWithBias(device_.handle, &one, x_, x, w_, w, convolution_, kDnnForwardAlgorithm, workspace,
                                workspace_.bytes, &zero, y_, y, bias_, bias, activation_, y_, y),
              "cudnnConvolutionBiasActivationForward");
}

}  // namespace chainrule::cuda
