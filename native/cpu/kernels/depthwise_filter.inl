// The filter gradient of depthwise convolution: blocks of 3 x 3 taps in registers, pixels streaming by.

// dw of `rows` x 3 neighbouring taps += pixels [begin, end) of a row of dy, for one vector of channels.
template <int rows>
CHAINRULE_INLINE void addFilterBlock(const float* x, int64_t xRow, int64_t xStep, int64_t tapStep, const float* dy,
                                     int64_t step, int64_t dyRow, int64_t pixels, float* dw, int64_t dwRow,
                                     int64_t dwStep) {
  Float acc[rows][3];
#pragma GCC unroll 9
  for (int t = 0; t < rows * 3; ++t) acc[t / 3][t % 3] = load(dw + t / 3 * dwRow + t % 3 * dwStep);
  for (int64_t j = 0; j < pixels; ++j) {
    const Float g = load(dy + j * step);
    const float* p = x + j * xStep;
    __builtin_prefetch(p + rows * xRow);  // the next row
    __builtin_prefetch(dy + dyRow + j * step);
#pragma GCC unroll 9
    for (int t = 0; t < rows * 3; ++t)
      acc[t / 3][t % 3] = fma(load(p + t / 3 * xRow + t % 3 * tapStep), g, acc[t / 3][t % 3]);
  }
#pragma GCC unroll 9
  for (int t = 0; t < rows * 3; ++t) store(dw + t / 3 * dwRow + t % 3 * dwStep, acc[t / 3][t % 3]);
}

// One tap, all channels from `first` on, pixels [begin, end).
static void addFilterTap(const ConvShape& s, const float* x, const float* dy, int64_t begin, int64_t end, int64_t first,
                         float* dw) {
  const int64_t multiplier = s.cout / s.cin;
  for (int64_t o = first; begin < end && o < s.cout; o += lanes) {
    const int count = int(least(lanes, s.cout - o));
    Float acc = loadSome(dw + o, count);
    for (int64_t j = begin; j < end; ++j) {
      acc = fma(inputOf(x + j * s.strideW * s.cin, o, multiplier, count), loadSome(dy + j * s.cout + o, count), acc);
    }
    storeSome(dw + o, acc, count);
  }
}

// One row of dy against window rows [r0, r0 + count), count <= 3, whose x rows start at `x`.
static void depthwiseFilterRows(const ConvShape& s, const float* x, const float* dy, int64_t r0, int64_t count,
                                float* dw) {
  const int64_t xRow = s.dilationH * s.w * s.cin, whole = s.cout == s.cin ? s.cout / lanes * lanes : 0;
  constexpr int64_t strip = 8;  // pixels whose lines stay in L1 for all channels
  for (int64_t c0 = 0; c0 < s.kw; c0 += 3) {
    const int64_t taps = least(3, s.kw - c0);
    Window inside[3];
    int64_t begin = 0, end = s.ow;  // where all of the three taps are inside
    for (int64_t t = 0; t < taps; ++t) {
      inside[t] = outputsInside((c0 + t) * s.dilationW - s.padLeft, s.strideW, s.w, s.ow);
      begin = most(begin, inside[t].begin);
      end = least(end, inside[t].end);
    }
    end = taps == 3 ? most(begin, end) : begin;
    const auto source = x + (c0 * s.dilationW - s.padLeft) * s.cin;
    for (int64_t r = 0; r < count; ++r) {
      for (int64_t t = 0; t < taps; ++t) {
        addFilterTap(s, source + r * xRow + t * s.dilationW * s.cin, dy, inside[t].begin, least(begin, inside[t].end),
                     0, dw + ((r0 + r) * s.kw + c0 + t) * s.cout);
      }
    }
    for (int64_t j = begin; j < end; j += strip) {
      const int64_t pixels = least(strip, end - j);
      for (int64_t o = 0; o < whole; o += lanes) {
        const float *p = source + j * s.strideW * s.cin + o, *g = dy + j * s.cout + o;
        float* to = dw + (r0 * s.kw + c0) * s.cout + o;
        const int64_t xStep = s.strideW * s.cin, tapStep = s.dilationW * s.cin;
        if (count == 3)
          addFilterBlock<3>(p, xRow, xStep, tapStep, g, s.cout, s.ow * s.cout, pixels, to, s.kw * s.cout, s.cout);
        else if (count == 2)
          addFilterBlock<2>(p, xRow, xStep, tapStep, g, s.cout, s.ow * s.cout, pixels, to, s.kw * s.cout, s.cout);
        else
          addFilterBlock<1>(p, xRow, xStep, tapStep, g, s.cout, s.ow * s.cout, pixels, to, s.kw * s.cout, s.cout);
      }
    }
    for (int64_t r = 0; r < count; ++r) {
      for (int64_t t = 0; t < taps; ++t) {
        const float* p = source + r * xRow + t * s.dilationW * s.cin;
        float* to = dw + ((r0 + r) * s.kw + c0 + t) * s.cout;
        addFilterTap(s, p, dy, begin, end, whole, to);
        addFilterTap(s, p, dy, most(end, inside[t].begin), inside[t].end, 0, to);
      }
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
      const int64_t top = row % s.oh * s.strideH - s.padTop;
      for (int64_t r = 0; r < s.kh;) {
        const int64_t i = top + r * s.dilationH;
        if (i < 0 || i >= s.h) {
          ++r;
          continue;
        }
        int64_t count = 1;
        while (count < 3 && r + count < s.kh && i + count * s.dilationH < s.h) ++count;
        depthwiseFilterRows(s, image + i * s.w * s.cin, dy + row * s.ow * s.cout, r, count, sums);
        r += count;
      }
    }
  }
}
