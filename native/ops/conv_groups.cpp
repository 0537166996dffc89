#include "ops/conv_groups.h"

#include <algorithm>
#include <cstring>

#include "cpu/kernel_table.h"

namespace chainrule::ops {

namespace {
constexpr int64_t kBlockBytes = 128 << 10;  // spread rows stay in L2
}

SmallGroups::SmallGroups(const ConvShape& shape) : shape_(shape), in_(shape.groupIn()), out_(shape.groupOut()) {
  const int64_t rowBytes = std::max<int64_t>(1, shape.w * shape.cout * 4);
  const int64_t reach = (shape.kh - 1) * shape.dilationH + 1, fit = kBlockBytes / (rowBytes * in_);
  block_ = std::clamp<int64_t>((fit - reach) / shape.strideH + 1, 1, std::max<int64_t>(1, shape.oh));
  slots_ = std::min(shape.h, (block_ - 1) * shape.strideH + reach);
  inputBlock_ = std::clamp<int64_t>(kBlockBytes / rowBytes, 1, std::max<int64_t>(1, shape.h));
}

void SmallGroups::arrange(const float* filter, float* arranged, Range rows) const {
  const int64_t c = shape_.cout;
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    for (int64_t k = 0; k < in_; ++k) {
      for (int64_t j = 0; j < shape_.kw; ++j)
        std::memcpy(arranged + ((r * in_ + k) * shape_.kw + j) * c, filter + ((r * shape_.kw + j) * in_ + k) * c,
                    size_t(c) * 4);
    }
  }
}

void SmallGroups::restore(const float* arranged, float* filter, Range rows) const {
  const int64_t c = shape_.cout;
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    for (int64_t k = 0; k < in_; ++k) {
      for (int64_t j = 0; j < shape_.kw; ++j)
        std::memcpy(filter + ((r * shape_.kw + j) * in_ + k) * c, arranged + ((r * in_ + k) * shape_.kw + j) * c,
                    size_t(c) * 4);
    }
  }
}

void SmallGroups::arrangeForInput(const float* filter, float* arranged, Range rows) const {
  const int64_t c = shape_.cout;
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    for (int64_t k = 0; k < in_; ++k) {
      for (int64_t j = 0; j < shape_.kw; ++j)
        std::memcpy(arranged + ((k * shape_.kh + r) * shape_.kw + j) * c, filter + ((r * shape_.kw + j) * in_ + k) * c,
                    size_t(c) * 4);
    }
  }
}

template <typename Body>
void SmallGroups::eachBlock(const cpu::KernelTable& k, const float* x, Range rows, std::byte* scratch,
                            Body body) const {
  const ConvShape& s = shape_;
  float* const spread = reinterpret_cast<float*>(scratch);
  for (int64_t row = rows.begin; row < rows.end;) {
    const int64_t image = row / s.oh, oi = row % s.oh;
    const int64_t count = std::min({block_, s.oh - oi, rows.end - row});
    const int64_t top = oi * s.strideH - s.padTop;
    const int64_t first = std::clamp<int64_t>(top, 0, s.h);
    const int64_t bottom = top + (count - 1) * s.strideH + (s.kh - 1) * s.dilationH + 1;
    const int64_t last = std::clamp<int64_t>(bottom, first, s.h);
    for (int64_t i = first; i < last; ++i) {
      for (int64_t channel = 0; channel < in_; ++channel)
        k.spreadChannels(x + (image * s.h + i) * s.w * s.cin, s.cin, in_, channel, out_,
                         spread + ((i - first) * in_ + channel) * s.w * s.cout, 0, s.w);
    }
    ConvShape d = s;
    d.n = 1, d.h = (last - first) * in_, d.cin = d.groups = s.cout, d.oh = count;
    d.kh = s.kh * in_, d.strideH = s.strideH * in_, d.padTop = (first - top) * in_;
    body(d, spread, row);
    row += count;
  }
}

void SmallGroups::forward(const cpu::KernelTable& k, const float* x, const float* arranged, const float* bias,
                          cpu::Activation activation, float* y, Range rows, std::byte* scratch) const {
  eachBlock(k, x, rows, scratch, [&](const ConvShape& d, const float* spread, int64_t row) {
    k.depthwiseForward(d, spread, arranged, bias, activation, y + row * d.ow * d.cout, 0, d.oh);
  });
}

void SmallGroups::backwardFilter(const cpu::KernelTable& k, const float* x, const float* dy, float* dw, Range rows,
                                 std::byte* scratch) const {
  eachBlock(k, x, rows, scratch, [&](const ConvShape& d, const float* spread, int64_t row) {
    k.depthwiseBackwardFilter(d, spread, dy + row * d.ow * d.cout, dw, 0, d.oh);
  });
}

// The gradient of a spread image, row by row, and the sums of its groups.
void SmallGroups::backwardData(const cpu::KernelTable& k, const float* dy, const float* arranged, float* dx, Range rows,
                               std::byte* scratch) const {
  const ConvShape& s = shape_;
  ConvShape d = s;
  d.n = 1, d.cin = d.groups = s.cout;
  float* const spread = reinterpret_cast<float*>(scratch);
  for (int64_t row = rows.begin; row < rows.end;) {
    const int64_t image = row / s.h, i = row % s.h, count = std::min({inputBlock_, s.h - i, rows.end - row});
    for (int64_t channel = 0; channel < in_; ++channel) {
      k.depthwiseBackwardData(d, dy + image * s.oh * s.ow * s.cout, arranged + channel * s.kh * s.kw * s.cout,
                              spread - i * s.w * s.cout, i, i + count);
      k.foldChannels(spread, s.cin, in_, channel, out_, dx + row * s.w * s.cin, 0, count * s.w);
    }
    row += count;
  }
}

}  // namespace chainrule::ops
