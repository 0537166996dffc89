#pragma once

#include <cstddef>
#include <string>

#include "cuda/libraries/open.h"

// The functions of cuDNN 9 that are used here. Own declarations; names, values and meanings as in NVIDIA's
// documentation.
namespace chainrule::cuda {

using CuStream = struct CuStreamRecord*;  // as in cuda/driver.h
using DnnStatus = int;                    // 0: success
using DnnHandle = struct DnnHandleRecord*;
using DnnTensor = struct DnnTensorRecord*;
using DnnFilter = struct DnnFilterRecord*;
using DnnConvolution = struct DnnConvolutionRecord*;
using DnnActivation = struct DnnActivationRecord*;

inline bool isUnsupported(DnnStatus status) { return status / 1000 == 3; }  // shape, layout, GPU, ...

constexpr int kDnnFloat = 0, kDnnChannelsLast = 1, kDnnCrossCorrelation = 1;
constexpr int kDnnTensorMath = 0, kDnnFmaMath = 3;  // cudnnMathType_t: may use tf32, keeps float32
constexpr int kDnnIdentity = 5, kDnnRelu = 1;       // cudnnActivationMode_t
constexpr int kDnnNanIsZero = 0;                    // cudnnNanPropagation_t, as the relu of the kernels here
// IMPLICIT_PRECOMP_GEMM, ALGO_1 and ALGO_1, all of which give the same bits in every run.
constexpr int kDnnForwardAlgorithm = 1, kDnnInputAlgorithm = 1, kDnnFilterAlgorithm = 1;

struct CudnnFunctions {
  DnnStatus (*create)(DnnHandle*);
  DnnStatus (*destroy)(DnnHandle);
  DnnStatus (*setStream)(DnnHandle, CuStream);
  size_t (*getVersion)();
  const char* (*getErrorString)(DnnStatus);
  DnnStatus (*tensorCreate)(DnnTensor*);
  DnnStatus (*tensorDestroy)(DnnTensor);
  DnnStatus (*tensorSet)(DnnTensor, int format, int type, int n, int c, int h, int w);
  DnnStatus (*filterCreate)(DnnFilter*);
  DnnStatus (*filterDestroy)(DnnFilter);
  DnnStatus (*filterSet)(DnnFilter, int type, int format, int k, int c, int h, int w);
  DnnStatus (*convolutionCreate)(DnnConvolution*);
  DnnStatus (*convolutionDestroy)(DnnConvolution);
  DnnStatus (*convolutionSet)(DnnConvolution, int padH, int padW, int strideH, int strideW, int dilationH,
                              int dilationW, int mode, int type);
  DnnStatus (*convolutionMath)(DnnConvolution, int math);
  DnnStatus (*convolutionGroups)(DnnConvolution, int groups);
  DnnStatus (*activationCreate)(DnnActivation*);
  DnnStatus (*activationDestroy)(DnnActivation);
  DnnStatus (*activationSet)(DnnActivation, int mode, int nan, double ceiling);
  DnnStatus (*forwardWorkspace)(DnnHandle, DnnTensor x, DnnFilter, DnnConvolution, DnnTensor y, int algorithm,
                                size_t* bytes);
  DnnStatus (*inputWorkspace)(DnnHandle, DnnFilter, DnnTensor dy, DnnConvolution, DnnTensor dx, int algorithm,
                              size_t* bytes);
  DnnStatus (*filterWorkspace)(DnnHandle, DnnTensor x, DnnTensor dy, DnnConvolution, DnnFilter, int algorithm,
                               size_t* bytes);
  DnnStatus (*forward)(DnnHandle, const void* alpha, DnnTensor, const void* x, DnnFilter, const void* w, DnnConvolution,
                       int algorithm, void* workspace, size_t bytes, const void* beta, DnnTensor, void* y);
  DnnStatus (*forwardWithBias)(DnnHandle, const void* alpha, DnnTensor, const void* x, DnnFilter, const void* w,
                               DnnConvolution, int algorithm, void* workspace, size_t bytes, const void* alpha2,
                               DnnTensor, const void* z, DnnTensor, const void* bias, DnnActivation, DnnTensor,
                               void* y);
  DnnStatus (*input)(DnnHandle, const void* alpha, DnnFilter, const void* w, DnnTensor, const void* dy, DnnConvolution,
                     int algorithm, void* workspace, size_t bytes, const void* beta, DnnTensor, void* dx);
  DnnStatus (*filter)(DnnHandle, const void* alpha, DnnTensor, const void* x, DnnTensor, const void* dy, DnnConvolution,
                      int algorithm, void* workspace, size_t bytes, const void* beta, DnnFilter, void* dw);
};

// The library, or in one line why it is not used. Opened once.
struct Cudnn : VendorLibrary {
  CudnnFunctions functions = {};

  // Throws what a failed call has to say.
  void check(DnnStatus status, const char* call) const;
};
const Cudnn& cudnn(LibraryMemory memory);

}  // namespace chainrule::cuda
