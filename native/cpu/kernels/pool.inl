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
CHAINRULE_INLINE Float loadSome(const float* p, int count) { return count == lanes ? load(p) : loadPartial(p, count); }
CHAINRULE_INLINE void storeSome(float* p, Float v, int count) {
  count == lanes ? store(p, v) : storePartial(p, v, count);
}

static void maxPool(const PoolShape& s, const float* x, float* y, void* index, int64_t rowBegin, int64_t rowEnd) {
  for (int64_t row = rowBegin; row < rowEnd; ++row) {
    const int64_t image = row / s.oh, top = row % s.oh * s.strideH - s.padTop;
    const Window rows = clippedWindow(top, s.kh, s.h);
    for (int64_t column = 0; column < s.ow; ++column) {
      const int64_t left = column * s.strideW - s.padLeft;
      const Window columns = clippedWindow(left, s.kw, s.w);
      const float* corner = x + ((image * s.h + top) * s.w + left) * s.c;
      const int64_t out = (row * s.ow + column) * s.c;
      for (int64_t c = 0; c < s.c; c += lanes) {
        const int count = int(least(lanes, s.c - c));
        Float best(-__builtin_inff());
        Int where(int32_t(rows.begin * s.kw + columns.begin));
        for (int64_t i = rows.begin; i < rows.end; ++i) {
          for (int64_t j = columns.begin; j < columns.end; ++j) {
            const Float value = loadSome(corner + (i * s.w + j) * s.c + c, count);
            const Mask better = beats(true, value, best);
            best = select(better, value, best);
            where = select(better, Int(int32_t(i * s.kw + j)), where);
          }
        }
        storeSome(y + out + c, best, count);
        if (index) storeIndex(s, index, out + c, where, count);
      }
    }
  }
}

// The output positions whose windows contain position p.
CHAINRULE_INLINE Window windowsOver(int64_t p, int64_t pad, int64_t kernel, int64_t stride, int64_t outputs) {
  const int64_t first = p + pad - kernel + 1;
  return {first <= 0 ? 0 : (first + stride - 1) / stride, least(outputs, (p + pad) / stride + 1)};
}

static void maxPoolBackward(const PoolShape& s, const float* dy, const void* index, float* dx, int64_t rowBegin,
                            int64_t rowEnd) {
  for (int64_t row = rowBegin; row < rowEnd; ++row) {
    const int64_t image = row / s.h, i = row % s.h;
    const Window rows = windowsOver(i, s.padTop, s.kh, s.strideH, s.oh);
    for (int64_t j = 0; j < s.w; ++j) {
      const Window columns = windowsOver(j, s.padLeft, s.kw, s.strideW, s.ow);
      for (int64_t c = 0; c < s.c; c += lanes) {
        const int count = int(least(lanes, s.c - c));
        Float sum(0.0f);
        for (int64_t oi = rows.begin; oi < rows.end; ++oi) {
          for (int64_t oj = columns.begin; oj < columns.end; ++oj) {
            const int64_t from = ((image * s.oh + oi) * s.ow + oj) * s.c + c;
            const int64_t place = (i - (oi * s.strideH - s.padTop)) * s.kw + j - (oj * s.strideW - s.padLeft);
            const Mask mine = loadIndex(s, index, from, count) == Int(int32_t(place));
            sum = sum + select(mine, loadSome(dy + from, count), Float(0.0f));
          }
        }
        storeSome(dx + (row * s.w + j) * s.c + c, sum, count);
      }
    }
  }
}

CHAINRULE_INLINE Float inverseArea(const PoolShape& s, int64_t oi, int64_t oj) {
  const Window rows = clippedWindow(oi * s.strideH - s.padTop, s.kh, s.h),
               columns = clippedWindow(oj * s.strideW - s.padLeft, s.kw, s.w);
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
      const Float scale = inverseArea(s, oi, oj);
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
    const Window rows = windowsOver(row % s.h, s.padTop, s.kh, s.strideH, s.oh);
    for (int64_t j = 0; j < s.w; ++j) {
      const Window columns = windowsOver(j, s.padLeft, s.kw, s.strideW, s.ow);
      for (int64_t c = 0; c < s.c; c += lanes) {
        const int count = int(least(lanes, s.c - c));
        Float sum(0.0f);
        for (int64_t oi = rows.begin; oi < rows.end; ++oi) {
          for (int64_t oj = columns.begin; oj < columns.end; ++oj) {
            sum = fma(loadSome(dy + ((image * s.oh + oi) * s.ow + oj) * s.c + c, count), inverseArea(s, oi, oj), sum);
          }
        }
        storeSome(dx + (row * s.w + j) * s.c + c, sum, count);
      }
    }
  }
}
