// Products with weights that are stored as bfloat16, in panels of words of two rows (base/panels.h). A row is widened
// by a shift or a mask where it is used, and the chains of fma are those of gemm: the bits are those of the float
// weights.

// The two rows of a word: the first lies in its lower half.
CHAINRULE_INLINE Float firstRow(Int words) { return floatOf(shiftLeft<16>(words)); }
CHAINRULE_INLINE Float secondRow(Int words) { return floatOf(words & Int(-65536)); }

// Rows [k0, k1) of one panel, k0 being even.
static void widenPanel(const uint16_t* panel, int64_t k0, int64_t k1, float* out) {
  const int32_t* words = reinterpret_cast<const int32_t*>(panel + k0 * kPanel);
  int64_t k = k0;
  for (; k + 2 <= k1; k += 2, words += kPanel, out += 2 * kPanel) {
#pragma GCC unroll 2
    for (int j = 0; j < kPanel; j += lanes) {
      const Int both = load(words + j);
      store(out + j, firstRow(both));
      store(out + kPanel + j, secondRow(both));
    }
  }
  for (int j = 0; k < k1 && j < kPanel; j += lanes) store(out + j, firstRow(load(words + j)));
}

static void widenPanels(const uint16_t* panels, int64_t rows, float* out, int64_t panelBegin, int64_t panelEnd) {
  for (int64_t p = panelBegin; p < panelEnd; ++p)
    widenPanel(panels + p * roundUp(rows, 2) * kPanel, 0, rows, out + p * rows * kPanel);
}

// Two steps along k: the rows of A at `a` and aCol behind it, and the words of both rows of B. What there is less of
// stays in registers, as in multiplyStep; the words are loaded twice rather than kept.
template <int rows, int width>
CHAINRULE_INLINE void multiplyWords(const float* a, int64_t aRow, int64_t aCol, const int32_t* words, int64_t bPanel,
                                    Float (&acc)[rows][width]) {
  const auto at = [&](int j) { return words + j / kVectors * bPanel + j % kVectors * lanes; };
  if constexpr (rows < width) {
    Float first[rows], second[rows];
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
      first[r] = broadcast(a + r * aRow);
      second[r] = broadcast(a + r * aRow + aCol);
    }
#pragma GCC unroll 8
    for (int j = 0; j < width; ++j) {
      const Int both = load(at(j));
      const Float weights = firstRow(both), next = secondRow(both);
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r) accumulate(acc[r][j], first[r], weights);
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r) accumulate(acc[r][j], second[r], next);
    }
  } else {
    Float weights[width];
#pragma GCC unroll 2
    for (int step = 0; step < 2; ++step, a += aCol) {
#pragma GCC unroll 4
      for (int j = 0; j < width; ++j) weights[j] = step == 0 ? firstRow(load(at(j))) : secondRow(load(at(j)));
#pragma GCC unroll 12
      for (int r = 0; r < rows; ++r) {
        const Float value = broadcast(a + r * aRow);
#pragma GCC unroll 4
        for (int j = 0; j < width; ++j) accumulate(acc[r][j], value, weights[j]);
      }
      asm("" : "+r"(words));  // or GCC keeps the words, for which there are no registers
    }
  }
}

// A tile over all of k that takes the weights as they are.
template <int rows, int width>
static void wordsTile(const Gemm& g, int64_t row, int64_t panel, TileOutput out) {
  const int32_t* words = reinterpret_cast<const int32_t*>(g.halves + panel * g.bPanel);
  const int64_t bPanel = g.bPanel / 2, aRow = g.aRow, aCol = g.aCol;
  const float* a = g.a + row * aRow;
  moveTo(out, g, row, panel);
  Float acc[rows][width];
  if (!out.accumulate) {
    clearTile<rows, width>(acc);
  } else {
    startTile<rows, width, false>(out, out.c, acc);
  }
  int64_t k = 0;
  for (; k + 2 <= g.k; k += 2, words += kPanel, a += 2 * aCol)
    multiplyWords<rows, width>(a, aRow, aCol, words, bPanel, acc);
  if (k < g.k) {
#pragma GCC unroll 8
    for (int j = 0; j < width; ++j) {
      const Float last = firstRow(load(words + j / kVectors * bPanel + j % kVectors * lanes));
#pragma GCC unroll 12
      for (int r = 0; r < rows; ++r) accumulate(acc[r][j], broadcast(a + r * aRow), last);
    }
  }
  finishTile<rows, width, false>(out, 0, acc);
}

