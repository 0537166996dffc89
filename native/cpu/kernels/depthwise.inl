// Depthwise convolution: vectors run over channels, each with a filter of its own. Bound by memory, so a few pixels at
// a time share the weights and the rest is streaming. Chains run over the taps that lie inside the image, in order (r,
// c).

constexpr int kPixels = 4;  // per group, in registers

// `count` output channels from `o` on, of the input pixel p.
CHAINRULE_INLINE Float inputOf(const float* p, int64_t o, int64_t multiplier, int count) {
  if (multiplier == 1) return loadSome(p + o, count);
  float values[lanes] = {};
  for (int i = 0; i < count; ++i) values[i] = p[(o + i) / multiplier];
  return load(values);
}

// The range of outputs for which tap position `offset` = tap * dilation - pad stays inside [0, size).
CHAINRULE_INLINE Window outputsInside(int64_t offset, int64_t stride, int64_t size, int64_t outputs) {
  const int64_t begin = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  const int64_t end = offset >= size ? 0 : least(outputs, (size - 1 - offset) / stride + 1);
  return {begin, most(begin, end)};
}

template <int pixels>
CHAINRULE_INLINE void depthwisePixels(const ConvShape& s, const float* image, int64_t top, int64_t oj,
                                      const float* filter, const float* bias, Activation activation, float* y) {
  const int64_t multiplier = s.cout / s.cin, left = oj * s.strideW - s.padLeft, step = s.strideW * s.cin;
  for (int64_t o = 0; o < s.cout; o += lanes) {
    const int count = int(least(lanes, s.cout - o));
    Float acc[pixels];
    for (Float& a : acc) a = Float(0.0f);
    for (int64_t r = 0; r < s.kh; ++r) {
      const int64_t i = top + r * s.dilationH;
      if (i < 0 || i >= s.h) continue;
      for (int64_t c = 0; c < s.kw; ++c) {
        const int64_t j = left + c * s.dilationW;
        if (pixels == 1 && (j < 0 || j >= s.w)) continue;
        const Float weight = loadSome(filter + (r * s.kw + c) * s.cout + o, count);
        const float* p = image + (i * s.w + j) * s.cin;
#pragma GCC unroll 4
        for (int k = 0; k < pixels; ++k) acc[k] = fma(inputOf(p + k * step, o, multiplier, count), weight, acc[k]);
      }
    }
    const Float add = bias ? loadSome(bias + o, count) : Float(0.0f);
#pragma GCC unroll 4
    for (int k = 0; k < pixels; ++k) {
      const Float sum = bias ? acc[k] + add : acc[k];
      storeSome(y + k * s.cout + o, activation == Activation::relu ? relu(sum) : sum, count);
    }
  }
}

static void depthwiseForward(const ConvShape& s, const float* x, const float* filter, const float* bias,
                             Activation activation, float* y, int64_t rowBegin, int64_t rowEnd) {
  const int64_t begin = outputsInside(-s.padLeft, s.strideW, s.w, s.ow).begin;
  const int64_t end =
      most(begin, outputsInside((s.kw - 1) * s.dilationW - s.padLeft, s.strideW, s.w, s.ow).end);  // interior columns
  for (int64_t row = rowBegin; row < rowEnd; ++row) {
    const float* image = x + row / s.oh * s.h * s.w * s.cin;
    const int64_t top = row % s.oh * s.strideH - s.padTop;
    for (int64_t oj = 0; oj < s.ow;) {
      float* out = y + (row * s.ow + oj) * s.cout;
      if (oj >= begin && oj + kPixels <= end) {
        depthwisePixels<kPixels>(s, image, top, oj, filter, bias, activation, out);
        oj += kPixels;
      } else {
        depthwisePixels<1>(s, image, top, oj, filter, bias, activation, out);
        ++oj;
      }
    }
  }
}

// dx of `pixels` neighbouring columns of one row; more than one only at stride 1 where all taps are inside.
template <int pixels>
CHAINRULE_INLINE void depthwiseGradientPixels(const ConvShape& s, const float* dy, int64_t i, int64_t j,
                                              const float* filter, float* dx) {
  const int64_t multiplier = s.cout / s.cin;
  for (int64_t ci = 0; ci < s.cin; ci += lanes) {
    const int count = int(least(lanes, s.cin - ci));
    Float acc[pixels];
    for (Float& a : acc) a = Float(0.0f);
    for (int64_t r = 0; r < s.kh; ++r) {
      const int64_t above = i + s.padTop - r * s.dilationH;
      if (above < 0 || above % s.strideH != 0 || above / s.strideH >= s.oh) continue;
      for (int64_t c = 0; c < s.kw; ++c) {
        const int64_t before = j + s.padLeft - c * s.dilationW;
        if (pixels == 1 && (before < 0 || before % s.strideW != 0 || before / s.strideW >= s.ow)) continue;
        const float* g = dy + (above / s.strideH * s.ow + before / s.strideW) * s.cout;
        const float* w = filter + (r * s.kw + c) * s.cout;
        for (int64_t m = 0; m < multiplier; ++m) {
          if (multiplier == 1) {
            const Float weight = loadSome(w + ci, count);
#pragma GCC unroll 4
            for (int k = 0; k < pixels; ++k) acc[k] = fma(loadSome(g + k * s.cout + ci, count), weight, acc[k]);
            continue;
          }
          float weights[lanes] = {}, values[lanes] = {};
          for (int l = 0; l < count; ++l) weights[l] = w[(ci + l) * multiplier + m];
#pragma GCC unroll 4
          for (int k = 0; k < pixels; ++k) {
            for (int l = 0; l < count; ++l) values[l] = g[k * s.cout + (ci + l) * multiplier + m];
            acc[k] = fma(load(values), load(weights), acc[k]);
          }
        }
      }
    }
#pragma GCC unroll 4
    for (int k = 0; k < pixels; ++k) storeSome(dx + k * s.cin + ci, acc[k], count);
  }
}

