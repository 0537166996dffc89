// The micro-kernel of matrix products and convolutions: a tile of C in registers, summed over segments of the k axis.

// Part of the k axis: k values, A walked by aCol and B by bRow from these addresses.
struct Segment {
  const float* a;
  const float* b;
  int64_t k;
};

// Tiles one below the other are one call: what surrounds the sums of a short k costs as much as they do.
struct TileInput {
  const Segment* segments;
  int64_t count;
  int64_t aOffset, bOffset;      // added to the addresses of every segment
  int64_t aRow, aCol;            // between the rows of the tile, and along k
  int64_t bRow, bPanel;          // along k, and between panels
  int64_t tiles = 1, aTile = 0;  // how many, and A between them
  const float* ahead = nullptr;  // lines of B that are needed next: each tile fetches `aheadLines` of them meanwhile
  int64_t aheadLines = 0;
};
struct TileOutput {
  float* c;
  int64_t cRow, cPanel;
  int64_t columns;      // of the last panel that may be written, 1..16
  int64_t biasColumns;  // of the last panel that have a bias
  bool accumulate;      // start from C
  bool finish;          // the last part of the chain: add bias, apply the activation
  const float* bias;    // of the tile's first column, or null
  Activation activation;
  Combine combine = Combine::none;
  const float* other = nullptr;  // beside c
};

constexpr int kVectors = kPanel / lanes;         // of a panel's row
constexpr int kTileRows = lanes == 16 ? 12 : 6;  // of the largest tile: 24 of 32, or 12 of 16 registers hold it

// Reads or writes vector j of a row of the tile, `width` vectors; only the last panel can be incomplete.
template <int width, bool whole>
struct TileRow {
  static constexpr int kWhole = (width - 1) / kVectors * kVectors;  // vectors of the panels before the last
  Mask masks[kVectors];
  [[gnu::always_inline]] inline explicit TileRow(int64_t columns) {
    for (int j = 0; j < kVectors; ++j) masks[j] = firstLanes(int(columns) - j * lanes);
  }
  [[gnu::always_inline]] inline Float read(const float* p, int j) const {
    return whole || j < kWhole ? load(p) : loadMasked(p, masks[j % kVectors]);
  }
  [[gnu::always_inline]] inline void write(float* p, int j, Float value) const {
    if (whole || j < kWhole)
      store(p, value);
    else
      storeMasked(p, value, masks[j % kVectors]);
  }
};

template <int rows, int width>
CHAINRULE_INLINE void clearTile(Float (&acc)[rows][width]) {
#pragma GCC unroll 12
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
    for (int j = 0; j < width; ++j) acc[r][j] = Float(0.0f);
  }
}
template <int rows, int width, bool whole>
CHAINRULE_INLINE void startTile(const TileOutput& out, Float (&acc)[rows][width]) {
  const TileRow<width, whole> row(out.columns);
#pragma GCC unroll 12
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
    for (int j = 0; j < width; ++j)
      acc[r][j] = row.read(out.c + r * out.cRow + j / kVectors * out.cPanel + j % kVectors * lanes, j);
  }
}
template <int rows, int width, bool whole>
CHAINRULE_INLINE void finishTile(const TileOutput& out, Float (&acc)[rows][width]) {
  if (out.finish && out.bias) {
    const TileRow<width, whole> row(out.biasColumns);
#pragma GCC unroll 8
    for (int j = 0; j < width; ++j) {
      const Float bias = row.read(out.bias + j * lanes, j);
#pragma GCC unroll 12
      for (int r = 0; r < rows; ++r) acc[r][j] = acc[r][j] + bias;
    }
  }
  if (out.finish && out.combine != Combine::none) {
    const TileRow<width, whole> row(out.columns);
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
      for (int j = 0; j < width; ++j) {
        const Float other = row.read(out.other + r * out.cRow + j / kVectors * out.cPanel + j % kVectors * lanes, j);
        if (out.combine == Combine::add)
          acc[r][j] = acc[r][j] + other;
        else
          acc[r][j] = select(other > Float(0.0f), acc[r][j], Float(0.0f));
      }
    }
  }
  if (out.finish && out.activation.relu) {
    const Float ceiling(out.activation.ceiling);
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
      for (int j = 0; j < width; ++j) acc[r][j] = minOr(ceiling, relu(acc[r][j]));
    }
  }
  const TileRow<width, whole> row(out.columns);