// log2 of the panels side by side, so that about 8 chains hide the latency of fma.
constexpr int widestWords(int rows) {
  if (lanes == 16) return rows == 1 ? 3 : rows <= 4 ? 2 : 1;
  return rows == 1 ? 2 : rows == 2 ? 1 : 0;
}
using WordsFunction = void (*)(const Gemm&, int64_t, int64_t, TileOutput);
struct WordsTable {  // by rows - 1 and log2(panels)
  WordsFunction tiles[kTileRows][4] = {};
};
template <int rows, int wide>
consteval void enterWords(WordsTable& table) {
  table.tiles[rows - 1][wide] = wordsTile<rows, kVectors << wide>;
  if constexpr (wide < widestWords(rows)) enterWords<rows, wide + 1>(table);
  if constexpr (wide == 0 && rows < kTileRows) enterWords<rows + 1, 0>(table);
}
consteval WordsTable allWords() {
  WordsTable table;
  enterWords<1, 0>(table);
  return table;
}
constexpr WordsTable wordsTable = allWords();

// Up to so many rows take the weights as they are: their bytes are what it takes, and widening is little beside it.
constexpr int64_t kWordsRows = 3 * kTileRows;

static void multiplyWordPanels(const Gemm& g, int64_t rowBegin, int64_t rows, int64_t panelBegin, int64_t panelEnd) {
  const RowTiles tilesOfRows(rows);
  const int64_t panels = panelCount(g.n), last = g.n - (panels - 1) * kPanel;
  const int widest = widestWords(int(tilesOfRows.rowsOf(0)));
  for (int64_t p = panelBegin; p < panelEnd;) {
    int wide = widest;
    while (p + (1 << wide) > panelEnd) --wide;
    const int64_t valid = p + (1 << wide) == panels ? last : kPanel;  // columns of the last of these panels
    const TileOutput out = tileOutput(g, p, g.cPadded ? kPanel : valid, valid, g.accumulate, true);
    for (int64_t t = 0; t < tilesOfRows.count; ++t)  // later tiles have fewer rows, so theirs are at least as wide
      wordsTable.tiles[tilesOfRows.rowsOf(t) - 1][wide](g, rowBegin + tilesOfRows.startOf(t), p, out);
    p += 1 << wide;
  }
}

// More rows use a block of widened panels again and again: it stays in L1 and L2.
static void gemmHalves(const Gemm& g, int64_t rowBegin, int64_t rowEnd, int64_t panelBegin, int64_t panelEnd,
                       void* scratch) {
  const int64_t rows = rowEnd - rowBegin;
  if (rows <= 0 || panelBegin >= panelEnd) return;
  if (rows <= kWordsRows) return multiplyWordPanels(g, rowBegin, rows, panelBegin, panelEnd);
  float* const widened = static_cast<float*>(scratch);
  float* const packed = widened + kWidenedBytes / sizeof(float);
  const bool pack = packsA(g, rows, panelEnd - panelBegin);
  Gemm block = g;
  constexpr int64_t blockK = kWidenedRows * 2 / 3;  // of two panels, in L1
  int64_t k0 = 0;
  do {
    const int64_t k1 = g.k - k0 < blockK + blockK / 2 ? g.k : k0 + blockK;
    block.bPanel = (k1 - k0) * kPanel;
    for (int64_t row = rowBegin; row < rowEnd; row += kBlockRows) {
      const int64_t count = least(kBlockRows, rowEnd - row);
      if (pack) packA(g, row, count, k0, k1, packed);
      for (int64_t p = panelBegin; p < panelEnd; p += kWidenedPanels) {
        const int64_t end = least(p + kWidenedPanels, panelEnd);
        for (int64_t one = p; one < end; ++one)
          widenPanel(g.halves + one * g.bPanel, k0, k1, widened + (one - p) * block.bPanel);
        block.b = widened - p * block.bPanel - k0 * kPanel;
        multiplyBlock(block, pack ? packed : nullptr, row, count, k0, k1, p, end);
      }
    }
    k0 = k1;
  } while (k0 < g.k);
}

// Rows of a table of bfloat16, widened.
static void gatherBfloat16(const uint16_t* table, int64_t tableRows, int64_t width, const int32_t* indices, float* out,
                           int64_t begin, int64_t end, int64_t* firstBad) {
  for (int64_t i = begin; i < end; ++i) {
    const int64_t row = indices[i], soon = indices[least(i + 12, end - 1)];
    if (soon >= 0 && soon < tableRows) __builtin_prefetch(table + soon * width);
    int32_t* const to = reinterpret_cast<int32_t*>(out + i * width);
    if (row >= 0 && row < tableRows) {
      widenHalves(to, table + row * width, width);
    } else {
      __builtin_memset(to, 0, size_t(width) * 4);
      if (i < *firstBad) *firstBad = i;
    }
  }
}