static void depthwiseBackwardData(const ConvShape& s, const float* dy, const float* filter, float* dx, int64_t rowBegin,
                                  int64_t rowEnd) {
  const int64_t begin = (s.kw - 1) * s.dilationW - s.padLeft,
                end = s.ow - s.padLeft;  // columns with all taps inside, at stride 1
  for (int64_t row = rowBegin; row < rowEnd; ++row) {
    const float* image = dy + row / s.h * s.oh * s.ow * s.cout;
    for (int64_t j = 0; j < s.w;) {
      float* out = dx + (row * s.w + j) * s.cin;
      if (s.strideW == 1 && j >= begin && j + kPixels <= least(end, s.w)) {
        depthwiseGradientPixels<kPixels>(s, image, row % s.h, j, filter, out);
        j += kPixels;
      } else {
        depthwiseGradientPixels<1>(s, image, row % s.h, j, filter, out);
        ++j;
      }
    }
  }
}

// One row of dy against `taps` neighbouring taps of window row r, added to dw.
template <int taps>
CHAINRULE_INLINE void depthwiseFilterTaps(const ConvShape& s, const float* source, const float* gradient, int64_t c0,
                                          float* dw) {
  const int64_t multiplier = s.cout / s.cin;
  Window inside[taps];
  int64_t begin = 0, end = s.ow;  // where all taps are inside
  for (int t = 0; t < taps; ++t) {
    inside[t] = outputsInside((c0 + t) * s.dilationW - s.padLeft, s.strideW, s.w, s.ow);
    begin = most(begin, inside[t].begin);
    end = least(end, inside[t].end);
  }
  if (end < begin) end = begin;
  const float* corner = source + (c0 * s.dilationW - s.padLeft) * s.cin;
  for (int64_t o = 0; o < s.cout; o += lanes) {
    const int count = int(least(lanes, s.cout - o));
    Float acc[taps];
#pragma GCC unroll 4
    for (int t = 0; t < taps; ++t) {
      acc[t] = loadSome(dw + t * s.cout + o, count);
      for (int64_t j = inside[t].begin; j < least(begin, inside[t].end); ++j) {
        acc[t] = fma(inputOf(corner + (j * s.strideW + t * s.dilationW) * s.cin, o, multiplier, count),
                     loadSome(gradient + j * s.cout + o, count), acc[t]);
      }
    }
    for (int64_t j = begin; j < end; ++j) {
      const Float g = loadSome(gradient + j * s.cout + o, count);
#pragma GCC unroll 4
      for (int t = 0; t < taps; ++t)
        acc[t] = fma(inputOf(corner + (j * s.strideW + t * s.dilationW) * s.cin, o, multiplier, count), g, acc[t]);
    }
#pragma GCC unroll 4
    for (int t = 0; t < taps; ++t) {
      for (int64_t j = most(end, inside[t].begin); j < inside[t].end; ++j) {
        acc[t] = fma(inputOf(corner + (j * s.strideW + t * s.dilationW) * s.cin, o, multiplier, count),
                     loadSome(gradient + j * s.cout + o, count), acc[t]);
      }
      storeSome(dw + t * s.cout + o, acc[t], count);
    }
  }
}

static void depthwiseBackwardFilter(const ConvShape& s, const float* x, const float* dy, float* dw, int64_t chunkBegin,
                                    int64_t chunkEnd) {
  const int64_t size = s.kh * s.kw * s.cout, chunks = depthwiseFilterChunks(s), total = s.n * s.oh;
  for (int64_t chunk = chunkBegin; chunk < chunkEnd; ++chunk) {
    float* sums = dw + chunk * size;
    fill(sums, 4, 0, size);
    for (int64_t row = total * chunk / chunks; row < total * (chunk + 1) / chunks; ++row) {
      const float* image = x + row / s.oh * s.h * s.w * s.cin;
      const float* gradient = dy + row * s.ow * s.cout;
      for (int64_t r = 0; r < s.kh; ++r) {
        const int64_t i = row % s.oh * s.strideH - s.padTop + r * s.dilationH;
        if (i < 0 || i >= s.h) continue;
        const float* source = image + i * s.w * s.cin;
        int64_t c = 0;
        for (; c + 3 <= s.kw; c += 3) depthwiseFilterTaps<3>(s, source, gradient, c, sums + (r * s.kw + c) * s.cout);
        for (; c < s.kw; ++c) depthwiseFilterTaps<1>(s, source, gradient, c, sums + (r * s.kw + c) * s.cout);
      }
    }
  }
}
