// The micro-kernel of matrix products and convolutions: a tile of C in registers, summed over segments of the k axis.

// Part of the k axis: k values, A walked by aCol and B by bRow from these addresses.
struct Segment {
  const float* a;
  const float* b;
  int64_t k;
};

struct TileInput {
  const Segment* segments;
  int64_t count;
  int64_t aOffset, bOffset;  // added to the addresses of every segment
  int64_t aRow, aCol;        // between the rows of the tile, and along k
  int64_t bRow, bPanel;      // along k, and between panels
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
};

constexpr int kVectors = kPanel / lanes;  // of a panel's row

// Reads or writes vector j of a row of the tile; only the last panel can be incomplete.
template <int panels, bool whole>
struct TileRow {
  Mask masks[kVectors];
  [[gnu::always_inline]] inline explicit TileRow(int64_t columns) {
    for (int j = 0; j < kVectors; ++j) masks[j] = firstLanes(int(columns) - j * lanes);
  }
  [[gnu::always_inline]] inline Float read(const float* p, int j) const {
    return whole || j / kVectors < panels - 1 ? load(p) : loadMasked(p, masks[j % kVectors]);
  }
  [[gnu::always_inline]] inline void write(float* p, int j, Float value) const {
    if (whole || j / kVectors < panels - 1) store(p, value);
    else storeMasked(p, value, masks[j % kVectors]);
  }
};

template <int rows, int panels, bool whole>
CHAINRULE_INLINE void startTile(const TileOutput& out, Float (&acc)[rows][panels * kVectors]) {
  const TileRow<panels, whole> row(out.columns);
#pragma GCC unroll 6
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
    for (int j = 0; j < panels * kVectors; ++j) acc[r][j] = row.read(out.c + r * out.cRow + j / kVectors * out.cPanel + j % kVectors * lanes, j);
  }
}
template <int rows, int panels, bool whole>
CHAINRULE_INLINE void finishTile(const TileOutput& out, Float (&acc)[rows][panels * kVectors]) {
  if (out.finish && out.bias) {
    const TileRow<panels, whole> row(out.biasColumns);
#pragma GCC unroll 8
    for (int j = 0; j < panels * kVectors; ++j) {
      const Float bias = row.read(out.bias + j * lanes, j);
#pragma GCC unroll 6
      for (int r = 0; r < rows; ++r) acc[r][j] = acc[r][j] + bias;
    }
  }
  if (out.finish && out.activation == Activation::relu) {
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
      for (int j = 0; j < panels * kVectors; ++j) acc[r][j] = relu(acc[r][j]);
    }
  }
  const TileRow<panels, whole> row(out.columns);
#pragma GCC unroll 6
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
    for (int j = 0; j < panels * kVectors; ++j) row.write(out.c + r * out.cRow + j / kVectors * out.cPanel + j % kVectors * lanes, j, acc[r][j]);
  }
}

template <int rows, int panels>
static void tile(const TileInput& in, const TileOutput& out) {
  constexpr int width = panels * kVectors;
  Float acc[rows][width];
  if (!out.accumulate) {
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
      for (int j = 0; j < width; ++j) acc[r][j] = Float(0.0f);
    }
  } else if (out.columns == kPanel) {
    startTile<rows, panels, true>(out, acc);
  } else {
    startTile<rows, panels, false>(out, acc);
  }

  const int64_t aRow = in.aRow, aCol = in.aCol, bRow = in.bRow, bPanel = in.bPanel;
  const Segment* const end = in.segments + in.count;
  for (const Segment* s = in.segments; s != end; ++s) {
    const float* a = s->a + in.aOffset;
    const float* a3 = a + 3 * aRow;
    const float* b = s->b + in.bOffset;
    for (int64_t k = s->k; k > 0; --k) {
      Float bv[width];
#pragma GCC unroll 8
      for (int j = 0; j < width; ++j) bv[j] = load(b + j / kVectors * bPanel + j % kVectors * lanes);
#pragma GCC unroll 6
      for (int r = 0; r < rows; ++r) {
        const Float av = broadcast(r < 3 ? a + r * aRow : a3 + (r - 3) * aRow);
#pragma GCC unroll 8
        for (int j = 0; j < width; ++j) acc[r][j] = fma(av, bv[j], acc[r][j]);
      }
      a += aCol;
      a3 += aCol;
      b += bRow;
    }
  }

  if (out.columns == kPanel && (!out.bias || out.biasColumns == kPanel)) finishTile<rows, panels, true>(out, acc);
  else finishTile<rows, panels, false>(out, acc);
}

using TileFunction = void (*)(const TileInput&, const TileOutput&);

// By rows - 1 and log2(panels). Few rows take more panels, so that about 8 to 12 chains hide the latency of fma.
constexpr TileFunction tiles[6][3] = {
    {tile<1, 1>, tile<1, 2>, tile<1, 4>}, {tile<2, 1>, tile<2, 2>, nullptr}, {tile<3, 1>, tile<3, 2>, nullptr},
    {tile<4, 1>, nullptr, nullptr},       {tile<5, 1>, nullptr, nullptr},    {tile<6, 1>, nullptr, nullptr},
};
CHAINRULE_INLINE int widestTile(int64_t rows) { return rows == 1 ? 2 : rows <= 3 ? 1 : 0; }

// The rows of each of the tiles that cover `rows`: as equal as possible, since a tile of 1 or 2 rows is inefficient.
struct RowTiles {
  int64_t count, base, larger;  // `larger` tiles of base + 1 rows come first
  [[gnu::always_inline]] inline explicit RowTiles(int64_t rows) : count((rows + 5) / 6), base(count ? rows / count : 0), larger(count ? rows % count : 0) {}
  [[gnu::always_inline]] inline int64_t rowsOf(int64_t i) const { return base + (i < larger); }
  [[gnu::always_inline]] inline int64_t startOf(int64_t i) const { return base * i + least(i, larger); }
};
