// Depthwise convolution: vectors run over channels, each with a filter of its own; a last one may be partial. In the
// interior of a row four pixels share the loads of the weights, with the usual windows those of x as well; at its ends
// every pixel walks the taps that are inside the image. Chains: forward over (r, c) ascending; dx over r ascending, c
// descending (dy in memory order); dw over pixels.

constexpr int kPixels = 4;

// Neighbouring pixels of y from the taps that all of them have: rows x columns of them.
struct TapBlock {
  const float* x;
  int64_t xRow, xColumn, xPixel;  // between rows and columns of taps, and from pixel to pixel
  const float* w;
  int64_t wRow, wColumn;
  int64_t rows, columns;
  int64_t channels;
  const float* bias;
  Activation activation;
  float* y;
  int64_t yPixel, yRow;  // yRow: to the row that is computed next
};

template <bool partial>
CHAINRULE_INLINE Float loadLanes(const float* p, int count) {
  return partial ? loadPartial(p, count) : load(p);
}

// The range of outputs for which tap position `offset` = tap * dilation - pad stays inside [0, size).
CHAINRULE_INLINE Window outputsInside(int64_t offset, int64_t stride, int64_t size, int64_t outputs) {
  const int64_t begin = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  const int64_t end = offset >= size ? 0 : least(outputs, (size - 1 - offset) / stride + 1);
  return {begin, most(begin, end)};
}

template <bool partial>
CHAINRULE_INLINE void finishPixel(const TapBlock& b, int64_t o, int64_t pixel, Float sum, int count) {
  if (b.bias) sum = sum + loadLanes<partial>(b.bias + o, count);
  if (b.activation.relu) sum = relu(sum, b.activation.ceiling);
  float* to = b.y + pixel * b.yPixel + o;
  partial ? storePartial(to, sum, count) : store(to, sum);
}

// Any taps; loads of weights are shared by pixels only.
template <int pixels, int vectors, bool partial>
CHAINRULE_INLINE void anyTaps(const TapBlock& b, int64_t o, int count) {
  Float acc[vectors][pixels];
#pragma GCC unroll 4
  for (int v = 0; v < vectors; ++v) {
#pragma GCC unroll 4
    for (int p = 0; p < pixels; ++p) acc[v][p] = Float(0.0f);
  }
  for (int64_t r = 0; r < b.rows; ++r) {
    const float *x = b.x + r * b.xRow + o, *w = b.w + r * b.wRow + o;
    for (int64_t c = 0; c < b.columns; ++c, x += b.xColumn, w += b.wColumn) {
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) {
        const Float weight = loadLanes<partial>(w + v * lanes, count);
#pragma GCC unroll 4
        for (int p = 0; p < pixels; ++p)
          acc[v][p] = fma(loadLanes<partial>(x + p * b.xPixel + v * lanes, count), weight, acc[v][p]);
      }
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < vectors; ++v) {
#pragma GCC unroll 4
    for (int p = 0; p < pixels; ++p) finishPixel<partial>(b, o + v * lanes, p, acc[v][p], count);
  }
}
template <int pixels>
static void anyPixels(const TapBlock& b) {
  constexpr int vectors = pixels == 1 ? 4 : 2;  // 4 or 8 chains hide the latency of fma
  int64_t o = 0;
  for (; o + vectors * lanes <= b.channels; o += vectors * lanes) anyTaps<pixels, vectors, false>(b, o, lanes);
  for (; o + lanes <= b.channels; o += lanes) anyTaps<pixels, 1, false>(b, o, lanes);
  if (o < b.channels) anyTaps<pixels, 1, true>(b, o, int(b.channels - o));
}

