// The micro-kernel of matrix products and convolutions: a tile of C in registers, summed over segments of the k axis.

// Part of the k axis: k values, A walked by aCol and B by bRow from these addresses.
struct Segment {
  const float* a;
  const float* b;
  int64_t k;
};

// The two rows of a word of bfloat16 weights (base/panels.h), widened: the first lies in its lower half.
CHAINRULE_INLINE Float firstRow(Int words) { return floatOf(shiftLeft<16>(words)); }
CHAINRULE_INLINE Float secondRow(Int words) { return floatOf(words & Int(-65536)); }

struct TileInput {
  const Segment* segments;
  int64_t count;
  int64_t aOffset, bOffset;      // added to the addresses of every segment
  int64_t aRow, aCol;            // between the rows of the tile, and along k
  int64_t bRow, bPanel;          // along k, and between panels
  int64_t aBelow = aRow;         // from a tile to the one below it, for each of its rows
  const float* ahead = nullptr;  // lines of B that a later tile needs: every tile fetches `aheadLines` of them
  int64_t aheadLines = 0;
};

constexpr int kTileRows = lanes == 16 ? 12 : 6;  // of the largest tile: 24 of 32, or 12 of 16 registers hold it

// The rows of a column of A: a register for each three, since an address takes one or two strides for nothing.
template <int rows>
struct RowStarts {
  const float* of[(rows + 2) / 3];
  [[gnu::always_inline]] inline RowStarts(const float* a, int64_t aRow) {
    for (int i = 0; i < (rows + 2) / 3; ++i) of[i] = a + 3 * i * aRow;
  }
  [[gnu::always_inline]] inline Float broadcastOf(int r, int64_t aRow, int64_t offset) const {
    return broadcast(of[r / 3] + r % 3 * aRow + offset);
  }
  // For the compiler they change here: else it keeps an address for each row and step, and spills them.
  [[gnu::always_inline]] inline void advance(int64_t by) {
    for (const float*& start : of) {
      start += by;
      asm("" : "+r"(start));
    }
  }
};

// One step along k: a column of A times a row of B. The shorter of the two stays in registers, the other passes through
// one.
template <int rows, int width>
CHAINRULE_INLINE void multiplyStep(const RowStarts<rows>& a, int64_t aRow, int64_t aOffset, const float* b,
                                   int64_t bPanel, Float (&acc)[rows][width]) {
  if constexpr (rows > width) {
    Float bv[width];
#pragma GCC unroll 8
    for (int j = 0; j < width; ++j) bv[j] = load(b + j / kVectors * bPanel + j % kVectors * lanes);
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r) {
      const Float av = a.broadcastOf(r, aRow, aOffset);
#pragma GCC unroll 8
      for (int j = 0; j < width; ++j) accumulate(acc[r][j], av, bv[j]);
    }
  } else {
    Float av[rows];
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r) av[r] = a.broadcastOf(r, aRow, aOffset);
#pragma GCC unroll 8
    for (int j = 0; j < width; ++j) {
      const Float bv = load(b + j / kVectors * bPanel + j % kVectors * lanes);
#pragma GCC unroll 12
      for (int r = 0; r < rows; ++r) accumulate(acc[r][j], av[r], bv);
    }
  }
}

// Two steps along k with words of bfloat16 as B. What there is less of stays in registers, as above; the words are
// loaded twice rather than kept.
template <int rows, int width>
CHAINRULE_INLINE void multiplyWords(RowStarts<rows>& a, int64_t aRow, int64_t aCol, const float* b, int64_t bPanel,
                                    Float (&acc)[rows][width]) {
  const auto words = [&](int j) {
    return load(reinterpret_cast<const int32_t*>(b + j / kVectors * bPanel + j % kVectors * lanes));
  };
  if constexpr (rows < width) {
    Float first[rows], second[rows];
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) first[r] = a.broadcastOf(r, aRow, 0);
    a.advance(aCol);
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) second[r] = a.broadcastOf(r, aRow, 0);
    a.advance(aCol);
#pragma GCC unroll 8
    for (int j = 0; j < width; ++j) {
      const Int both = words(j);
      const Float bv = firstRow(both), next = secondRow(both);
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r) accumulate(acc[r][j], first[r], bv);
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r) accumulate(acc[r][j], second[r], next);
    }
  } else {
    Float bv[width];
#pragma GCC unroll 2
    for (int step = 0; step < 2; ++step) {
#pragma GCC unroll 4
      for (int j = 0; j < width; ++j) bv[j] = step == 0 ? firstRow(words(j)) : secondRow(words(j));
#pragma GCC unroll 12
      for (int r = 0; r < rows; ++r) {
        const Float av = a.broadcastOf(r, aRow, 0);
#pragma GCC unroll 4
        for (int j = 0; j < width; ++j) accumulate(acc[r][j], av, bv[j]);
      }
      a.advance(aCol);
      asm("" : "+r"(b));  // or GCC keeps the words, for which there are no registers
    }
  }
}

constexpr int kWords = kPanel / 2;  // as the stride of B along k: words of two rows

