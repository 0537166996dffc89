// The filter's gradient by Winograd, see cpu/winograd.h: winograd.inl backwards.

CHAINRULE_INLINE void outputTransformBack(Float a, Float b, Float (&out)[4]) {
  out[0] = a;
  out[1] = a + b;
  out[2] = a - b;
  out[3] = -b;
}
CHAINRULE_INLINE void filterTransformBack(Float a, Float b, Float c, Float d, Float (&out)[3]) {
  const Float half(0.5f), sum = (b + c) * half;
  out[0] = a + sum;
  out[1] = (b - c) * half;
  out[2] = sum + d;
}

// Tiles of dy for panels [panelBegin, panelEnd): point i of them in panels of `tiles` rows at z + i * step.
static void gradientTiles(const ConvShape& s, const float* dy, float* z, int64_t step, int64_t tileBegin,
                          int64_t tileEnd, int64_t panelBegin, int64_t panelEnd) {
  const int64_t tileRows = winogradTileRows(s), tileColumns = winogradTileColumns(s), tileCount = tileEnd - tileBegin;
  for (int64_t tile = tileBegin; tile < tileEnd; ++tile, z += kPanel) {
    const int64_t row = tile / tileColumns, image = row / tileRows;
    const int64_t top = row % tileRows * 2, left = tile % tileColumns * 2;
    const float* pixel = dy + ((image * s.oh + top) * s.ow + left) * s.cout;
    const bool down = top + 1 < s.oh, right = left + 1 < s.ow;
    for (int64_t j = 0; j < (panelEnd - panelBegin) * kPanel; j += lanes) {
      const int64_t channel = panelBegin * kPanel + j;
      const int count = int(most(0, least(lanes, s.cout - channel)));
      Float columns[4][2];
#pragma GCC unroll 2
      for (int c = 0; c < 2; ++c) {
        Float d[2] = {Float(0.0f), Float(0.0f)}, column[4];
#pragma GCC unroll 2
        for (int r = 0; r < 2; ++r) {
          if ((r == 1 && !down) || (c == 1 && !right)) continue;
          const float* from = pixel + (r * s.ow + c) * s.cout + channel;
          d[r] = loadSome(from, count);
        }
        outputTransformBack(d[0], d[1], column);
#pragma GCC unroll 4
        for (int r = 0; r < 4; ++r) columns[r][c] = column[r];
      }
      float* to = z + j / kPanel * tileCount * kPanel + j % kPanel;
#pragma GCC unroll 4
      for (int r = 0; r < 4; ++r) {
        Float points[4];
        outputTransformBack(columns[r][0], columns[r][1], points);
#pragma GCC unroll 4
        for (int c = 0; c < 4; ++c) store(to + (4 * r + c) * step, points[c]);
      }
    }
  }
}

// The sums of one panel, point i at sums + i * step, become its taps.
static void filterTaps(const ConvShape& s, const float* sums, int64_t step, float* dw, int64_t rowStride,
                       int64_t columns) {
  for (int64_t channel = 0; channel < s.cin; ++channel) {
    for (int64_t j = 0; j < columns; j += lanes) {
      const float* from = sums + channel * kPanel + j;
      float* to = dw + channel * rowStride + j;
      Float rows[3][4];
#pragma GCC unroll 4
      for (int c = 0; c < 4; ++c) {
        const float* m = from + c * step;
        Float column[3];
        filterTransformBack(load(m), load(m + 4 * step), load(m + 8 * step), load(m + 12 * step), column);
#pragma GCC unroll 3
        for (int r = 0; r < 3; ++r) rows[r][c] = column[r];
      }
#pragma GCC unroll 3
      for (int r = 0; r < 3; ++r) {
        Float taps[3];
        filterTransformBack(rows[r][0], rows[r][1], rows[r][2], rows[r][3], taps);
#pragma GCC unroll 3
        for (int c = 0; c < 3; ++c) {
          storeSome(to + (3 * r + c) * s.cin * rowStride, taps[c], int(least(lanes, columns - j)));
        }
      }
    }
  }
}

static void winogradBackwardFilter(const ConvShape& s, const float* x, const float* dy, float* dw, int64_t chunkStride,
                                   int64_t rowStride, int64_t panelStride, bool padded, int64_t itemBegin,
                                   int64_t itemEnd, void* scratch) {
  const WinogradSplit split = winogradFilterSplit(s);
  const int64_t tiles = s.n * winogradTileRows(s) * winogradTileColumns(s), panels = panelCount(s.cout);
  const int64_t widest = (panels + split.blocks - 1) / split.blocks;
  float* zeros = static_cast<float*>(scratch);
  float* v = zeros + roundUp(s.cin, 16);
  float* z = v + kWinogradPoints * winogradStep(s, kWinogradSumTiles);
  float* sums = z + kWinogradPoints * convPitch(widest * kWinogradSumTiles * kPanel);
  fill(zeros, 4, 0, s.cin);
  for (int64_t item = itemBegin; item < itemEnd; ++item) {
    const int64_t chunk = item / split.blocks, block = item % split.blocks;
    const int64_t panelBegin = panels * block / split.blocks, panelEnd = panels * (block + 1) / split.blocks,
                  end = tiles * (chunk + 1) / split.chunks;
    const int64_t begin = tiles * chunk / split.chunks, step = convPitch((panelEnd - panelBegin) * s.cin * kPanel);
    if (begin == end) fill(sums, 4, 0, kWinogradPoints * step);
    for (int64_t tile = begin; tile < end; tile += kWinogradSumTiles) {
      const int64_t to = least(end, tile + kWinogradSumTiles), count = to - tile;
      const int64_t vStep = winogradStep(s, count), zStep = convPitch((panelEnd - panelBegin) * count * kPanel);
      winogradInput(s, x, zeros, v, vStep, tile, to);
      gradientTiles(s, dy, z, zStep, tile, to, panelBegin, panelEnd);
      Gemm g;
      g.m = s.cin, g.n = (panelEnd - panelBegin) * kPanel, g.k = count;
      g.aRow = 1, g.aCol = winogradPitch(s);
      g.bPanel = count * kPanel;
      g.cRow = kPanel, g.cPanel = s.cin * kPanel;
      g.accumulate = tile > begin;
      for (int64_t point = 0; point < kWinogradPoints; ++point) {
        g.a = v + point * vStep;
        g.b = z + point * zStep;
        g.c = sums + point * step;
        gemm(g, 0, g.m, 0, panelEnd - panelBegin, nullptr);
      }
    }
    for (int64_t p = panelBegin; p < panelEnd; ++p) {
      filterTaps(s, sums + (p - panelBegin) * s.cin * kPanel, step, dw + chunk * chunkStride + p * panelStride,
                 rowStride, padded ? kPanel : least(kPanel, s.cout - p * kPanel));
    }
  }
}
