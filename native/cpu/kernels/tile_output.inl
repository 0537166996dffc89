// What a tile of C starts from and how it ends.

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

constexpr int kVectors = kPanel / lanes;  // of a panel's row

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
CHAINRULE_INLINE void startTile(const TileOutput& out, const float* c, Float (&acc)[rows][width]) {
  const TileRow<width, whole> row(out.columns);
#pragma GCC unroll 12
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
    for (int j = 0; j < width; ++j)
      acc[r][j] = row.read(c + r * out.cRow + j / kVectors * out.cPanel + j % kVectors * lanes, j);
  }
}
// offset: of the tile from where `out` begins.
template <int rows, int width, bool whole>
CHAINRULE_INLINE void finishTile(const TileOutput& out, int64_t offset, Float (&acc)[rows][width]) {
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
        const Float other =
            row.read(out.other + offset + r * out.cRow + j / kVectors * out.cPanel + j % kVectors * lanes, j);
        if (out.combine == Combine::add)
          acc[r][j] = acc[r][j] + other;
        else
          acc[r][j] = select(other > Float(0.0f), acc[r][j], Float(0.0f));
      }
    }
  }
  if (out.finish && out.activation.relu) {
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
      for (int j = 0; j < width; ++j) acc[r][j] = relu(acc[r][j]);
    }
  }
  if (out.finish && out.activation.relu && out.activation.ceiling < __builtin_inff()) {
    const Float ceiling(out.activation.ceiling);
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
      for (int j = 0; j < width; ++j) acc[r][j] = minOr(ceiling, acc[r][j]);
    }
  }
  const TileRow<width, whole> row(out.columns);
#pragma GCC unroll 12
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
    for (int j = 0; j < width; ++j)
      row.write(out.c + offset + r * out.cRow + j / kVectors * out.cPanel + j % kVectors * lanes, j, acc[r][j]);
  }
}