// Taps of a known number of columns, xPixel = columns * stride: every x is loaded once.
template <int columns, int stride, bool partial>
CHAINRULE_INLINE void knownColumns(const TapBlock& b, int64_t o, int count) {
  Float acc[kPixels];
  for (Float& a : acc) a = Float(0.0f);
  for (int64_t r = 0; r < b.rows; ++r) {
    const float *x = b.x + r * b.xRow + o, *w = b.w + r * b.wRow + o;
    Float weights[columns];
#pragma GCC unroll 8
    for (int c = 0; c < columns; ++c) weights[c] = loadLanes<partial>(w + c * b.wColumn, count);
#pragma GCC unroll 16
    for (int q = 0; q < (kPixels - 1) * stride + columns; ++q) {
      const Float value = loadLanes<partial>(x + q * b.xColumn, count);
#pragma GCC unroll 4
      for (int p = 0; p < kPixels; ++p) {
        if (q >= p * stride && q < p * stride + columns) acc[p] = fma(value, weights[q - p * stride], acc[p]);
      }
    }
  }
#pragma GCC unroll 4
  for (int p = 0; p < kPixels; ++p) finishPixel<partial>(b, o, p, acc[p], count);
}
template <int columns, int stride>
static void knownTaps(const TapBlock& b) {
  const int64_t nextRow = b.xRow > 0 ? b.rows * b.xRow : -b.xRow;
  for (int64_t o = 0; o < b.channels; o += lanes) {
    if (o % 16 == 0) {  // the next row's lines, which arrive too late by themselves: too many streams at once
#pragma GCC unroll 4
      for (int p = 0; p < kPixels; ++p) {
        __builtin_prefetch(b.x + nextRow + p * b.xPixel + o);
        __builtin_prefetch(b.y + b.yRow + p * b.yPixel + o, 1);
      }
    }
    if (o + lanes <= b.channels)
      knownColumns<columns, stride, false>(b, o, lanes);
    else
      knownColumns<columns, stride, true>(b, o, int(b.channels - o));
  }
}
using TapFunction = void (*)(const TapBlock&);
static TapFunction tapsOf(int64_t columns, int64_t stride, int64_t dilation) {
  if (dilation == 1 && columns == 3 && stride <= 2) return stride == 1 ? knownTaps<3, 1> : knownTaps<3, 2>;
  if (dilation == 1 && columns == 5 && stride <= 2) return stride == 1 ? knownTaps<5, 1> : knownTaps<5, 2>;
  return anyPixels<kPixels>;
}

// Pixels [0, pixels) of a row, of which [inside.begin, inside.end) have all taps. `block` is what pixel 0 would have if
// it had them all, `columnsOf(j)` are the columns of pixel j.
template <typename ColumnsOf>
CHAINRULE_INLINE void tapRow(const TapBlock& block, int64_t pixels, Window inside, TapFunction four,
                             ColumnsOf columnsOf) {
  for (int64_t j = 0; j < pixels;) {
    TapBlock b = block;
    if (j >= inside.begin && j < inside.end && inside.end - inside.begin >= kPixels) {
      const int64_t start = least(j, inside.end - kPixels);  // the last ones partly once more
      b.x += start * b.xPixel, b.y += start * b.yPixel;
      four(b);
      j = start + kPixels;
      continue;
    }
    const Window columns = columnsOf(j);
    b.x += j * b.xPixel + columns.begin * b.xColumn, b.w += columns.begin * b.wColumn, b.y += j * b.yPixel;
    b.columns = columns.end - columns.begin;
    anyPixels<1>(b);
    ++j;
  }
}

// The taps of output `o` of an axis that lie inside [0, size).
CHAINRULE_INLINE Window tapsInside(int64_t o, int64_t stride, int64_t pad, int64_t dilation, int64_t taps,
                                   int64_t size) {
  const int64_t first = o * stride - pad;
  const int64_t begin = first >= 0 ? 0 : least(taps, (-first + dilation - 1) / dilation);
  return {begin, most(begin, least(taps, first < size ? (size - 1 - first) / dilation + 1 : 0))};
}

static void depthwiseForward(const ConvShape& s, const float* x, const float* filter, const float* bias,
                             Activation activation, float* y, int64_t rowBegin, int64_t rowEnd) {
  const int64_t begin = outputsInside(-s.padLeft, s.strideW, s.w, s.ow).begin;
  const int64_t end = outputsInside((s.kw - 1) * s.dilationW - s.padLeft, s.strideW, s.w, s.ow).end;
  const TapFunction four = tapsOf(s.kw, s.strideW, s.dilationW);
  for (int64_t row = rowBegin; row < rowEnd; ++row) {
    const float* image = x + row / s.oh * s.h * s.w * s.cin;
    const int64_t top = row % s.oh * s.strideH - s.padTop;
    float* out = y + row * s.ow * s.cout;
    const Window rows = tapsInside(row % s.oh, s.strideH, s.padTop, s.dilationH, s.kh, s.h);
    const TapBlock block{image + ((top + rows.begin * s.dilationH) * s.w - s.padLeft) * s.cin,
                         s.dilationH * s.w * s.cin,
                         s.dilationW * s.cin,
                         s.strideW * s.cin,
                         filter + rows.begin * s.kw * s.cout,
                         s.kw * s.cout,
                         s.cout,
                         rows.end - rows.begin,
                         s.kw,
                         s.cout,
                         bias,
                         activation,
                         out,
                         s.cout,
                         s.ow * s.cout};
    tapRow(block, s.ow, {begin, end}, four,
           [&](int64_t j) { return tapsInside(j, s.strideW, s.padLeft, s.dilationW, s.kw, s.w); });
  }
}

