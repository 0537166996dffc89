// Winograd's F(2x2, 3x3), see cpu/winograd.h. The products themselves are gemm's.

// The two-dimensional transforms are one-dimensional ones over columns, then over rows.
CHAINRULE_INLINE void filterTransform(Float a, Float b, Float c, Float (&out)[4]) {
  const Float half(0.5f), ends = a + c;
  out[0] = a;
  out[1] = (ends + b) * half;
  out[2] = (ends - b) * half;
  out[3] = c;
}
CHAINRULE_INLINE void inputTransform(Float a, Float b, Float c, Float d, Float (&out)[4]) {
  out[0] = a - c;
  out[1] = b + c;
  out[2] = c - b;
  out[3] = b - d;
}
CHAINRULE_INLINE void outputTransform(Float a, Float b, Float c, Float d, Float (&out)[2]) {
  out[0] = a + b + c;
  out[1] = b - c - d;
}

static void winogradFilter(const float* panels, int64_t channels, float* out, int64_t panelBegin, int64_t panelEnd) {
  const int64_t size = channels * kPanel;
  for (int64_t p = panelBegin; p < panelEnd; ++p) {
    const float* from = panels + p * 9 * size;
    float* to = out + p * kWinogradPoints * size;
    for (int64_t k = 0; k < size; k += kPanel) {
      Float rows[4][3][kVectors];
      for (int c = 0; c < 3; ++c) {
#pragma GCC unroll 2
        for (int j = 0; j < kVectors; ++j) {
          const float* tap = from + c * size + k + j * lanes;
          Float column[4];
          filterTransform(load(tap), load(tap + 3 * size), load(tap + 6 * size), column);
          for (int r = 0; r < 4; ++r) rows[r][c][j] = column[r];
        }
      }
      // Whole lines, since at a power of two the points share a cache set.
      for (int r = 0; r < 4; ++r) {
        Float row[kVectors][4];
#pragma GCC unroll 2
        for (int j = 0; j < kVectors; ++j) filterTransform(rows[r][0][j], rows[r][1][j], rows[r][2][j], row[j]);
#pragma GCC unroll 4
        for (int c = 0; c < 4; ++c) {
#pragma GCC unroll 2
          for (int j = 0; j < kVectors; ++j) store(to + (4 * r + c) * size + k + j * lanes, row[j][c]);
        }
      }
    }
  }
}

// Channels [c, c + lanes) of a tile's input, or the last `count` of them.
template <bool whole>
CHAINRULE_INLINE void transformPatch(const float* const (&patch)[4][4], int64_t c, int count, float* to, int64_t step) {
  Float rows[4][4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    Float d[4], column[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) d[i] = whole ? load(patch[i][j] + c) : loadPartial(patch[i][j] + c, count);
    inputTransform(d[0], d[1], d[2], d[3], column);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) rows[i][j] = column[i];
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    Float row[4];
    inputTransform(rows[i][0], rows[i][1], rows[i][2], rows[i][3], row);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      float* place = to + (4 * i + j) * step + c;
      if (whole)
        store(place, row[j]);
      else
        storePartial(place, row[j], count);
    }
  }
}

static void winogradInput(const ConvShape& s, const float* x, const float* zeros, float* v, int64_t step,
                          int64_t tileBegin, int64_t tileEnd) {
  const int64_t tileRows = winogradTileRows(s), tileColumns = winogradTileColumns(s), pitch = winogradPitch(s);
  for (int64_t tile = tileBegin; tile < tileEnd; ++tile, v += pitch) {
    const int64_t row = tile / tileColumns, image = row / tileRows;
    const int64_t top = row % tileRows * 2 - s.padTop, left = tile % tileColumns * 2 - s.padLeft;
    const float* patch[4][4];
    for (int64_t i = 0; i < 4; ++i) {
      const bool inside = top + i >= 0 && top + i < s.h;
      const float* pixels = x + (image * s.h + top + i) * s.w * s.cin;
      for (int64_t j = 0; j < 4; ++j)
        patch[i][j] = inside && left + j >= 0 && left + j < s.w ? pixels + (left + j) * s.cin : zeros;
    }
    int64_t c = 0;
    for (; c + lanes <= s.cin; c += lanes) transformPatch<true>(patch, c, lanes, v, step);
    if (c < s.cin) transformPatch<false>(patch, c, int(s.cin - c), v, step);
  }
}

