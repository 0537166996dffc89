// Pooling over NHWC: vectors run over channels; windows are clipped to the image.

struct Window {  // the clipped part of a window, in kernel coordinates
  int64_t begin, end;
};
CHAINRULE_INLINE Window clippedWindow(int64_t origin, int64_t kernel, int64_t size) {
  return {origin < 0 ? -origin : 0, least(kernel, size - origin)};
}

CHAINRULE_INLINE void storeIndex(const PoolShape& s, void* index, int64_t at, Int where, int count) {
  if (s.wideIndex()) return storePartial(static_cast<int32_t*>(index) + at, where, count);
  uint8_t* p = static_cast<uint8_t*>(index) + at;
  if (count == lanes) return storeBytes(p, where);
  int32_t places[lanes];
  store(places, where);
  for (int i = 0; i < count; ++i) p[i] = uint8_t(places[i]);
}
CHAINRULE_INLINE Int loadIndex(const PoolShape& s, const void* index, int64_t at, int count) {
  if (s.wideIndex()) return loadPartial(static_cast<const int32_t*>(index) + at, count);
  const uint8_t* p = static_cast<const uint8_t*>(index) + at;
  if (count == lanes) return loadBytes(p);
  int32_t places[lanes] = {};
  for (int i = 0; i < count; ++i) places[i] = p[i];
  return load(places);
}

// `vectors` vectors of channels of one window whose first pixel is at p; `count` of the last one, unless whole. A NaN
// wins, of equals the first.
template <int vectors, bool whole, bool indexed>
CHAINRULE_INLINE void maxPoolVectors(const PoolShape& s, const float* p, Window rows, Window columns, float* y,
                                     void* index, int64_t at, int count) {
  Float best[vectors];
  Int where[vectors];
#pragma GCC unroll 4
  for (int v = 0; v < vectors; ++v) {
    best[v] = Float(-__builtin_inff());
    where[v] = Int(int32_t(rows.begin * s.kw + columns.begin));
  }
  for (int64_t i = rows.begin; i < rows.end; ++i, p += s.w * s.c) {
    const float* pixel = p;
    for (int64_t j = columns.begin; j < columns.end; ++j, pixel += s.c) {
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) {
        const Float value = whole ? load(pixel + v * lanes) : loadPartial(pixel, count);
        if (indexed) {
          const Mask better = beats(true, value, best[v]);
          best[v] = select(better, value, best[v]);
          where[v] = select(better, Int(int32_t(i * s.kw + j)), where[v]);
        } else {
          best[v] = select(value == value, maxOr(value, best[v]), value);
        }
      }
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < vectors; ++v) {
    if (whole)
      store(y + at + v * lanes, best[v]);
    else
      storePartial(y + at, best[v], count);
    if (indexed) storeIndex(s, index, at + v * lanes, where[v], whole ? lanes : count);
  }
}

// Where a vector of channels from c on begins: the last one may lie over the one before.
CHAINRULE_INLINE int64_t lastWhole(int64_t c, int64_t channels) { return least(c, channels - lanes); }

template <bool indexed>
static void maxPoolRows(const PoolShape& s, const float* x, float* y, void* index, int64_t rowBegin, int64_t rowEnd) {
  for (int64_t row = rowBegin; row < rowEnd; ++row) {
    const int64_t image = row / s.oh, top = row % s.oh * s.strideH - s.padTop;
    const Window rows = clippedWindow(top, s.kh, s.h);
    for (int64_t column = 0; column < s.ow; ++column) {
      const int64_t left = column * s.strideW - s.padLeft, out = (row * s.ow + column) * s.c;
      const Window columns = clippedWindow(left, s.kw, s.w);
      const float* p = x + ((image * s.h + top + rows.begin) * s.w + left + columns.begin) * s.c;
      int64_t c = 0;
      for (; c + 4 * lanes <= s.c; c += 4 * lanes)
        maxPoolVectors<4, true, indexed>(s, p + c, rows, columns, y, index, out + c, lanes);
      for (; c < s.c && s.c >= lanes; c += lanes) {
        const int64_t at = lastWhole(c, s.c);
        maxPoolVectors<1, true, indexed>(s, p + at, rows, columns, y, index, out + at, lanes);
      }
      if (c < s.c) maxPoolVectors<1, false, indexed>(s, p, rows, columns, y, index, out, int(s.c));
    }
  }
}
static void maxPool(const PoolShape& s, const float* x, float* y, void* index, int64_t rowBegin, int64_t rowEnd) {
  if (index)
    maxPoolRows<true>(s, x, y, index, rowBegin, rowEnd);
  else
    maxPoolRows<false>(s, x, y, index, rowBegin, rowEnd);
}

