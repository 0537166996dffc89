// Depthwise convolution: vectors run over channels, each with a filter of its own. In the interior of a row four pixels
// share the loads of x and of the weights; at its ends every pixel walks a list of the taps that are inside the image.
// Chains: forward over (r, c) ascending; dx over r ascending, c descending (dy in memory order); dw over pixels.

constexpr int kPixels = 4;
constexpr int64_t kTaps = 64;  // a longer list is walked in parts

struct Tap {
  const float* source;
  const float* weight;
};

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

// acc[p] += sum over kw taps of x[p * stride + c] * w[c], for four neighbouring outputs: every x is loaded once.
template <int kw, int stride>
CHAINRULE_INLINE void addTaps(const float* x, int64_t xStep, const float* w, int64_t wStep, Float (&acc)[kPixels]) {
  Float weights[kw];
#pragma GCC unroll 8
  for (int c = 0; c < kw; ++c) weights[c] = load(w + c * wStep);
#pragma GCC unroll 16
  for (int q = 0; q < (kPixels - 1) * stride + kw; ++q) {
    const Float value = load(x + q * xStep);
#pragma GCC unroll 4
    for (int p = 0; p < kPixels; ++p) {
      if (q >= p * stride && q < p * stride + kw) acc[p] = fma(value, weights[q - p * stride], acc[p]);
    }
  }
}

// Four outputs of whole vectors of channels: rows of x at x + r * xRow, weights at w + r * wRow + c * wStep.
template <int kw, int stride>
CHAINRULE_INLINE void depthwiseFour(const float* x, int64_t xRow, int64_t xStep, const float* w, int64_t wRow,
                                    int64_t wStep, int64_t rows, int64_t channels, const float* bias,
                                    Activation activation, float* y, int64_t yStep, int64_t yRow) {
  const int64_t nextRow = xRow > 0 ? rows * xRow : -xRow;
  for (int64_t o = 0; o + lanes <= channels; o += lanes) {
    Float acc[kPixels];
    for (Float& a : acc) a = Float(0.0f);
    if (o % 16 == 0) {  // the next row's lines, which arrive too late by themselves: too many streams at once
#pragma GCC unroll 4
      for (int p = 0; p < kPixels; ++p) {
        __builtin_prefetch(x + nextRow + p * stride * xStep + o);
        __builtin_prefetch(y + yRow + p * yStep + o, 1);
      }
    }
    for (int64_t r = 0; r < rows; ++r) addTaps<kw, stride>(x + r * xRow + o, xStep, w + r * wRow + o, wStep, acc);
    const Float add = bias ? load(bias + o) : Float(0.0f);
#pragma GCC unroll 4
    for (int p = 0; p < kPixels; ++p) {
      const Float sum = bias ? acc[p] + add : acc[p];
      store(y + p * yStep + o, activation.relu ? relu(sum, activation.ceiling) : sum);
    }
  }
}
using DepthwiseFour = void (*)(const float*, int64_t, int64_t, const float*, int64_t, int64_t, int64_t, int64_t,
                               const float*, Activation, float*, int64_t, int64_t);
template <int kw, int stride>
static void depthwiseFourOf(const float* x, int64_t xRow, int64_t xStep, const float* w, int64_t wRow, int64_t wStep,
                            int64_t rows, int64_t channels, const float* bias, Activation activation, float* y,
                            int64_t yStep, int64_t yRow) {
  depthwiseFour<kw, stride>(x, xRow, xStep, w, wRow, wStep, rows, channels, bias, activation, y, yStep, yRow);
}
static DepthwiseFour fourOutputs(int64_t kw, int64_t stride) {
  if (kw == 3) return stride == 1 ? depthwiseFourOf<3, 1> : stride == 2 ? depthwiseFourOf<3, 2> : nullptr;
  if (kw == 5) return stride == 1 ? depthwiseFourOf<5, 1> : stride == 2 ? depthwiseFourOf<5, 2> : nullptr;
  return nullptr;
}

// Channels [first, cout) of one output pixel.
static void depthwiseOne(const ConvShape& s, const float* image, int64_t top, int64_t oj, const float* filter,
                         const float* bias, Activation activation, int64_t first, float* y) {
  const int64_t multiplier = s.cout / s.cin, left = oj * s.strideW - s.padLeft;
  for (int64_t o = first; o < s.cout; o += lanes) {
    const int count = int(least(lanes, s.cout - o));
    Float acc(0.0f);
    for (int64_t r = 0; r < s.kh; ++r) {
      const int64_t i = top + r * s.dilationH;
      if (i < 0 || i >= s.h) continue;
      for (int64_t c = 0; c < s.kw; ++c) {
        const int64_t j = left + c * s.dilationW;
        if (j < 0 || j >= s.w) continue;
        const Float weight = loadSome(filter + (r * s.kw + c) * s.cout + o, count);
        acc = fma(inputOf(image + (i * s.w + j) * s.cin, o, multiplier, count), weight, acc);
      }
    }
    if (bias) acc = acc + loadSome(bias + o, count);
    storeSome(y + o, activation.relu ? relu(acc, activation.ceiling) : acc, count);
  }
}

