// Matrix product: five loops around the micro-kernel. Blocks of k continue each other's chains through C.

constexpr int64_t kBlockK = lanes == 16 ? 768 : 384;  // narrow panels stay in L1, pairs of them in L2
constexpr int64_t kBlockRows = 144;                   // 216 or 432 KB of A stay in L2

// Columns 0 to 7 of the rows [from, from + 8) of a tile of `count` rows.
CHAINRULE_INLINE void packEights(const float* a, int64_t aRow, int64_t count, int64_t from, float* out) {
  Eight block[8];
#pragma GCC unroll 8
  for (int r = 0; r < 8; ++r) block[r] = loadEight(a + least(from + r, count - 1) * aRow);
  transpose(block);
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) storeEight(out + i * count + from, block[i]);
}

// Rows that follow each other in memory (aRow = 1): every k is one run of them, read whole while its lines are near.
static void packColumns(const Gemm& g, int64_t row, int64_t rows, int64_t k0, int64_t k1, float* out) {
  constexpr int64_t kAhead = 8;
  const RowTiles tilesOfRows(rows);
  const int64_t depth = k1 - k0;
  for (int64_t k = 0; k < depth; ++k) {
    const float* a = g.a + row + (k0 + k) * g.aCol;
    const float* const end = a + g.m - row;
    // The processor's own prefetchers follow a run, but not the step to the next one.
    for (int64_t r = 0; r < rows; r += 16) __builtin_prefetch(a + kAhead * g.aCol + r);
    float* tile = out;
    for (int64_t t = 0, count; t < tilesOfRows.count; ++t, a += count, tile += count * depth) {
      count = tilesOfRows.rowsOf(t);
      float* to = tile + k * count;
      // A vector's surplus is overwritten by the next k, if there is one, and must lie within the row of A.
      if (count >= 8 || (k + 1 < depth && a + 8 <= end)) {
        storeEight(to, loadEight(a));
        if (kTileRows > 8 && count > 8) storeEight(to + count - 8, loadEight(a + count - 8));
      } else {
        for (int64_t r = 0; r < count; ++r) to[r] = a[r];
      }
    }
  }
}

// Rows [row, row + rows) and k [k0, k1) of A, tile by tile: element (r, k) of a tile of R rows at [k * R + r].
// Vectors of 8 are stored every R floats, each overwriting the surplus of the one before; two of them where R > 8.
static void packA(const Gemm& g, int64_t row, int64_t rows, int64_t k0, int64_t k1, float* out) {
  if (g.aRow == 1) return packColumns(g, row, rows, k0, k1, out);
  const RowTiles tilesOfRows(rows);
  for (int64_t t = 0; t < tilesOfRows.count; ++t) {
    const int64_t count = tilesOfRows.rowsOf(t), first = row + tilesOfRows.startOf(t);
    const float* a = g.a + first * g.aRow + k0 * g.aCol;
    int64_t k = 0;
    for (; g.aCol == 1 && k + 8 <= k1 - k0; k += 8, out += 8 * count) {
      packEights(a + k, g.aRow, count, 0, out);
      if (kTileRows > 8 && count > 8) packEights(a + k, g.aRow, count, count - 8, out);
    }
    for (; k < k1 - k0; ++k) {
      for (int64_t r = 0; r < count; ++r) *out++ = a[r * g.aRow + k * g.aCol];
    }
  }
}

// Copying A pays when many panels reuse it and its own layout is unkind to caches.
CHAINRULE_INLINE bool packsA(const Gemm& g, int64_t rows, int64_t panels) {
  if (rows <= kTileRows || panels < 8 || g.k < 64) return false;
  const int64_t stride = g.aCol == 1 ? g.aRow : g.aCol;
  return stride % 512 == 0 || g.k > 768;
}

// Tiles of the panels from p on, of which the last has `valid` columns.
CHAINRULE_INLINE TileOutput tileOutput(const Gemm& g, int64_t p, int64_t columns, int64_t valid, bool accumulate,
                                       bool finish) {
  const float* bias = g.finish.bias ? g.finish.bias + p * kPanel : nullptr;
  return {nullptr, g.cRow, g.cPanel, columns, valid, accumulate, finish, bias, g.finish.activation, g.finish.combine};
}
CHAINRULE_INLINE void moveTo(TileOutput& out, const Gemm& g, int64_t row, int64_t panel) {
  const int64_t at = row * g.cRow + panel * g.cPanel;
  out.c = g.c + at;
  if (g.finish.other) out.other = g.finish.other + at;
}