// One pixel of dx.
static void depthwiseGradientOne(const ConvShape& s, const float* dy, int64_t i, int64_t j, const float* filter,
                                 float* dx) {
  fill(dx, 4, 0, s.cin);
  struct Tap {
    const float* source;
    const float* weight;
  };
  constexpr int64_t kTaps = 64;  // a longer list is walked in parts
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
    for (int64_t ci = 0; ci < s.cin; ci += lanes) {
      const int count = int(least(lanes, s.cin - ci));
      Float acc = loadSome(dx + ci, count);
      for (int64_t t = 0; t < found; ++t) {
        acc = fma(loadSome(taps[t].source + ci, count), loadSome(taps[t].weight + ci, count), acc);
      }
      storeSome(dx + ci, acc, count);
    }
    found = 0;
  }
}

// The taps t of an axis that reach pixel i: i + pad = output * stride + t * dilation. With stride 1 these are all taps,
// their outputs `dilation` apart; with dilation 1 every stride-th, their outputs one apart. Each output is below the
// one before.
struct Reaching {
  int64_t first, count;  // taps first, first + stride, ...
  int64_t output;        // that of the first tap
};
CHAINRULE_INLINE Reaching reaching(int64_t i, int64_t stride, int64_t pad, int64_t dilation, int64_t taps,
                                   int64_t outputs) {
  int64_t first = stride == 1 ? 0 : (i + pad) % stride;
  const int64_t down = stride == 1 ? dilation : 1;
  int64_t output = (i + pad - first * dilation) / stride;
  if (output >= outputs) {
    const int64_t skip = (output - outputs) / down + 1;
    first += skip * stride, output -= skip * down;
  }
  if (first >= taps || output < 0) return {0, 0, 0};
  return {first, least((taps - 1 - first) / stride, output / down) + 1, output};
}

static void depthwiseBackwardData(const ConvShape& s, const float* dy, const float* filter, float* dx, int64_t rowBegin,
                                  int64_t rowEnd) {
  // The same sums with the taps of a row reversed. Pixels that are a stride apart have the same taps; with stride and
  // dilation both, the taps are looked for one by one.
  const bool regular = (s.strideH == 1 || s.dilationH == 1) && (s.strideW == 1 || s.dilationW == 1);
  const TapFunction four = tapsOf(s.strideW == 1 ? s.kw : 0, 1, s.dilationW);
  const int64_t down = s.strideW == 1 ? s.dilationW : 1;
  for (int64_t row = rowBegin; row < rowEnd; ++row) {
    const float* image = dy + row / s.h * s.oh * s.ow * s.cout;
    float* out = dx + row * s.w * s.cin;
    const int64_t i = row % s.h;
    for (int64_t j = 0; !regular && j < s.w; ++j) depthwiseGradientOne(s, image, i, j, filter, out + j * s.cin);
    const Reaching rows = regular ? reaching(i, s.strideH, s.padTop, s.dilationH, s.kh, s.oh) : Reaching{0, 0, 0};
    for (int64_t phase = 0; regular && phase < s.strideW && phase < s.w; ++phase) {
      // Taps of this phase from the last to the first, whose outputs for pixel 0 of the phase begin at `left`.
      const int64_t first = s.strideW == 1 ? 0 : (phase + s.padLeft) % s.strideW;
      const int64_t taps = first < s.kw ? (s.kw - 1 - first) / s.strideW + 1 : 0;
      const int64_t left = (phase + s.padLeft - first * s.dilationW) / s.strideW - (taps - 1) * down;
      const int64_t pixels = (s.w - phase + s.strideW - 1) / s.strideW;
      const TapBlock block{image + (rows.output * s.ow + left) * s.cout,
                           -(s.strideH == 1 ? s.dilationH : 1) * s.ow * s.cout,
                           down * s.cout,
                           s.cout,
                           filter + (rows.first * s.kw + first + (taps - 1) * s.strideW) * s.cout,
                           s.strideH * s.kw * s.cout,
                           -s.strideW * s.cout,
                           rows.count,
                           taps,
                           s.cin,
                           nullptr,
                           Activation(),
                           out + phase * s.cin,
                           s.strideW * s.cin,
                           s.w * s.cin};
      const Window inside = {most(0, -left), least(pixels, s.ow - left - (taps - 1) * down)};
      tapRow(block, pixels, inside, four, [&](int64_t j) { return tapsInside(j + left, 1, 0, down, taps, s.ow); });
    }
  }
}
