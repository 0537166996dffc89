#pragma once

#include <memory>

#include "base/conv_shape.h"
#include "cuda/libraries/libraries.h"

namespace chainrule::cuda {

enum class ConvolutionPass { forward, input, filter };

// A convolution, or one of its gradients, that cuDNN computes, by algorithms that give the same bits in every run.
// Images are [n, height, width, channels]; filters must lie as [cout, kh, kw, cin / groups].
class CudnnConvolution {
 public:
  // Whether it gains more than the filter's way into the library's layout costs: a rule of the shape.
  static bool pays(const DnnDevice& device, const ConvShape& shape);
  // Null where the library does not take the shape.
  static std::shared_ptr<const CudnnConvolution> make(const DnnDevice& device, const ConvShape& shape,
                                                      ConvolutionPass pass, bool tf32, bool bias, bool relu);
  ~CudnnConvolution();
  CudnnConvolution(const CudnnConvolution&) = delete;

  int64_t scratchBytes() const { return workspace_.scratchBytes(); }
  // `x`, `w` and `y` in their roles in the forward pass, gradients in the place of what they are gradients of; the one
  // that the pass computes is written. False: nothing was done, the library does not support it after all.
  bool run(CuStream stream, float* x, float* w, float* y, const float* bias, void* scratch) const;

 private:
  CudnnConvolution(const DnnDevice& device, ConvolutionPass pass) : device_(device), pass_(pass) {}
  void describe(const ConvShape& shape, bool tf32, bool bias, bool relu);
  bool findWorkspace();

  const DnnDevice& device_;
  const ConvolutionPass pass_;
  DnnTensor x_ = nullptr, y_ = nullptr, bias_ = nullptr;
  DnnFilter w_ = nullptr;
  DnnConvolution convolution_ = nullptr;
  DnnActivation activation_ = nullptr;
  LibraryWorkspace workspace_;
};

}  // namespace chainrule::cuda
