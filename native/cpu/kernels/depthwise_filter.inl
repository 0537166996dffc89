// The filter gradient of depthwise convolution: blocks of up to 3 x 3 taps in registers, pixels streaming by.

// Of a block of taps: distances in x and dw from tap to tap, and from pixel to pixel.
struct FilterBlock {
  int64_t xRow, xColumn, xPixel, dyPixel, dyRow, dwRow, dwColumn;
};

// dw of rows x columns neighbouring taps += `pixels` of a row of dy, for one vector of channels, or its first lanes.
template <int rows, int columns, bool partial>
static void addFilterBlock(const FilterBlock& b, const float* x, const float* dy, int64_t pixels, float* dw,
                           int count) {
  Float acc[rows][columns];
#pragma GCC unroll 3
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 3
    for (int c = 0; c < columns; ++c) acc[r][c] = loadLanes<partial>(dw + r * b.dwRow + c * b.dwColumn, count);
  }
  for (int64_t j = 0; j < pixels; ++j) {
    const Float g = loadLanes<partial>(dy + j * b.dyPixel, count);
    const float* p = x + j * b.xPixel;
    __builtin_prefetch(p + rows * b.xRow);  // the next row
    __builtin_prefetch(dy + b.dyRow + j * b.dyPixel);
#pragma GCC unroll 3
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 3
      for (int c = 0; c < columns; ++c)
        acc[r][c] = fma(loadLanes<partial>(p + r * b.xRow + c * b.xColumn, count), g, acc[r][c]);
    }
  }
#pragma GCC unroll 3
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 3
    for (int c = 0; c < columns; ++c) {
      float* to = dw + r * b.dwRow + c * b.dwColumn;
      partial ? storePartial(to, acc[r][c], count) : store(to, acc[r][c]);
    }
  }
}
using FilterFunction = void (*)(const FilterBlock&, const float*, const float*, int64_t, float*, int);
template <bool partial>
static constexpr FilterFunction filterBlocks[3][3] = {
    {addFilterBlock<1, 1, partial>, addFilterBlock<1, 2, partial>, addFilterBlock<1, 3, partial>},
    {addFilterBlock<2, 1, partial>, addFilterBlock<2, 2, partial>, addFilterBlock<2, 3, partial>},
    {addFilterBlock<3, 1, partial>, addFilterBlock<3, 2, partial>, addFilterBlock<3, 3, partial>}};

// One tap, pixels [begin, end).
static void addFilterTap(const ConvShape& s, const float* x, const float* dy, int64_t begin, int64_t end, float* dw) {
  for (int64_t o = 0; begin < end && o < s.cout; o += lanes) {
    const int count = int(least(lanes, s.cout - o));
    Float acc = loadSome(dw + o, count);
    for (int64_t j = begin; j < end; ++j) {
      acc = fma(loadSome(x + j * s.strideW * s.cin + o, count), loadSome(dy + j * s.cout + o, count), acc);
    }
    storeSome(dw + o, acc, count);
  }
}

// One row of dy against window rows [r0, r0 + count), count <= 3, whose x rows start at `x`.
static void depthwiseFilterRows(const ConvShape& s, const float* x, const float* dy, int64_t r0, int64_t count,
                                float* dw) {
  const int64_t xRow = s.dilationH * s.w * s.cin;
  constexpr int64_t strip = 8;  // pixels whose lines stay in L1 for all channels
  for (int64_t c0 = 0; c0 < s.kw; c0 += 3) {
    const int64_t taps = least(3, s.kw - c0);
    Window inside[3];
    int64_t begin = 0, end = s.ow;  // where all of these taps are inside
    for (int64_t t = 0; t < taps; ++t) {
      inside[t] = outputsInside((c0 + t) * s.dilationW - s.padLeft, s.strideW, s.w, s.ow);
      begin = most(begin, inside[t].begin);
      end = least(end, inside[t].end);
    }
    end = most(begin, end);
    const auto source = x + (c0 * s.dilationW - s.padLeft) * s.cin;
    for (int64_t r = 0; r < count; ++r) {
      for (int64_t t = 0; t < taps; ++t) {
        addFilterTap(s, source + r * xRow + t * s.dilationW * s.cin, dy, inside[t].begin, least(begin, inside[t].end),
                     dw + ((r0 + r) * s.kw + c0 + t) * s.cout);
      }
    }
    const FilterBlock block{xRow, s.dilationW * s.cin, s.strideW * s.cin, s.cout, s.ow * s.cout, s.kw * s.cout, s.cout};
    for (int64_t j = begin; j < end; j += strip) {
      for (int64_t o = 0; o < s.cout; o += lanes) {
        const int used = int(least(lanes, s.cout - o));
        const auto& blocks = used < lanes ? filterBlocks<true> : filterBlocks<false>;
        blocks[count - 1][taps - 1](block, source + j * block.xPixel + o, dy + j * s.cout + o, least(strip, end - j),
                                    dw + (r0 * s.kw + c0) * s.cout + o, used);
      }
    }
    for (int64_t r = 0; r < count; ++r) {
      for (int64_t t = 0; t < taps; ++t) {
        const float* p = source + r * xRow + t * s.dilationW * s.cin;
        float* to = dw + ((r0 + r) * s.kw + c0 + t) * s.cout;
        addFilterTap(s, p, dy, most(end, inside[t].begin), inside[t].end, to);
      }
    }
  }
}

static void depthwiseBackwardFilter(const ConvShape& s, const float* x, const float* dy, float* dw, int64_t rowBegin,
                                    int64_t rowEnd) {
  for (int64_t row = rowBegin; row < rowEnd; ++row) {
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
      depthwiseFilterRows(s, image + i * s.w * s.cin, dy + row * s.ow * s.cout, r, count, dw);
      r += count;
    }
  }
}
