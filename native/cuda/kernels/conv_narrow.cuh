#pragma once

// Convolutions of images of few channels, such as the first of a network: their sums are too short for tiles of a
// product. Outputs are chains of fused multiply-adds.

#include "base/conv_shape.h"
#include "cuda/kernels/gemm_tile.cuh"
#include "cuda/kernels/index.cuh"

namespace chainrule::cuda {

constexpr int kNarrowChannels = 4, kNarrowRows = 32;  // at most: of the image, and of the filter (taps times channels)
constexpr int kNarrowColumns = 32;                    // of the filter, of a block of the filter's gradient
constexpr int kNarrowWarps = 16;                      // of such a block

DEVICE float widened(float x) { return x; }
DEVICE float widened(uint16_t x) { return floatOf(uint32_t(x) << 16); }

// The upper left corner of an output pixel's window.
struct WindowCorner {
  int64_t image;  // offset
  int32_t h, w;
};
DEVICE WindowCorner windowCorner(const ConvShape& s, int64_t pixel) {
  const Quotient row = divide(pixel, s.ow), image = divide(row.quotient, s.oh);
  return {image.quotient * s.h * s.w * s.cin, int32_t(image.rest * s.strideH - s.padTop),
          int32_t(row.rest * s.strideW - s.padLeft)};
}

// A thread makes four neighbouring channels of a pixel. wide: they can be written at once.
template <typename Element>
DEVICE void convNarrowForward(const ConvShape& s, const Element* x, const Element* filter, const float* bias, bool relu,
                              bool wide, float* y) {
  Four* const taps = dynamicShared<Four>();  // the filter, rows of fours
  const int cout = int(s.cout), fours = (cout + 3) / 4, rows = int(s.kh * s.kw * s.cin);
  for (int i = int(threadIdx.x); i < rows * fours * 4; i += int(blockDim.x)) {
    const int row = i / (fours * 4), column = i % (fours * 4);
    taps[i / 4].v[i % 4] = column < cout ? widened(filter[row * cout + column]) : 0;
  }
  syncBlock();
  const int height = int(s.h), width = int(s.w), channels = int(s.cin), count = int(s.kh * s.kw);
  for (int64_t i = globalThread(); i < s.n * s.oh * s.ow * fours; i += globalThreads()) {
    const Quotient at = divide(i, fours);
    const WindowCorner corner = windowCorner(s, at.quotient);
    Four sum = {};
    for (int tap = 0; tap < count; ++tap) {
      const int a = tap / int(s.kw), b = tap - a * int(s.kw);
      const int h = corner.h + a * int(s.dilationH), w = corner.w + b * int(s.dilationW);
      if (h < 0 || h >= height || w < 0 || w >= width) continue;
      for (int c = 0; c < channels; ++c) {
        const float value = widened(x[corner.image + (h * width + w) * channels + c]);
        const Four four = taps[(tap * channels + c) * fours + at.rest];
#pragma unroll
        for (int e = 0; e < 4; ++e) sum.v[e] = fmaOf(value, four.v[e], sum.v[e]);
      }
    }
    const int column = int(at.rest) * 4;
    float* const to = y + at.quotient * cout + column;
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      if (column + e >= cout) break;
      if (bias) sum.v[e] += bias[column + e];
      if (relu && !(sum.v[e] > 0)) sum.v[e] = 0;
    }
    if (wide) {
      *reinterpret_cast<Four*>(to) = sum;
    } else {
      for (int e = 0; e < 4 && column + e < cout; ++e) to[e] = sum.v[e];
    }
  }
}

// A lane is a row of the filter and sums 32 of its columns over every kNarrowWarps-th pixel of a part:
// partial[part][row][cout]. wide: four neighbours of dy can be read at once.
template <typename Element>
DEVICE void convNarrowFilter(const ConvShape& s, const Element* x, const Element* dy, int64_t parts, bool wide, float* partial) {
  float* const sums = dynamicShared<float>();  // [warp][row][column]
  const int row = int(threadIdx.x) % kWarp, warp = int(threadIdx.x) / kWarp;
  const int rows = int(s.kh * s.kw * s.cin), column0 = int(blockIdx.x) * kNarrowColumns;
  const int tap = row / int(s.cin), tapH = tap / int(s.kw) * int(s.dilationH), tapW = tap % int(s.kw) * int(s.dilationW);
  const int64_t pixels = s.n * s.oh * s.ow, part = blockIdx.y;
  const int64_t begin = pixels * part / parts, end = pixels * (part + 1) / parts;
  const int columns = int(s.cout) - column0;
  float sum[kNarrowColumns] = {};
#pragma unroll 2
  for (int64_t p = begin + warp; p < end; p += kNarrowWarps) {
    const WindowCorner corner = windowCorner(s, p);
    const int h = corner.h + tapH, w = corner.w + tapW;
    const bool inside = row < rows && h >= 0 && h < s.h && w >= 0 && w < s.w;
    const float value = inside ? widened(x[corner.image + (h * s.w + w) * s.cin + row % int(s.cin)]) : 0;
    const Element* const from = dy + p * s.cout + column0;
#pragma unroll
    for (int j = 0; j < kNarrowColumns; j += 4) {
      Four four = {};
      if (wide && j < columns) {
        if constexpr (sizeof(Element) == 4) {
          four = *reinterpret_cast<const Four*>(from + j);
        } else {
          struct alignas(8) {
            uint16_t v[4];
          } const halves = *reinterpret_cast<const decltype(halves)*>(from + j);
          for (int e = 0; e < 4; ++e) four.v[e] = widened(halves.v[e]);
        }
      } else {
        for (int e = 0; e < 4; ++e) four.v[e] = j + e < columns ? widened(from[j + e]) : 0;
      }
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[j + e] = fmaOf(value, four.v[e], sum[j + e]);
    }
  }
  if (row < rows) {
#pragma unroll
    for (int j = 0; j < kNarrowColumns; ++j) sums[(warp * rows + row) * kNarrowColumns + j] = sum[j];
  }
  syncBlock();
  for (int i = int(threadIdx.x); i < rows * kNarrowColumns; i += int(blockDim.x)) {
    float total = sums[i];
    for (int other = 1; other < kNarrowWarps; ++other) total += sums[other * rows * kNarrowColumns + i];
    const int column = i % kNarrowColumns;
    if (column < columns) partial[(part * rows + i / kNarrowColumns) * s.cout + column0 + column] = total;
  }
}

KERNEL_BODY convNarrowForwardFloat(const ConvShape s, const float* x, const float* filter, const float* bias, bool relu,
                                   bool wide, float* y) {
  convNarrowForward(s, x, filter, bias, relu, wide, y);
}
KERNEL_BODY convNarrowForwardHalf(const ConvShape s, const uint16_t* x, const uint16_t* filter, const float* bias,
                                  bool relu, bool wide, float* y) {
  convNarrowForward(s, x, filter, bias, relu, wide, y);
}
KERNEL_BODY __launch_bounds__(kNarrowWarps* kWarp)
    convNarrowFilterFloat(const ConvShape s, const float* x, const float* dy, int64_t parts, bool wide,
                          float* partial) {
  convNarrowFilter(s, x, dy, parts, wide, partial);
}
KERNEL_BODY __launch_bounds__(kNarrowWarps* kWarp)
    convNarrowFilterHalf(const ConvShape s, const uint16_t* x, const uint16_t* dy, int64_t parts, bool wide,
                          float* partial) {
  convNarrowFilter(s, x, dy, parts, wide, partial);
}

}  // namespace chainrule::cuda