// The output positions whose windows contain position p.
CHAINRULE_INLINE Window windowsOver(int64_t p, int64_t pad, int64_t kernel, int64_t stride, int64_t outputs) {
  const int64_t first = p + pad - kernel + 1;
  return {first <= 0 ? 0 : (first + stride - 1) / stride, least(outputs, (p + pad) / stride + 1)};
}

// Moves the windows over a pixel on to those over the next one, `p`.
CHAINRULE_INLINE void moveWindows(Window& over, int64_t p, int64_t pad, int64_t kernel, int64_t stride,
                                  int64_t outputs) {
  while (over.begin < outputs && over.begin * stride - pad + kernel <= p) ++over.begin;
  while (over.end < outputs && over.end * stride - pad <= p) ++over.end;
}

// Neighbouring vectors of channels of one pixel of dx: what the windows over it give, in their order. (Adding window by
// window in memory would wait for every store.) first: the pixel's place in the window (rows.begin, columns.begin).
template <int vectors, bool whole>
CHAINRULE_INLINE void gatherMaxima(const PoolShape& s, const float* dy, const void* index, int64_t image, Window rows,
                                   Window columns, int64_t first, int64_t c, int count, float* dx) {
  Float sum[vectors];
  for (Float& v : sum) v = Float(0.0f);
  for (int64_t oi = rows.begin; oi < rows.end; ++oi) {
    int64_t place = first - (oi - rows.begin) * s.strideH * s.kw;
    int64_t from = ((image * s.oh + oi) * s.ow + columns.begin) * s.c + c;
    for (int64_t oj = columns.begin; oj < columns.end; ++oj, place -= s.strideW, from += s.c) {
      const Int mine{int32_t(place)};
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) {
        const int64_t at = from + v * lanes;
        const Mask chosen = loadIndex(s, index, at, whole ? lanes : count) == mine;
        sum[v] = sum[v] + select(chosen, whole ? load(dy + at) : loadPartial(dy + at, count), Float(0.0f));
      }
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < vectors; ++v) whole ? store(dx + v * lanes, sum[v]) : storePartial(dx, sum[v], count);
}

// Where windows lie apart, every pixel of a row of dx is written once: zeros here where there are none.
CHAINRULE_INLINE void clearBesideWindows(const PoolShape& s, float* dx, Window rows) {
  const bool all = rows.begin >= rows.end || s.strideW > s.kw;
  const int64_t from = all ? 0 : least(s.w, s.ow * s.strideW - s.padLeft);
  fill(dx + from * s.c, 4, 0, (s.w - from) * s.c);
}

template <bool whole>
static void maxPoolBackwardApart(const PoolShape& s, const float* dy, const void* index, float* dx, int64_t image,
                                 int64_t i) {
  const Window rows = windowsOver(i, s.padTop, s.kh, s.strideH, s.oh);
  clearBesideWindows(s, dx, rows);
  for (int64_t oi = rows.begin; oi < rows.end; ++oi) {
    const int64_t placeOfRow = (i - (oi * s.strideH - s.padTop)) * s.kw;
    for (int64_t oj = 0; oj < s.ow; ++oj) {
      const int64_t left = oj * s.strideW - s.padLeft, from = ((image * s.oh + oi) * s.ow + oj) * s.c;
      const Window columns = clippedWindow(left, s.kw, s.w);
      for (int64_t start = 0; start < s.c; start += lanes) {
        const int64_t c = whole ? lastWhole(start, s.c) : 0;
        const int count = whole ? lanes : int(s.c);
        const Int chosen = loadIndex(s, index, from + c, count);
        const Float value = whole ? load(dy + from + c) : loadPartial(dy + from, count);
        for (int64_t k = columns.begin; k < columns.end; ++k) {
          const Float part = Float(0.0f) + andBits(value, chosen == Int(int32_t(placeOfRow + k)));
          whole ? store(dx + (left + k) * s.c + c, part) : storePartial(dx + (left + k) * s.c, part, count);
        }
      }
    }
  }
}