#pragma GCC unroll 12
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
    for (int j = 0; j < width; ++j)
      row.write(out.c + r * out.cRow + j / kVectors * out.cPanel + j % kVectors * lanes, j, acc[r][j]);
  }
}

// Where the rows of a tile of A begin, `stride` apart: a pointer for every three of them, since addresses have room for
// one and for two strides. A stride given as a template argument other than 0 is known to be that.
template <int rows, int knownRow>
struct RowsOfA {
  static constexpr int kGroups = knownRow ? 1 : (rows + 2) / 3;
  const float* first[kGroups];
  int64_t stride;
  [[gnu::always_inline]] inline RowsOfA(const float* a, int64_t aRow) : stride(knownRow ? knownRow : aRow) {
    for (int g = 0; g < kGroups; ++g) first[g] = a + 3 * g * stride;
  }
  [[gnu::always_inline]] inline void advance(int64_t count) {
    for (int g = 0; g < kGroups; ++g) first[g] += count;
  }
  // Between the steps of an unrolled loop: else GCC keeps an address for each of their rows, and spills them.
  [[gnu::always_inline]] inline void forget() {
    if (!knownRow && rows > 1) asm("" : "+r"(stride));
  }
  // Element k of row r.
  [[gnu::always_inline]] inline Float at(int r, int64_t k) const {
    return broadcast(knownRow ? first[0] + r * knownRow + k : first[r / 3] + r % 3 * stride + k);
  }
};

// One step along k: a column of A times a row of B. The shorter of the two stays in registers, the other passes through
// one.
template <int rows, int width, class Rows>
CHAINRULE_INLINE void multiplyStep(const Rows& a, int64_t k, const float* b, int64_t bPanel,
                                   Float (&acc)[rows][width]) {
  if constexpr (rows > width) {
    Float bv[width];
#pragma GCC unroll 8
    for (int j = 0; j < width; ++j) bv[j] = load(b + j / kVectors * bPanel + j % kVectors * lanes);
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r) {
      const Float av = a.at(r, k);
#pragma GCC unroll 8
      for (int j = 0; j < width; ++j) accumulate(acc[r][j], av, bv[j]);
    }
  } else {
    Float av[rows];
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r) av[r] = a.at(r, k);
#pragma GCC unroll 8
    for (int j = 0; j < width; ++j) {
      const Float bv = load(b + j / kVectors * bPanel + j % kVectors * lanes);
#pragma GCC unroll 12
      for (int r = 0; r < rows; ++r) accumulate(acc[r][j], av[r], bv);
    }
  }
}

// All segments.
template <int rows, int width, int knownRow, int knownCol, int knownB>
CHAINRULE_INLINE void multiplySegments(const TileInput& in, int64_t aOffset, Float (&acc)[rows][width]) {
  const int64_t aCol = knownCol ? knownCol : in.aCol, bRow = knownB ? knownB : in.bRow, bPanel = in.bPanel;
  const Segment* const end = in.segments + in.count;
  for (const Segment* s = in.segments; s != end; ++s) {
    RowsOfA<rows, knownRow> a(s->a + aOffset, in.aRow);
    const float* b = s->b + in.bOffset;
    int64_t k = s->k;
    if (knownB) {
      for (; k >= 4; k -= 4) {  // fewer iterations, whose end is predicted better
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          a.forget();
          multiplyStep<rows, width>(a, knownCol ? i : 0, b + i * kPanel, bPanel, acc);
          if (!knownCol) a.advance(aCol);
        }
        if (knownCol) a.advance(4);
        b += 4 * kPanel;
      }
    }
    for (; k > 0; --k) {
      multiplyStep<rows, width>(a, 0, b, bPanel, acc);
      a.advance(aCol);
      b += bRow;
    }
  }
}

// The next tile of this column, or the one after these: C is written, and what is added to it is read.
template <int rows, int width>
CHAINRULE_INLINE void prefetchTile(const TileOutput& out) {
#pragma GCC unroll 12
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p * kVectors < width; ++p) __builtin_prefetch(out.c + (rows + r) * out.cRow + p * out.cPanel, 1);
  }
  if (!out.finish || out.combine == Combine::none) return;
#pragma GCC unroll 12
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p * kVectors < width; ++p) __builtin_prefetch(out.other + r * out.cRow + p * out.cPanel);
  }
}

