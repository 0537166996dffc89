#pragma once

// Depthwise convolution: each input channel has its own filters. Neighbouring threads have neighbouring channels: four
// each where every channel has one filter, else one.

#include "base/conv_shape.h"
#include "cuda/gemm.h"
#include "cuda/kernels/fold.cuh"
#include "cuda/kernels/four.cuh"

namespace chainrule::cuda {

constexpr int kDepthwisePixels = 4;  // neighbours of a row that a thread makes

DEVICE void addProducts(const Four& a, const Four& b, Four& sum) {
#pragma unroll
  for (int e = 0; e < 4; ++e) sum.v[e] = fmaOf(a.v[e], b.v[e], sum.v[e]);
}

// Which row (or column) of the image a tap reads for a pixel of the grid; negative: none.
DEVICE int windowPlace(int at, int divide, int size) {
  if (at < 0) return -1;
  if (divide > 1) {
    const int place = at / divide;
    if (place * divide != at) return -1;
    at = place;
  }
  return at < size ? at : -1;
}

// The windows of images over a grid, channel by channel: the output of the forward pass, or the input's gradient.
KERNEL_BODY depthwiseWindows(const GemmWindow w, int64_t images, int fours, const Four* x, const Four* filter,
                             const float* bias, bool relu, Four* y) {
  const int strips = (w.gridWidth + kDepthwisePixels - 1) / kDepthwisePixels;
  const int64_t count = images * w.gridHeight * strips * fours;
  for (int64_t i = globalThread(); i < count; i += globalThreads()) {
    const Quotient four = divide(i, fours), strip = divide(four.quotient, strips);
    const Quotient row = divide(strip.quotient, w.gridHeight);
    const int channel = int(four.rest), first = int(strip.rest) * kDepthwisePixels;
    const int top = int(row.rest) * w.step[0] + w.add[0], left = first * w.step[1] + w.add[1];
    Four sum[kDepthwisePixels] = {};
    for (int a = 0; a < w.taps[0]; ++a) {
      const int h = windowPlace(top + a * w.tap[0], w.divide[0], w.height);
      if (h < 0) continue;
      const Four* const line = x + (row.quotient * w.height + h) * w.width * fours + channel;
      for (int b = 0; b < w.taps[1]; ++b) {
        const Four tap = filter[(a * w.taps[1] + b) * fours + channel];
#pragma unroll
        for (int p = 0; p < kDepthwisePixels; ++p) {
          const int at = windowPlace(left + p * w.step[1] + b * w.tap[1], w.divide[1], w.width);
          if (at >= 0) addProducts(line[at * fours], tap, sum[p]);
        }
      }
    }
    Four* const to = y + (strip.quotient * w.gridWidth + first) * fours + channel;
#pragma unroll
    for (int p = 0; p < kDepthwisePixels; ++p) {
      if (first + p >= w.gridWidth) break;
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        if (bias) sum[p].v[e] += bias[channel * 4 + e];
        if (relu && !(sum[p].v[e] > 0)) sum[p].v[e] = 0;
      }
      to[p * fours] = sum[p];
    }
  }
}

KERNEL_BODY depthwiseForward(const ConvShape s, const float* x, const float* filter, const float* bias, bool relu,
                             float* y) {
  const int64_t count = s.n * s.oh * s.ow * s.cout, multiplier = s.groupOut();
  for (int64_t i = globalThread(); i < count; i += globalThreads()) {
    const int64_t o = i % s.cout, pixel = i / s.cout, ow = pixel % s.ow, row = pixel / s.ow, oh = row % s.oh;
    const float* image = x + row / s.oh * s.h * s.w * s.cin + o / multiplier;
    float sum = 0;
    for (int64_t a = 0; a < s.kh; ++a) {
      const int64_t h = oh * s.strideH + a * s.dilationH - s.padTop;
      if (h < 0 || h >= s.h) continue;
      for (int64_t b = 0; b < s.kw; ++b) {
        const int64_t w = ow * s.strideW + b * s.dilationW - s.padLeft;
        if (w >= 0 && w < s.w) sum = fmaOf(image[(h * s.w + w) * s.cin], filter[(a * s.kw + b) * s.cout + o], sum);
      }
    }
    if (bias) sum += bias[o];
    y[i] = relu && !(sum > 0) ? 0 : sum;
  }
}

KERNEL_BODY depthwiseInput(const ConvShape s, const float* dy, const float* filter, float* dx) {
  const int64_t count = s.n * s.h * s.w * s.cin, multiplier = s.groupOut();
  for (int64_t i = globalThread(); i < count; i += globalThreads()) {
    const int64_t c = i % s.cin, pixel = i / s.cin, w = pixel % s.w, row = pixel / s.w, h = row % s.h;
    const float* image = dy + row / s.h * s.oh * s.ow * s.cout + c * multiplier;
    float sum = 0;
    for (int64_t a = 0; a < s.kh; ++a) {
      const int64_t th = h + s.padTop - a * s.dilationH, oh = th / s.strideH;
      if (th < 0 || th % s.strideH != 0 || oh >= s.oh) continue;
      for (int64_t b = 0; b < s.kw; ++b) {
        const int64_t tw = w + s.padLeft - b * s.dilationW, ow = tw / s.strideW;
        if (tw < 0 || tw % s.strideW != 0 || ow >= s.ow) continue;
        for (int64_t j = 0; j < multiplier; ++j) {
          sum = fmaOf(image[(oh * s.ow + ow) * s.cout + j], filter[(a * s.kw + b) * s.cout + c * multiplier + j], sum);
        }
      }
    }
    dx[i] = sum;
  }
}

