#pragma once

#include <cstdint>

// Sizes of pooling over NHWC as its kernels take them.
namespace chainrule::cuda {

struct DevicePool {
  int64_t images;
  int32_t h, w, c, oh, ow;
  int32_t kh, kw, strideH, strideW, padTop, padLeft;
  bool wideIndex;  // places of maxima are i32 instead of u8
  bool four;       // a thread has four channels instead of one
};

}  // namespace chainrule::cuda