// The last panel, of at most half the usual columns, and perhaps the one before it: panels from p on.
static void multiplyHalf(const Gemm& g, int64_t row, int64_t rows, int64_t k0, int64_t k1, int64_t p, int64_t count) {
  const RowTiles tilesOfRows(rows, count == 2 ? 4 : 8);
  const int64_t columns = g.n - (panelCount(g.n) - 1) * kPanel;
  TileOutput out = tileOutput(g, p, columns, columns, k0 > 0 || g.accumulate, k1 == g.k);
  const Segment segment{g.a + row * g.aRow + k0 * g.aCol, g.b + p * g.bPanel + k0 * g.bRow, k1 - k0};
  TileInput in{&segment, 1, 0, 0, g.aRow, g.aCol, g.bRow, g.bPanel};
  moveTo(out, g, row, p);
  const TileFunction* const table = count == 2 ? tileTable.oneAndHalf : tileTable.half;
  multiplyRows(
      tilesOfRows, [&](int64_t size) { return table[size - 1]; }, in, out);
}

// All panels of the range for one block of rows and k.
static void multiplyBlock(const Gemm& g, const float* packed, int64_t row, int64_t rows, int64_t k0, int64_t k1,
                          int64_t panelBegin, int64_t panelEnd) {
  const RowTiles tilesOfRows(rows);
  const bool words = g.halves != nullptr;
  const int widest = words ? widestWords(tilesOfRows.rowsOf(0)) : widestTile(tilesOfRows.rowsOf(0));
  const int64_t panels = panelCount(g.n);
  const bool halves = kVectors == 2 && widest == 0 && !words && !packed && !g.cPadded && panelEnd == panels &&
                      g.n - (panels - 1) * kPanel <= kPanel / 2;
  for (int64_t p = panelBegin; p < panelEnd;) {
    if (halves && p + 2 >= panels) return multiplyHalf(g, row, rows, k0, k1, p, panels - p);
    int wide = widest;
    while (p + (1 << wide) > panelEnd) --wide;
    const bool streams = wide == 0 && p + 1 < panelEnd && g.bRow == kPanel && rows >= 24 && k1 - k0 >= 192;
    const int64_t valid =
        p + (1 << wide) == panels ? g.n - (panels - 1) * kPanel : kPanel;  // columns of the last of these panels
    TileOutput out = tileOutput(g, p, g.cPadded ? kPanel : valid, valid, k0 > 0 || g.accumulate, k1 == g.k);
    const float* b = g.b + p * g.bPanel + k0 * g.bRow;
    const Segment segment{packed ? packed : g.a + row * g.aRow + k0 * g.aCol, b, k1 - k0};
    TileInput in{&segment, 1, 0, 0, packed ? 1 : g.aRow, g.aCol, g.bRow, g.bPanel};
    if (packed) in.aBelow = k1 - k0;
    if (streams) {  // every tile fetches its share of the next panel
      in.ahead = b + g.bPanel;
      in.aheadLines = (k1 - k0 + tilesOfRows.count - 1) / tilesOfRows.count;
    }
    moveTo(out, g, row, p);
    multiplyRows(tilesOfRows, tilesOfWidth(wide, words), in, out, packed);
    p += 1 << wide;
  }
}

static void gemm(const Gemm& given, int64_t rowBegin, int64_t rowEnd, int64_t panelBegin, int64_t panelEnd,
                 void* scratch) {
  if (rowBegin >= rowEnd || panelBegin >= panelEnd) return;
  Gemm g = given;
  if (g.halves) {
    g.b = reinterpret_cast<const float*>(g.halves);
    g.bPanel /= 2;
    g.bRow = kWords;
  }
  const int64_t rows = rowEnd - rowBegin;
  const bool pack = packsA(g, rows, panelEnd - panelBegin);
  const int64_t blockK = rows <= kTileRows ? most(g.k, 1) : kBlockK;
  int64_t k0 = 0;
  do {
    // A short rest joins the block before it.
    const int64_t k1 = g.k - k0 < blockK + blockK / 2 ? g.k : k0 + blockK;
    for (int64_t row = rowBegin; row < rowEnd; row += kBlockRows) {
      const int64_t count = least(kBlockRows, rowEnd - row);
      if (pack) packA(g, row, count, k0, k1, static_cast<float*>(scratch));
      multiplyBlock(g, pack ? static_cast<const float*>(scratch) : nullptr, row, count, k0, k1, panelBegin, panelEnd);
    }
    k0 = k1;
  } while (k0 < g.k);
}
