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
      for (; c + lanes <= s.c; c += lanes)
        maxPoolVectors<1, true, indexed>(s, p + c, rows, columns, y, index, out + c, lanes);
      if (c < s.c) maxPoolVectors<1, false, indexed>(s, p + c, rows, columns, y, index, out + c, int(s.c - c));
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

// dx of one pixel += the part of dy at `from` whose index is `place`.
CHAINRULE_INLINE void addMaximum(const PoolShape& s, const float* dy, const void* index, int64_t from, int64_t place,
                                 float* dx) {
  const Int mine{int32_t(place)};
  for (int64_t c = 0; c < s.c; c += lanes) {
    const int count = int(least(lanes, s.c - c));
    const Float part =
        select(loadIndex(s, index, from + c, count) == mine, loadSome(dy + from + c, count), Float(0.0f));
    storeSome(dx + c, loadSome(dx + c, count) + part, count);
  }
}

// One row of dx. Every pixel gathers from the windows over it, in their order; where windows don't overlap that is one.
static void maxPoolBackwardRow(const PoolShape& s, const float* dy, const void* index, float* dx, int64_t image,
                               int64_t i) {
  fill(dx, 4, 0, s.w * s.c);
  const Window rows = windowsOver(i, s.padTop, s.kh, s.strideH, s.oh);
  for (int64_t oi = rows.begin; oi < rows.end; ++oi) {
    const int64_t placeOfRow = (i - (oi * s.strideH - s.padTop)) * s.kw;
    for (int64_t oj = 0; oj < s.ow; ++oj) {
      const int64_t left = oj * s.strideW - s.padLeft, from = ((image * s.oh + oi) * s.ow + oj) * s.c;
      const Window columns = clippedWindow(left, s.kw, s.w);
      for (int64_t k = columns.begin; k < columns.end; ++k) {
        addMaximum(s, dy, index, from, placeOfRow + k, dx + (left + k) * s.c);
      }
    }
  }
}
static void maxPoolBackward(const PoolShape& s, const float* dy, const void* index, float* dx, int64_t rowBegin,
                            int64_t rowEnd) {
  for (int64_t row = rowBegin; row < rowEnd; ++row) {
    maxPoolBackwardRow(s, dy, index, dx + row * s.w * s.c, row / s.h, row % s.h);
  }
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

static void averagePoolBackward(const PoolShape& s, const float* dy, float* dx, int64_t rowBegin, int64_t rowEnd) {
  for (int64_t row = rowBegin; row < rowEnd; ++row) {
    const int64_t image = row / s.h;
    float* to = dx + row * s.w * s.c;
    fill(to, 4, 0, s.w * s.c);
    const Window over = windowsOver(row % s.h, s.padTop, s.kh, s.strideH, s.oh);
    for (int64_t oi = over.begin; oi < over.end; ++oi) {
      const Window rows = clippedWindow(oi * s.strideH - s.padTop, s.kh, s.h);
      for (int64_t oj = 0; oj < s.ow; ++oj) {
        const int64_t left = oj * s.strideW - s.padLeft;
        const float* from = dy + ((image * s.oh + oi) * s.ow + oj) * s.c;
        const Window columns = clippedWindow(left, s.kw, s.w);
        const Float scale = inverseArea(rows, columns);
        for (int64_t k = columns.begin; k < columns.end; ++k) {
          float* pixel = to + (left + k) * s.c;
          for (int64_t c = 0; c < s.c; c += lanes) {
            const int count = int(least(lanes, s.c - c));
            storeSome(pixel + c, fma(loadSome(from + c, count), scale, loadSome(pixel + c, count)), count);
          }
        }
      }
    }
  }
}
