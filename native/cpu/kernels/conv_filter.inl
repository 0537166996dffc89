// The filter gradient: dW[(r, c, i)][o] = sum over pixels of x under tap (r, c), channel i, times dy. A walks x with
// row stride 1 (window columns and channels are neighbours), the k axis are the pixels of output rows.

struct FilterPass {
  const ConvShape& shape;
  const float* dy;
  float* packed;  // up to kFilterPanels panels of the block's dy
  Segment* segments;
  int64_t rowStride, panelStride;
  bool whole, packs, padded;  // whole: the columns of a window row and their channels are contiguous
};

// All filter rows against `1 << wide` panels of dy, over pixels [q0, q1) of the block's output rows [row, row + count).
static void filterStrip(const FilterPass& pass, const SourceRows& source, int64_t row, int64_t count, int64_t q0,
                        int64_t q1, int64_t group, int64_t inGroup, int wide, float* dw, bool accumulate) {
  const ConvShape& s = pass.shape;
  const int64_t perGroup = panelCount(s.groupOut()), column = group * s.groupOut() + inGroup * kPanel, pixels = q1 - q0;
  const int64_t runs = pass.whole ? s.kh : s.kh * s.kw, runRows = pass.whole ? s.kw * s.cin : s.groupIn();
  const int64_t valid = inGroup + (1 << wide) == perGroup ? s.groupOut() - (perGroup - 1) * kPanel : kPanel;
  const float* gradient = pass.dy + (row * s.ow + q0) * s.cout + column;
  const int64_t packedPanel = count * pixels * kPanel;
  for (int i = 0; pass.packs && i < 1 << wide; ++i) {
    packPanel(gradient + i * kPanel, s.cout, 1, 0, count * pixels, i + 1 == 1 << wide ? valid : kPanel,
              pass.packed + i * packedPanel);
  }
  const float* b = pass.packs ? pass.packed : gradient;
  const int64_t bRow = pass.packs ? kPanel : s.cout, bPanel = pass.packs ? packedPanel : kPanel;
  const int64_t aCol = s.strideW * s.cin, top = row % s.oh * s.strideH - s.padTop;
  TileOutput out{nullptr, pass.rowStride, pass.panelStride, pass.padded ? kPanel : valid, valid, accumulate,
                 false,   nullptr,        Activation()};
  const RowTiles tilesOfRun(runRows);
  for (int64_t r = 0; r < runs; ++r) {
    const int64_t tapRow = pass.whole ? r : r / s.kw, tapColumn = pass.whole ? 0 : r % s.kw;
    int64_t found = 0;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t from = top + i * s.strideH + tapRow * s.dilationH;
      if (from < 0 || from >= s.h) continue;
      const Segment next{source.at(from) + (q0 * s.strideW + tapColumn * s.dilationW) * s.cin + group * s.groupIn(),
                         b + i * pixels * bRow, pixels};
      Segment* last = pass.segments + found - 1;
      if (found > 0 && last->a + last->k * aCol == next.a && last->b + last->k * bRow == next.b)
        last->k += pixels;  // pointwise
      else
        pass.segments[found++] = next;
    }
    out.c = dw + r * runRows * pass.rowStride + inGroup * pass.panelStride;
    TileInput in{pass.segments, found, 0, 0, 1, aCol, bRow, bPanel};
    multiplyRows(tilesOfRun, tilesOfWidth(wide), in, out);
  }
}

static void convBackwardFilter(const ConvShape& s, const float* x, const float* dy, float* dw, int64_t chunkStride,
                               int64_t groupStride, int64_t rowStride, int64_t panelStride, bool padded,
                               int64_t itemBegin, int64_t itemEnd, void* scratch) {
  const ConvRows rows = convFilterRows(s);
  const ConvFilterSplit split = convFilterSplit(s);
  const int64_t perGroup = panelCount(s.groupOut()), panels = perGroup * s.groups, total = s.n * s.oh;
  const int64_t span = convFilterPixels(s, 1);  // pixels of a row at a time

  char* const memory = static_cast<char*>(scratch);
  float* const packed = reinterpret_cast<float*>(memory + roundUp(rows.bytes(), 64));
  Segment* const segments =
      reinterpret_cast<Segment*>(packed + convFilterPixels(s, rows.block) * kFilterPanels * kPanel);
  const FilterPass pass{
      s, dy, packed, segments, rowStride, panelStride, s.dilationW == 1 && s.groups == 1, convPacksGradient(s), padded};
  SourceRows source{rows, x, reinterpret_cast<float*>(memory)};
  int widest = widestTile(RowTiles(pass.whole ? s.kw * s.cin : s.groupIn()).rowsOf(0));
  while (pass.packs && 1 << widest > kFilterPanels) --widest;

  for (int64_t item = itemBegin; item < itemEnd; ++item) {
    const int64_t chunk = item / split.blocks, block = item % split.blocks;
    const int64_t panelBegin = panels * block / split.blocks, panelEnd = panels * (block + 1) / split.blocks;
    const int64_t begin = total * chunk / split.chunks, end = total * (chunk + 1) / split.chunks;
    for (int64_t row = begin; row < end;) {
      const int64_t image = row / s.oh, oi = row % s.oh, count = least(least(rows.block, s.oh - oi), end - row);
      const int64_t top = oi * s.strideH - s.padTop,
                    bottom = top + (count - 1) * s.strideH + (s.kh - 1) * s.dilationH + 1;
      source.prepare(x + image * s.h * s.w * s.cin, most(top, 0), least(bottom, s.h));
      for (int64_t q = 0; q < s.ow; q += span) {
        for (int64_t p = panelBegin; p < panelEnd;) {
          const int64_t group = p / perGroup, inGroup = p % perGroup;
          int wide = widest;
          while (p + (1 << wide) > panelEnd || inGroup + (1 << wide) > perGroup) --wide;
          filterStrip(pass, source, row, count, q, least(s.ow, q + span), group, inGroup, wide,
                      dw + chunk * chunkStride + group * groupStride, row > begin || q > 0);
          p += 1 << wide;
        }
      }
      row += count;
    }
  }
}