constexpr int kDepthwiseRows = 8;  // of threads in a block, each with 32 channels

// A block sums one tap of 32 channels over a part of the pixels: partial[part][tap][cout].
KERNEL_BODY depthwiseFilter(const ConvShape s, const float* x, const float* dy, int64_t parts, float* partial) {
  __shared__ float sums[kDepthwiseRows][kWarp];
  const int lane = int(threadIdx.x) % kWarp, own = int(threadIdx.x) / kWarp;
  const int64_t o = int64_t(blockIdx.x) * kWarp + lane, tap = blockIdx.y, part = blockIdx.z;
  const int64_t pixels = s.n * s.oh * s.ow, begin = pixels * part / parts, end = pixels * (part + 1) / parts;
  float sum = 0;
  for (int64_t p = begin + own; o < s.cout && p < end; p += kDepthwiseRows) {
    const int64_t ow = p % s.ow, row = p / s.ow, oh = row % s.oh;
    const int64_t h = oh * s.strideH + tap / s.kw * s.dilationH - s.padTop;
    const int64_t w = ow * s.strideW + tap % s.kw * s.dilationW - s.padLeft;
    if (h < 0 || h >= s.h || w < 0 || w >= s.w) continue;
    sum = fmaOf(x[((row / s.oh * s.h + h) * s.w + w) * s.cin + o / s.groupOut()], dy[p * s.cout + o], sum);
  }
  sums[own][lane] = sum;
  syncBlock();
  if (own > 0 || o >= s.cout) return;
  for (int i = 1; i < kDepthwiseRows; ++i) sum += sums[i][lane];
  partial[(part * s.kh * s.kw + tap) * s.cout + o] = sum;
}

constexpr int kFilterThreads = 256, kFilterTaps = 4;  // neighbouring taps of a row of the filter that a block sums

DEVICE Four fourAt(const float* x, bool aligned) {
  return aligned ? *reinterpret_cast<const Four*>(x) : Four{{x[0], x[1], x[2], x[3]}};
}
struct FourFold {
  DEVICE_MEMBER static Four join(const Four& a, const Four& b) {
    return {{a.v[0] + b.v[0], a.v[1] + b.v[1], a.v[2] + b.v[2], a.v[3] + b.v[3]}};
  }
};

// The same for channels in fours with one filter each, `lanes` of them in a block, whose other threads have other
// pixels. blockIdx.y counts the runs of taps of all rows of the filter.
KERNEL_BODY __launch_bounds__(kFilterThreads)
    depthwiseFilterFours(const ConvShape s, const float* x, const float* dy, bool aligned, int lanes, int64_t parts,
                         Four* partial) {
  __shared__ Four shared[kFilterThreads];
  const int fours = int(s.cout) / 4, depth = kFilterThreads / lanes, own = int(threadIdx.x) / lanes;
  const int four = int(blockIdx.x) * lanes + int(threadIdx.x) % lanes;
  const int kw = int(s.kw), runs = (kw + kFilterTaps - 1) / kFilterTaps;
  const int a = int(blockIdx.y) / runs, b = (int(blockIdx.y) - a * runs) * kFilterTaps;
  const int64_t part = blockIdx.z, pixels = s.n * s.oh * s.ow;
  const int64_t begin = pixels * part / parts, end = pixels * (part + 1) / parts;
  const int ow = int(s.ow), oh = int(s.oh), strideW = int(s.strideW), dilationW = int(s.dilationW);
  const bool valid = own < depth && four < fours;
  Four sum[kFilterTaps] = {};
  if (valid && begin + own < end) {
    const Quotient row = divide(begin + own, ow), image = divide(row.quotient, oh);
    int column = int(row.rest), line = int(image.rest);
    const float* from = x + (image.quotient * s.h * s.w * fours + four) * 4;
    for (int64_t p = begin + own; p < end; p += depth) {
      const int h = line * int(s.strideH) + a * int(s.dilationH) - int(s.padTop);
      if (h >= 0 && h < s.h) {
        const Four gradient = fourAt(dy + (p * fours + four) * 4, aligned);
        const int left = column * strideW + b * dilationW - int(s.padLeft);
#pragma unroll
        for (int k = 0; k < kFilterTaps; ++k) {
          const int w = left + k * dilationW;
          if (b + k < kw && w >= 0 && w < s.w)
            addProducts(fourAt(from + (h * s.w + w) * fours * 4, aligned), gradient, sum[k]);
        }
      }
      for (column += depth; column >= ow; column -= ow) {
        if (++line < oh) continue;
        line = 0;
        from += s.h * s.w * fours * 4;
      }
    }
  }
#pragma unroll
  for (int k = 0; k < kFilterTaps; ++k) {
    sum[k] = foldColumns<FourFold>(sum[k], shared, lanes, depth);
    if (valid && own == 0 && b + k < kw) partial[(part * s.kh * kw + a * kw + b + k) * fours + four] = sum[k];
  }
}

}  // namespace chainrule::cuda