static void maxPoolBackwardRow(const PoolShape& s, const float* dy, const void* index, float* dx, int64_t image,
                               int64_t i) {
  const Window rows = windowsOver(i, s.padTop, s.kh, s.strideH, s.oh);
  Window columns = {0, 0};
  for (int64_t j = 0; j < s.w; ++j) {
    moveWindows(columns, j, s.padLeft, s.kw, s.strideW, s.ow);
    const int64_t first = (i - rows.begin * s.strideH + s.padTop) * s.kw + j - columns.begin * s.strideW + s.padLeft;
    float* const pixel = dx + j * s.c;
    int64_t c = 0;
    for (; c + 4 * lanes <= s.c; c += 4 * lanes)
      gatherMaxima<4, true>(s, dy, index, image, rows, columns, first, c, lanes, pixel + c);
    for (; c < s.c && s.c >= lanes; c += lanes) {
      const int64_t at = lastWhole(c, s.c);
      gatherMaxima<1, true>(s, dy, index, image, rows, columns, first, at, lanes, pixel + at);
    }
    if (c < s.c) gatherMaxima<1, false>(s, dy, index, image, rows, columns, first, 0, int(s.c), pixel);
  }
}
static void maxPoolBackward(const PoolShape& s, const float* dy, const void* index, float* dx, int64_t rowBegin,
                            int64_t rowEnd) {
  const bool apart = s.strideH >= s.kh && s.strideW >= s.kw;
  const auto ofRow = !apart         ? maxPoolBackwardRow
                     : s.c >= lanes ? maxPoolBackwardApart<true>
                                    : maxPoolBackwardApart<false>;
  for (int64_t row = rowBegin; row < rowEnd; ++row) ofRow(s, dy, index, dx + row * s.w * s.c, row / s.h, row % s.h);
}

CHAINRULE_INLINE Float inverseArea(Window rows, Window columns) {
  return Float(1.0f) / Float(float((rows.end - rows.begin) * (columns.end - columns.begin)));
}

static void averagePool(const PoolShape& s, const float* x, float* y, int64_t rowBegin, int64_t rowEnd) {
  for (int64_t row = rowBegin; row < rowEnd; ++row) {
    const int64_t image = row / s.oh, oi = row % s.oh, top = oi * s.strideH - s.padTop;
    const Window rows = clippedWindow(top, s.kh, s.h);
    for (int64_t oj = 0; oj < s.ow; ++oj) {
      const int64_t left = oj * s.strideW - s.padLeft;
      const Window columns = clippedWindow(left, s.kw, s.w);
      const float* corner = x + ((image * s.h + top) * s.w + left) * s.c;
      const Float scale = inverseArea(rows, columns);
      for (int64_t c = 0; c < s.c; c += lanes) {
        const int count = int(least(lanes, s.c - c));
        Float sum(0.0f);
        for (int64_t i = rows.begin; i < rows.end; ++i) {
          for (int64_t j = columns.begin; j < columns.end; ++j)
            sum = sum + loadSome(corner + (i * s.w + j) * s.c + c, count);
        }
        storeSome(y + (row * s.ow + oj) * s.c + c, sum * scale, count);
      }
    }
  }
}