static void outputTiles(const ConvShape& s, const float* products, int64_t step, const float* bias,
                        Activation activation, float* y, int64_t tileBegin, int64_t tileEnd, int64_t panelBegin,
                        int64_t panelEnd) {
  const int64_t tileRows = winogradTileRows(s), tileColumns = winogradTileColumns(s),
                columns = (panelEnd - panelBegin) * kPanel;
  for (int64_t tile = tileBegin; tile < tileEnd; ++tile, products += columns) {
    const int64_t row = tile / tileColumns, image = row / tileRows;
    const int64_t top = row % tileRows * 2, left = tile % tileColumns * 2;
    float* pixel = y + ((image * s.oh + top) * s.ow + left) * s.cout;
    const int64_t down = top + 1 < s.oh ? s.ow * s.cout : -1, right = left + 1 < s.ow ? s.cout : -1;
    for (int64_t j = 0; j < columns; j += lanes) {
      const int64_t channel = panelBegin * kPanel + j;
      const int count = int(least(lanes, s.cout - channel));
      if (count <= 0) break;
      Float columnsOf[2][4];
#pragma GCC unroll 4
      for (int c = 0; c < 4; ++c) {
        const float* m = products + j + c * step;
        Float column[2];
        outputTransform(load(m), load(m + 4 * step), load(m + 8 * step), load(m + 12 * step), column);
        columnsOf[0][c] = column[0], columnsOf[1][c] = column[1];
      }
      const Float offset = bias ? loadSome(bias + channel, count) : Float(0.0f);
#pragma GCC unroll 2
      for (int r = 0; r < 2; ++r) {
        if (r == 1 && down < 0) break;
        Float out[2];
        outputTransform(columnsOf[r][0], columnsOf[r][1], columnsOf[r][2], columnsOf[r][3], out);
        float* to = pixel + (r == 1 ? down : 0) + channel;
#pragma GCC unroll 2
        for (int c = 0; c < 2; ++c) {
          if (c == 1 && right < 0) break;
          Float value = bias ? out[c] + offset : out[c];
          if (activation.relu) value = relu(value, activation.ceiling);
          storeSome(to + (c == 1 ? right : 0), value, count);
        }
      }
    }
  }
}

static void winogradForward(const ConvShape& s, const float* v, int64_t step, const float* filter, const float* bias,
                            Activation activation, float* y, int64_t tileBegin, int64_t tileEnd, int64_t panelBegin,
                            int64_t panelEnd, void* scratch) {
  float* products = static_cast<float*>(scratch);
  for (int64_t tile = tileBegin; tile < tileEnd; tile += kWinogradTiles) {
    const int64_t tileCount = least(kWinogradTiles, tileEnd - tile);
    for (int64_t p = panelBegin; p < panelEnd; p += kWinogradPanels) {
      const int64_t panelCount = least(kWinogradPanels, panelEnd - p),
                    size = convPitch(tileCount * panelCount * kPanel);
      Gemm g;
      g.m = tileCount, g.n = panelCount * kPanel, g.k = s.cin;
      g.aRow = winogradPitch(s);
      g.bPanel = kWinogradPoints * s.cin * kPanel;
      g.cRow = g.n;
      for (int64_t point = 0; point < kWinogradPoints; ++point) {
        g.a = v + point * step + (tile - tileBegin) * g.aRow;
        g.b = filter + (p * kWinogradPoints + point) * s.cin * kPanel;
        g.c = products + point * size;
        gemm(g, 0, g.m, 0, panelCount, nullptr);
      }
      outputTiles(s, products, size, bias, activation, y, tile, tile + tileCount, p, p + panelCount);
    }
  }
}
