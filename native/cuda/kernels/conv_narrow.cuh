#pragma once

// Convolutions of images of few channels, such as the first of a network: their sums are too short for tiles of a
// product. Outputs are chains of fused multiply-adds.

#include "base/bfloat16.h"
#include "base/conv_shape.h"
#include "cuda/kernels/gemm_tile.cuh"
#include "cuda/kernels/index.cuh"

namespace chainrule::cuda {

constexpr int kNarrowChannels = 4, kNarrowRows = 32;  // at most: of the image, and of the filter (taps times channels)
constexpr int kNarrowColumns = 32;                    // of the filter, of a block of the filter's gradient
constexpr int kNarrowWarps = 16;                      // of such a block

DEVICE float widened(float x) { return x; }
DEVICE float widened(uint16_t x) { return floatOf(uint32_t(x) << 16); }

constexpr int kNarrowPixels = 4;  // neighbouring outputs of a row that a thread of the forward pass makes

// What becomes of the sums. wide: four channels can be written at once.
struct NarrowResult {
  void* y;           // floats, or halfY: bfloat16
  const void* bias;  // of cout, or null: floats, or halfBias
  bool halfY, halfBias, relu, wide;
};
DEVICE float narrowValue(const NarrowResult& to, int channel, float sum) {
  if (to.bias) {
    sum += to.halfBias ? widened(static_cast<const uint16_t*>(to.bias)[channel])
                       : static_cast<const float*>(to.bias)[channel];
  }
  return to.relu && !(sum > 0) ? 0 : sum;
}
DEVICE void narrowStore(const NarrowResult& to, int64_t at, const Four& values, int count) {
  if (to.halfY) {
    struct alignas(8) Halves {
      uint16_t v[4];
    };
    uint16_t* const y = static_cast<uint16_t*>(to.y) + at;
    Halves halves;
#pragma unroll
    for (int e = 0; e < 4; ++e) halves.v[e] = roundToBfloat16(values.v[e]);
    if (to.wide) {
      *reinterpret_cast<Halves*>(y) = halves;
    } else {
      for (int e = 0; e < count; ++e) y[e] = halves.v[e];
    }
    return;
  }
  float* const y = static_cast<float*>(to.y) + at;
  if (to.wide) {
    *reinterpret_cast<Four*>(y) = values;
  } else {
    for (int e = 0; e < count; ++e) y[e] = values.v[e];
  }
}

// A thread makes four neighbouring channels of four neighbouring pixels of a row.
template <typename Element>
DEVICE void convNarrowForward(const ConvShape& s, const Element* x, const Element* filter, const NarrowResult& to) {
  Four* const taps = dynamicShared<Four>();  // the filter, rows of fours
  const int cout = int(s.cout), fours = (cout + 3) / 4, rows = int(s.kh * s.kw * s.cin);
  for (int i = int(threadIdx.x); i < rows * fours * 4; i += int(blockDim.x)) {
    const int row = i / (fours * 4), column = i % (fours * 4);
    taps[i / 4].v[i % 4] = column < cout ? widened(filter[row * cout + column]) : 0;
  }
  syncBlock();
  const int height = int(s.h), width = int(s.w), channels = int(s.cin), kh = int(s.kh), kw = int(s.kw);
  const int strideW = int(s.strideW), dilationH = int(s.dilationH), dilationW = int(s.dilationW);
  const int ow = int(s.ow), strips = (ow + kNarrowPixels - 1) / kNarrowPixels;
  for (int64_t i = globalThread(); i < s.n * s.oh * strips * fours; i += globalThreads()) {
    const Quotient four = divide(i, fours), strip = divide(four.quotient, strips), image = divide(strip.quotient, s.oh);
    const int column = int(four.rest) * 4, first = int(strip.rest) * kNarrowPixels;
    const int top = int(image.rest * s.strideH - s.padTop), left = first * strideW - int(s.padLeft);
    const Element* const from = x + image.quotient * s.h * s.w * s.cin;
    float sum[kNarrowPixels][4] = {};
    const Four* tap = taps + four.rest;
    for (int a = 0; a < kh; ++a) {
      const int h = top + a * dilationH;
      const bool rowInside = h >= 0 && h < height;
      const Element* const row = from + (rowInside ? h : 0) * width * channels;
#pragma unroll 3
      for (int b = 0; b < kw; ++b) {
        for (int c = 0; c < channels; ++c, tap += fours) {
          const Four factors = *tap;
#pragma unroll
          for (int p = 0; p < kNarrowPixels; ++p) {
            const int w = left + p * strideW + b * dilationW;
            const float value = rowInside && w >= 0 && w < width ? widened(row[w * channels + c]) : 0;
#pragma unroll
            for (int e = 0; e < 4; ++e) sum[p][e] = fmaOf(value, factors.v[e], sum[p][e]);
          }
        }
      }
    }
#pragma unroll
    for (int p = 0; p < kNarrowPixels; ++p) {
      if (first + p >= ow) break;
      Four result;
#pragma unroll
      for (int e = 0; e < 4; ++e) result.v[e] = column + e < cout ? narrowValue(to, column + e, sum[p][e]) : 0;
      narrowStore(to, (strip.quotient * ow + first + p) * cout + column, result, cout - column < 4 ? cout - column : 4);
    }
  }
}

// Four neighbours, as many of them as there are. wide: they can be read at once.
template <typename Element>
DEVICE Four fourOf(const Element* from, int count, bool wide) {
  struct alignas(4 * sizeof(Element)) Run {
    Element v[4];
  };
  Four four;
  if (wide) {
    const Run run = count > 0 ? *reinterpret_cast<const Run*>(from) : Run{};
#pragma unroll
    for (int e = 0; e < 4; ++e) four.v[e] = widened(run.v[e]);
  } else {
    for (int e = 0; e < 4; ++e) four.v[e] = e < count ? widened(from[e]) : 0;
  }
  return four;
}

// A lane is a row of the filter and sums 32 of its columns; each warp has its share of the pixels of a part, one after
// the other: partial[part][row][cout]. wide: four neighbours of dy can be read at once.
template <typename Element>
DEVICE void convNarrowFilter(const ConvShape& s, const Element* x, const Element* dy, int64_t parts, bool wide,
                             float* partial) {
  float* const sums = dynamicShared<float>();  // [warp][row][column]
  const int row = int(threadIdx.x) % kWarp, warp = int(threadIdx.x) / kWarp;
  const int channels = int(s.cin), kw = int(s.kw), rows = int(s.kh) * kw * channels;
  const int column0 = int(blockIdx.x) * kNarrowColumns, columns = int(s.cout) - column0;
  const int height = int(s.h), width = int(s.w), oh = int(s.oh), ow = int(s.ow);
  const int strideH = int(s.strideH), strideW = int(s.strideW);
  const int64_t pixels = s.n * s.oh * s.ow, shares = parts * kNarrowWarps, share = blockIdx.y * kNarrowWarps + warp;
  const int64_t begin = pixels * share / shares, end = pixels * (share + 1) / shares;

  // This lane's place in the window of the next pixel.
  const Quotient line = divide(begin, ow), image = divide(line.quotient, oh);
  int atW = int(line.rest), atH = int(image.rest);
  const int tap = row / channels;
  const int tapH = tap / kw * int(s.dilationH) - int(s.padTop), tapW = tap % kw * int(s.dilationW) - int(s.padLeft);
  const Element* from = x + image.quotient * height * width * channels + row % channels;
  const Element* grad = dy + begin * s.cout + column0;
  float sum[kNarrowColumns] = {};
#pragma unroll 2
  for (int64_t p = begin; p < end; ++p, grad += s.cout) {
    const int h = atH * strideH + tapH, w = atW * strideW + tapW;
    const bool inside = row < rows && h >= 0 && h < height && w >= 0 && w < width;
    const float value = inside ? widened(from[(h * width + w) * channels]) : 0;
#pragma unroll
    for (int j = 0; j < kNarrowColumns; j += 4) {
      const Four four = fourOf(grad + j, columns - j, wide);
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[j + e] = fmaOf(value, four.v[e], sum[j + e]);
    }
    if (++atW == ow) {
      atW = 0;
      if (++atH == oh) {
        atH = 0;
        from += int64_t(height) * width * channels;
      }
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
    if (column < columns)
      partial[(blockIdx.y * int64_t(rows) + i / kNarrowColumns) * s.cout + column0 + column] = total;
  }
}

KERNEL_BODY convNarrowForwardFloat(const ConvShape s, const float* x, const float* filter, const NarrowResult to) {
  convNarrowForward(s, x, filter, to);
}
KERNEL_BODY convNarrowForwardHalf(const ConvShape s, const uint16_t* x, const uint16_t* filter, const NarrowResult to) {
  convNarrowForward(s, x, filter, to);
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