// The windows over a pixel, whose parts inside the image have equal sizes or, at its edges, sizes of their own.
template <int vectors, bool whole, bool equal>
CHAINRULE_INLINE void gatherMeans(const PoolShape& s, const float* dy, int64_t image, Window rows, Window columns,
                                  int64_t c, int count, Float inside, float* dx) {
  Float sum[vectors];
  for (Float& v : sum) v = Float(0.0f);
  for (int64_t oi = rows.begin; oi < rows.end; ++oi) {
    const Window y = clippedWindow(oi * s.strideH - s.padTop, s.kh, s.h);
    const float* from = dy + ((image * s.oh + oi) * s.ow + columns.begin) * s.c + c;
    for (int64_t oj = columns.begin; oj < columns.end; ++oj, from += s.c) {
      const Float scale = equal ? inside : inverseArea(y, clippedWindow(oj * s.strideW - s.padLeft, s.kw, s.w));
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v)
        sum[v] = fma(whole ? load(from + v * lanes) : loadPartial(from, count), scale, sum[v]);
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < vectors; ++v) whole ? store(dx + v * lanes, sum[v]) : storePartial(dx, sum[v], count);
}

template <bool equal>
CHAINRULE_INLINE void gatherMeansOf(const PoolShape& s, const float* dy, int64_t image, Window rows, Window columns,
                                    Float inside, float* pixel) {
  int64_t c = 0;
  for (; c + 4 * lanes <= s.c; c += 4 * lanes)
    gatherMeans<4, true, equal>(s, dy, image, rows, columns, c, lanes, inside, pixel + c);
  for (; c < s.c && s.c >= lanes; c += lanes) {
    const int64_t at = lastWhole(c, s.c);
    gatherMeans<1, true, equal>(s, dy, image, rows, columns, at, lanes, inside, pixel + at);
  }
  if (c < s.c) gatherMeans<1, false, equal>(s, dy, image, rows, columns, 0, int(s.c), inside, pixel);
}

// As maxPoolBackwardApart.
static void averagePoolBackwardApart(const PoolShape& s, const float* dy, float* dx, int64_t image, int64_t i) {
  const Window over = windowsOver(i, s.padTop, s.kh, s.strideH, s.oh);
  clearBesideWindows(s, dx, over);
  for (int64_t oi = over.begin; oi < over.end; ++oi) {
    const Window rows = clippedWindow(oi * s.strideH - s.padTop, s.kh, s.h);
    for (int64_t oj = 0; oj < s.ow; ++oj) {
      const int64_t left = oj * s.strideW - s.padLeft;
      const float* from = dy + ((image * s.oh + oi) * s.ow + oj) * s.c;
      const Window columns = clippedWindow(left, s.kw, s.w);
      const Float scale = inverseArea(rows, columns);
      for (int64_t start = 0; start < s.c; start += lanes) {
        const int64_t c = s.c >= lanes ? lastWhole(start, s.c) : 0;
        const int count = int(least(lanes, s.c));
        const Float part = fma(loadSome(from + c, count), scale, Float(0.0f));
        for (int64_t k = columns.begin; k < columns.end; ++k) storeSome(dx + (left + k) * s.c + c, part, count);
      }
    }
  }
}

static void averagePoolBackward(const PoolShape& s, const float* dy, float* dx, int64_t rowBegin, int64_t rowEnd) {
  const Float inside = inverseArea({0, s.kh}, {0, s.kw});
  const bool apart = s.strideH >= s.kh && s.strideW >= s.kw;
  for (int64_t row = rowBegin; row < rowEnd; ++row) {
    const int64_t image = row / s.h;
    if (apart) {
      averagePoolBackwardApart(s, dy, dx + row * s.w * s.c, image, row % s.h);
      continue;
    }
    const Window rows = windowsOver(row % s.h, s.padTop, s.kh, s.strideH, s.oh);
    const bool rowsInside = rows.begin * s.strideH >= s.padTop && (rows.end - 1) * s.strideH - s.padTop + s.kh <= s.h;
    Window columns = {0, 0};
    for (int64_t j = 0; j < s.w; ++j) {
      moveWindows(columns, j, s.padLeft, s.kw, s.strideW, s.ow);
      const bool equal = rowsInside && columns.begin * s.strideW >= s.padLeft &&
                         (columns.end - 1) * s.strideW - s.padLeft + s.kw <= s.w;
      float* const pixel = dx + (row * s.w + j) * s.c;
      if (equal)
        gatherMeansOf<true>(s, dy, image, rows, columns, inside, pixel);
      else
        gatherMeansOf<false>(s, dy, image, rows, columns, inside, pixel);
    }
  }
}