// All segments. A stride given as a template argument other than 0 is known to be that.
template <int rows, int width, int knownRow, int knownCol, int knownB>
CHAINRULE_INLINE void multiplySegments(const TileInput& in, int64_t aOffset, Float (&acc)[rows][width]) {
  const int64_t aRow = knownRow ? knownRow : in.aRow, aCol = knownCol ? knownCol : in.aCol,
                bRow = knownB ? knownB : in.bRow, bPanel = in.bPanel;
  const Segment* const end = in.segments + in.count;
  for (const Segment* s = in.segments; s != end; ++s) {
    RowStarts<rows> a(s->a + aOffset, aRow);
    const float* b = s->b + in.bOffset;
    int64_t k = s->k;
    if constexpr (knownB == kWords) {
      for (; k >= 2; k -= 2, b += kPanel) multiplyWords<rows, width>(a, aRow, aCol, b, bPanel, acc);
      if (k == 0) continue;
#pragma GCC unroll 8
      for (int j = 0; j < width; ++j) {
        const float* last = b + j / kVectors * bPanel + j % kVectors * lanes;
        const Float bv = firstRow(load(reinterpret_cast<const int32_t*>(last)));
#pragma GCC unroll 12
        for (int r = 0; r < rows; ++r) accumulate(acc[r][j], a.broadcastOf(r, aRow, 0), bv);
      }
      continue;
    } else if constexpr (knownB != 0) {
      for (; k >= 4; k -= 4, b += 4 * kPanel) {  // fewer iterations, whose end is predicted better
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          multiplyStep<rows, width>(a, aRow, knownCol ? i : 0, b + i * kPanel, bPanel, acc);
          if (!knownCol) a.advance(aCol);
        }
        if (knownCol) a.advance(4);
      }
    }
    for (; k > 0; --k, b += bRow) {
      multiplyStep<rows, width>(a, aRow, 0, b, bPanel, acc);
      a.advance(aCol);
    }
  }
}

// `repeat` tiles one below the other: what precedes the first product costs as much as a few steps along k.
template <int rows, int width, int knownRow, int knownCol, int knownB>
[[gnu::noinline]] static void tilesBelow(const TileInput& in, const TileOutput& out, int64_t repeat) {
  const bool whole = out.columns == kPanel && (!out.bias || out.biasColumns == kPanel);
  const float* ahead = in.ahead;
  int64_t aOffset = in.aOffset, offset = 0;
  for (; repeat > 0; --repeat, aOffset += rows * in.aBelow, offset += rows * out.cRow) {
    for (int64_t i = 0; i < in.aheadLines; ++i, ahead += 16) __builtin_prefetch(ahead, 0, 2);
    const float* c = out.c + offset;
    // What the next tile writes, and may add to.
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
      for (int p = 0; p * kVectors < width; ++p) __builtin_prefetch(c + (rows + r) * out.cRow + p * out.cPanel, 1);
    }
    if (out.finish && out.combine != Combine::none) {  // and what this one meets at its end
#pragma GCC unroll 12
      for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
        for (int p = 0; p * kVectors < width; ++p)
          __builtin_prefetch(out.other + offset + r * out.cRow + p * out.cPanel);
      }
    }
    Float acc[rows][width];
    if (!out.accumulate) {
      clearTile<rows, width>(acc);
    } else if (out.columns == kPanel) {
      startTile<rows, width, true>(out, c, acc);
    } else {
      startTile<rows, width, false>(out, c, acc);
    }
    multiplySegments<rows, width, knownRow, knownCol, knownB>(in, aOffset, acc);
    if (whole)
      finishTile<rows, width, true>(out, offset, acc);
    else
      finishTile<rows, width, false>(out, offset, acc);
  }
}

// Strides that the compiler knows make the addresses of an unrolled loop free.
template <int rows, int width>
static void tile(const TileInput& in, const TileOutput& out, int64_t repeat) {
  if constexpr (hasFma) {
    if (in.bRow == kPanel) {
      if (in.aCol == 1) return tilesBelow<rows, width, 0, 1, kPanel>(in, out, repeat);
      if (in.aRow == 1) return tilesBelow<rows, width, 1, 0, kPanel>(in, out, repeat);
      return tilesBelow<rows, width, 0, 0, kPanel>(in, out, repeat);
    }
  }
  tilesBelow<rows, width, 0, 0, 0>(in, out, repeat);
}

// The same with a table of offsets along k, for convolutions whose runs are only a few values long: in.count values,
// and `repeat` tiles side by side, since one such tile is hardly worth a call. in.segments, aCol and accumulate are
// unused.
template <int rows, int width>
static void gatheredTiles(const float* a, const int32_t* offsets, const float* b, const TileInput& in,
                          const TileOutput& out, int64_t repeat) {
  const int64_t aRow = in.aRow, bPanel = in.bPanel, k = in.count;
  const bool whole = out.columns == kPanel && (!out.bias || out.biasColumns == kPanel);
  for (int64_t offset = 0; repeat > 0; --repeat, a += rows * aRow, offset += rows * out.cRow) {
    Float acc[rows][width];
    clearTile<rows, width>(acc);
    const RowStarts<rows> starts(a, aRow);
    for (int64_t i = 0; i < k; ++i) multiplyStep<rows, width>(starts, aRow, offsets[i], b + i * kPanel, bPanel, acc);
    if (whole)
      finishTile<rows, width, true>(out, offset, acc);
    else
      finishTile<rows, width, false>(out, offset, acc);
  }
}

