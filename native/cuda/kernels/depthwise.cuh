#pragma once

// Depthwise convolution: each input channel has its own filters. One thread an element, neighbouring threads
// neighbouring channels.

#include "base/conv_shape.h"
#include "cuda/kernels/grid.cuh"

namespace chainrule::cuda {

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

}  // namespace chainrule::cuda