static void depthwiseForward(const ConvShape& s, const float* x, const float* filter, const float* bias,
                             Activation activation, float* y, int64_t rowBegin, int64_t rowEnd) {
  const DepthwiseFour four = s.dilationW == 1 && s.cout == s.cin ? fourOutputs(s.kw, s.strideW) : nullptr;
  const int64_t begin = outputsInside(-s.padLeft, s.strideW, s.w, s.ow).begin;
  const int64_t end = four ? most(begin, outputsInside(s.kw - 1 - s.padLeft, s.strideW, s.w, s.ow).end) : begin;
  const int64_t whole = s.cout / lanes * lanes;
  for (int64_t row = rowBegin; row < rowEnd; ++row) {
    const float* image = x + row / s.oh * s.h * s.w * s.cin;
    const int64_t top = row % s.oh * s.strideH - s.padTop;
    const Window rows = {top >= 0 ? 0 : (-top + s.dilationH - 1) / s.dilationH,
                         least(s.kh, top < s.h ? (s.h - 1 - top) / s.dilationH + 1 : 0)};
    for (int64_t oj = 0; oj < s.ow;) {
      float* out = y + (row * s.ow + oj) * s.cout;
      if (oj < begin || oj + kPixels > end) {
        depthwiseOne(s, image, top, oj++, filter, bias, activation, 0, out);
        continue;
      }
      const float* from = image + ((top + rows.begin * s.dilationH) * s.w + oj * s.strideW - s.padLeft) * s.cin;
      four(from, s.dilationH * s.w * s.cin, s.cin, filter + rows.begin * s.kw * s.cout, s.kw * s.cout, s.cout,
           most(rows.end - rows.begin, 0), s.cout, bias, activation, out, s.cout, s.ow * s.cout);
      for (int p = 0; whole < s.cout && p < kPixels; ++p) {
        depthwiseOne(s, image, top, oj + p, filter, bias, activation, whole, out + p * s.cout);
      }
      oj += kPixels;
    }
  }
}

// Channels [first, cin) of one pixel of dx.
static void depthwiseGradientOne(const ConvShape& s, const float* dy, int64_t i, int64_t j, const float* filter,
                                 int64_t first, float* dx) {
  const int64_t multiplier = s.cout / s.cin;
  for (int64_t ci = first; ci < s.cin; ci += lanes) {
    storeSome(dx + ci, Float(0.0f), int(least(lanes, s.cin - ci)));
  }
  Tap taps[kTaps];
  int64_t found = 0;
  for (int64_t tap = 0; tap < s.kh * s.kw; ++tap) {
    const int64_t r = tap / s.kw, c = s.kw - 1 - tap % s.kw;
    const int64_t above = i + s.padTop - r * s.dilationH, before = j + s.padLeft - c * s.dilationW;
    const bool inside = above >= 0 && above % s.strideH == 0 && above / s.strideH < s.oh && before >= 0 &&
                        before % s.strideW == 0 && before / s.strideW < s.ow;
    if (inside)
      taps[found++] = {dy + (above / s.strideH * s.ow + before / s.strideW) * s.cout, filter + (r * s.kw + c) * s.cout};
    if (found < kTaps && tap + 1 < s.kh * s.kw) continue;
    for (int64_t ci = first; ci < s.cin; ci += lanes) {
      const int count = int(least(lanes, s.cin - ci));
      Float acc = loadSome(dx + ci, count);
      for (int64_t t = 0; t < found; ++t) {
        if (multiplier == 1) {
          acc = fma(loadSome(taps[t].source + ci, count), loadSome(taps[t].weight + ci, count), acc);
          continue;
        }
        for (int64_t m = 0; m < multiplier; ++m) {
          float values[lanes] = {}, weights[lanes] = {};
          for (int l = 0; l < count; ++l) {
            values[l] = taps[t].source[(ci + l) * multiplier + m];
            weights[l] = taps[t].weight[(ci + l) * multiplier + m];
          }
          acc = fma(load(values), load(weights), acc);
        }
      }
      storeSome(dx + ci, acc, count);
    }
    found = 0;
  }
}

static void depthwiseBackwardData(const ConvShape& s, const float* dy, const float* filter, float* dx, int64_t rowBegin,
                                  int64_t rowEnd) {
  // At stride 1 the same sum with the taps of a row reversed: output row r's taps lie at dy row i + padTop - r.
  const bool plain = s.strideW == 1 && s.strideH == 1 && s.dilationW == 1 && s.dilationH == 1 && s.cout == s.cin;
  const DepthwiseFour four = plain ? fourOutputs(s.kw, 1) : nullptr;
  const int64_t begin = most(s.kw - 1 - s.padLeft, 0), end = four ? least(s.ow - s.padLeft, s.w) : 0;
  const int64_t whole = s.cin / lanes * lanes;
  for (int64_t row = rowBegin; row < rowEnd; ++row) {
    const float* image = dy + row / s.h * s.oh * s.ow * s.cout;
    const int64_t i = row % s.h, first = most(0, i + s.padTop - s.oh + 1), last = least(s.kh - 1, i + s.padTop);
    for (int64_t j = 0; j < s.w;) {
      float* out = dx + (row * s.w + j) * s.cin;
      if (j < begin || j + kPixels > end) {
        depthwiseGradientOne(s, image, i, j++, filter, 0, out);
        continue;
      }
      const float* from = image + ((i + s.padTop - first) * s.ow + j + s.padLeft - (s.kw - 1)) * s.cout;
      four(from, -s.ow * s.cout, s.cout, filter + (first * s.kw + s.kw - 1) * s.cout, s.kw * s.cout, -s.cout,
           most(last - first + 1, 0), s.cin, nullptr, Activation(), out, s.cin, s.w * s.cin);
      for (int p = 0; whole < s.cin && p < kPixels; ++p) {
        depthwiseGradientOne(s, image, i, j + p, filter, whole, out + p * s.cin);
      }
      j += kPixels;
    }
  }
}