// Few rows take more panels, so that about 8 to 12 chains hide the latency of fma: log2 of their number.
constexpr int kWidths = 4;
constexpr int widestTile(int64_t rows) {
  if (lanes == 16) return rows <= 4 ? 2 : 1;
  return rows == 1 ? 2 : rows <= 3 ? 1 : 0;
}
// Widening takes registers, too; a single row waits for its bytes.
constexpr int widestWords(int64_t rows) {
  if (lanes == 16 && rows == 1) return 3;
  return lanes < 16 && rows == 3 ? 0 : widestTile(rows);
}

using TileFunction = void (*)(const TileInput&, const TileOutput&, int64_t);
using GatheredFunction = void (*)(const float*, const int32_t*, const float*, const TileInput&, const TileOutput&,
                                  int64_t);
struct TileTable {  // by rows - 1 and log2(panels)
  TileFunction whole[kTileRows][kWidths] = {}, words[kTileRows][kWidths] = {};
  GatheredFunction gathered[kTileRows][kWidths] = {};
  // Of a last panel with at most half its columns, alone or with the panel before it, where vectors are half a panel.
  TileFunction half[8] = {}, oneAndHalf[4] = {};
};
template <int rows, int wide>
consteval void enterTiles(TileTable& table) {
  table.whole[rows - 1][wide] = tile<rows, kVectors << wide>;
  table.gathered[rows - 1][wide] = gatheredTiles<rows, kVectors << wide>;
  if constexpr (wide < widestTile(rows)) enterTiles<rows, wide + 1>(table);
  if constexpr (wide == 0 && rows < kTileRows) enterTiles<rows + 1, 0>(table);
}
template <int rows, int wide>
consteval void enterWords(TileTable& table) {
  table.words[rows - 1][wide] = tilesBelow<rows, kVectors << wide, 0, 0, kWords>;
  if constexpr (wide < widestWords(rows)) enterWords<rows, wide + 1>(table);
  if constexpr (wide == 0 && rows < kTileRows) enterWords<rows + 1, 0>(table);
}
template <int rows>
consteval void enterHalves(TileTable& table) {
  if constexpr (kVectors == 2 && rows <= 8) {
    table.half[rows - 1] = tile<rows, 1>;
    if constexpr (rows <= 4) table.oneAndHalf[rows - 1] = tile<rows, 3>;
    enterHalves<rows + 1>(table);
  }
}
consteval TileTable allTiles() {
  TileTable table;
  enterTiles<1, 0>(table);
  enterWords<1, 0>(table);
  enterHalves<1>(table);
  return table;
}
constexpr TileTable tileTable = allTiles();
constexpr auto& gathered = tileTable.gathered;
CHAINRULE_INLINE auto tilesOfWidth(int wide, bool words = false) {
  return [=](int64_t rows) { return (words ? tileTable.words : tileTable.whole)[rows - 1][wide]; };
}

// The rows of each of the tiles that cover `rows`: as equal as possible, since a tile of 1 or 2 rows is inefficient.
struct RowTiles {
  int64_t count, base, larger;  // `larger` tiles of base + 1 rows come first
  [[gnu::always_inline]] inline explicit RowTiles(int64_t rows, int64_t most = kTileRows)
      : count((rows + most - 1) / most), base(count ? rows / count : 0), larger(count ? rows % count : 0) {}
  [[gnu::always_inline]] inline int64_t rowsOf(int64_t i) const { return base + (i < larger); }
  [[gnu::always_inline]] inline int64_t startOf(int64_t i) const { return base * i + least(i, larger); }
};

// The tiles of all these rows; tileOf(rows) is the function for tiles of so many. packed: A is a copy, tile after tile
// (packA). Fewer rows come later, so that what is wide enough for the first tile is for all.
template <class TileOf>
CHAINRULE_INLINE void multiplyRows(const RowTiles& rowTiles, TileOf tileOf, TileInput& in, TileOutput& out,
                                   bool packed = false) {
  for (int64_t rows = rowTiles.base + 1; rows >= rowTiles.base && rows > 0; --rows) {
    const int64_t count = rows > rowTiles.base ? rowTiles.larger : rowTiles.count - rowTiles.larger;
    if (count == 0) continue;
    if (packed) in.aCol = rows;
    tileOf(rows)(in, out, count);
    in.aOffset += count * rows * in.aBelow;
    out.c += count * rows * out.cRow;
    if (out.other) out.other += count * rows * out.cRow;
    in.ahead += count * in.aheadLines * 16;
  }
}
