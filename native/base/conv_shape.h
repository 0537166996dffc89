#pragma once

#include <cstdint>

namespace chainrule {

// A convolution of NHWC images. Filter [kh][kw][cin / groups][cout], output channel o belongs to group
// o / (cout / groups).
struct ConvShape {
  int64_t n = 0, h = 0, w = 0, cin = 0;
  int64_t kh = 0, kw = 0;
  int64_t strideH = 1, strideW = 1, dilationH = 1, dilationW = 1;
  int64_t padTop = 0, padLeft = 0;  // what lies below and to the right follows from oh and ow
  int64_t oh = 0, ow = 0, cout = 0;
  int64_t groups = 1;

  constexpr int64_t groupIn() const { return cin / groups; }
  constexpr int64_t groupOut() const { return cout / groups; }
  constexpr int64_t filterRows() const { return kh * kw * groupIn(); }
};

}  // namespace chainrule