template <int rows, int width, int knownRow, int knownCol, int knownB>
CHAINRULE_INLINE void columnOfTiles(const TileInput& in, TileOutput out) {
  const bool whole = out.columns == kPanel, wholeBias = whole && (!out.bias || out.biasColumns == kPanel);
  const float* ahead = in.ahead;
  int64_t aOffset = in.aOffset;
  for (int64_t t = in.tiles; t > 0; --t) {
    for (int64_t i = 0; i < in.aheadLines; ++i) __builtin_prefetch(ahead + i * 16, 0, 2);
    ahead += in.aheadLines * 16;
    prefetchTile<rows, width>(out);
    Float acc[rows][width];
    if (!out.accumulate)
      clearTile<rows, width>(acc);
    else if (whole)
      startTile<rows, width, true>(out, acc);
    else
      startTile<rows, width, false>(out, acc);
    multiplySegments<rows, width, knownRow, knownCol, knownB>(in, aOffset, acc);
    if (wholeBias)
      finishTile<rows, width, true>(out, acc);
    else
      finishTile<rows, width, false>(out, acc);
    aOffset += in.aTile;
    out.c += rows * out.cRow;
    if (out.other) out.other += rows * out.cRow;
  }
}

template <int rows, int width>
static void tile(const TileInput& in, const TileOutput& out) {
  // Strides that the compiler knows make the addresses of an unrolled loop free.
  if (in.bRow != kPanel)
    columnOfTiles<rows, width, 0, 0, 0>(in, out);
  else if (in.aCol == 1)
    columnOfTiles<rows, width, 0, 1, kPanel>(in, out);
  else if (in.aRow == 1)
    columnOfTiles<rows, width, 1, 0, kPanel>(in, out);
  else
    columnOfTiles<rows, width, 0, 0, kPanel>(in, out);
}

// The same with a table of offsets along k, for convolutions whose runs are only a few values long: in.count values,
// and `repeat` tiles side by side, since one such tile is hardly worth a call. in.segments, aCol and accumulate are
// unused.
template <int rows, int width>
static void gatheredTiles(const float* a, const int32_t* offsets, const float* b, const TileInput& in, TileOutput out,
                          int64_t repeat) {
  const int64_t aRow = in.aRow, bPanel = in.bPanel, k = in.count;
  const bool whole = out.columns == kPanel && (!out.bias || out.biasColumns == kPanel);
  for (; repeat > 0; --repeat, a += rows * aRow, out.c += rows * out.cRow) {
    Float acc[rows][width];
    clearTile<rows, width>(acc);
    const RowsOfA<rows, 0> rowsOfA(a, aRow);
    for (int64_t i = 0; i < k; ++i) {
      multiplyStep<rows, width>(rowsOfA, offsets[i], b + i * kPanel, bPanel, acc);
    }
    if (whole)
      finishTile<rows, width, true>(out, acc);
    else
      finishTile<rows, width, false>(out, acc);
  }
}

// Few rows take more panels, so that about 8 to 12 chains hide the latency of fma: log2 of their number.
constexpr int kWidths = 3;
constexpr int widestTile(int64_t rows) {
  if (lanes == 16) return rows <= 4 ? 2 : 1;
  return rows == 1 ? 2 : rows <= 3 ? 1 : 0;
}

using TileFunction = void (*)(const TileInput&, const TileOutput&);
using GatheredFunction = void (*)(const float*, const int32_t*, const float*, const TileInput&, TileOutput, int64_t);
struct TileTable {  // by rows - 1 and log2(panels)
  TileFunction whole[kTileRows][kWidths] = {};
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
  enterHalves<1>(table);
  return table;
}
constexpr TileTable tileTable = allTiles();
constexpr auto& tiles = tileTable.whole;
constexpr auto& gathered = tileTable.gathered;

// The rows of each of the tiles that cover `rows`: as equal as possible, since a tile of 1 or 2 rows is inefficient.
struct RowTiles {
  int64_t count, base, larger;  // `larger` tiles of base + 1 rows come first
  [[gnu::always_inline]] inline explicit RowTiles(int64_t rows, int64_t most = kTileRows)
      : count((rows + most - 1) / most), base(count ? rows / count : 0), larger(count ? rows % count : 0) {}
  [[gnu::always_inline]] inline int64_t rowsOf(int64_t i) const { return base + (i < larger); }
  [[gnu::always_inline]] inline int64_t startOf(int64_t i) const { return base * i + least(i, larger); }
  // run(rows of a tile, tiles, rows before them): the larger tiles, then the others.
  template <class Run>
  [[gnu::always_inline]] inline void forRuns(Run run) const {
    if (larger > 0) run(base + 1, larger, int64_t(0));
    if (larger < count) run(base, count - larger, larger * (base + 1));
  }
};
