// Products of int8 matrices. The sums are exact in int32, so neither their order nor the instruction set matters.

struct Magnitudes {
  const float* x;
  [[gnu::always_inline]] inline Float at(int64_t i) const { return abs(load(x + i)); }
  [[gnu::always_inline]] inline Float partial(int64_t i, int count) const { return abs(loadPartial(x + i, count)); }
};

// Keras's abs-max rule (keras/src/quantizers/quantizers.py, abs_max_quantize). Returns the scale. Writes whole groups
// of 4.
CHAINRULE_INLINE Float quantizeBy(const float* x, Float largest, int8_t* out, int64_t n) {
  const Float limit(127.0f), factor = limit / (largest + Float(1e-7f));
  const auto quantized = [&](Float value) {  // a NaN becomes some number; the scale is NaN then, too
    return roundToInt(maxOr(minOr(value * factor, limit), -limit)) ^ Int(kFlip);
  };
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) storeBytes(reinterpret_cast<uint8_t*>(out + i), quantized(load(x + i)));
  if (i == n) return factor;  // a multiple of 4, then
  uint8_t rest[lanes];
  storeBytes(rest, quantized(loadPartial(x + i, int(n - i))));
  __builtin_memcpy(out + i, rest, size_t(roundUp(n, 4) - i));  // weights that meet the padding are 0
  return factor;
}

static void quantizeRows(const float* x, int64_t n, int8_t* out, float* scale, int64_t rowBegin, int64_t rowEnd) {
  for (int64_t row = rowBegin; row < rowEnd; ++row) {
    Magnitudes magnitudes{x + row * n};
    scale[row] =
        firstLane(quantizeBy(x + row * n, foldRow<MaximumOf, Float>(magnitudes, n), out + row * roundUp(n, 4), n));
  }
}

[[maybe_unused]] static float largestMagnitude(const float* x, int64_t begin, int64_t end) {
  Magnitudes magnitudes{x + begin};
  return firstLane(foldRow<MaximumOf, Float>(magnitudes, end - begin));
}

static float quantizePart(const float* x, float largest, int8_t* out, int64_t begin, int64_t end) {
  return firstLane(quantizeBy(x + begin, Float(largest), out + begin, end - begin));
}

// Four neighbouring bytes in every lane.
CHAINRULE_INLINE Int broadcastQuad(const int8_t* p) {
  int32_t quad;
  __builtin_memcpy(&quad, p, 4);
  return Int(quad);
}

// Where kFlip is not 0, the bytes of A are larger by it: `excess` is what that adds to the sums of a column, computed
// by the first tile of the panels. For a row alone it is cheaper to take it off A.
template <int rows, int panels, bool first>
static void int8Tile(const Int8Gemm& g, int64_t row, int64_t panel, Int* excess) {
  constexpr int perPanel = kPanel / lanes, vectors = panels * perPanel;
  constexpr bool alone = first && rows == 1;
  const int64_t quads = (g.k + 3) / 4;
  const int8_t* a = g.a + row * quads * 4;
  const int8_t* b = g.b + panel * quads * 4 * kPanel;
  Int acc[rows][vectors], flips[vectors];
#pragma GCC unroll 8
  for (int j = 0; j < vectors; ++j) {
    if (first) flips[j] = Int(0);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) acc[r][j] = Int(0);
  }
  for (int64_t k = 0; k < quads; ++k) {
    const auto weights = [&](int j) {
      const int8_t* w = b + j / perPanel * quads * 4 * kPanel + (k * kPanel + j % perPanel * lanes) * 4;
      return load(reinterpret_cast<const int32_t*>(w));
    };
    if constexpr (first && !alone) {
#pragma GCC unroll 8
      for (int j = 0; j < vectors; ++j) accumulateQuads(flips[j], weights(j), Int(0x01010101));
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const Int x = broadcastQuad(a + (r * quads + k) * 4);
#pragma GCC unroll 8
      for (int j = 0; j < vectors; ++j) {
        if constexpr (alone)
          accumulateSigned(acc[r][j], weights(j), x ^ Int(int32_t(uint32_t(kFlip) * 0x01010101u)));
        else
          accumulateQuads(acc[r][j], weights(j), x);
      }
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < vectors; ++j) {
    const int64_t column = panel * kPanel + j * lanes;
    const int count = int(least(lanes, g.n - column));
    if (count <= 0) return;
    if constexpr (first) excess[j] = alone ? Int(0) : flips[j] * Int(kFlip);
    const Float columnScale = loadSome(g.bScale + column, count);
    const Float bias = g.bias ? loadSome(g.bias + column, count) : Float(0.0f);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const Int sum = kFlip == 0 ? acc[r][j] : acc[r][j] - excess[j];
      Float y = toFloat(sum) / (columnScale * Float(g.aScale[row + r]));
      if (g.bias) y = y + bias;
      if (g.activation.relu) y = relu(y, g.activation.ceiling);
      storeSome(g.c + (row + r) * g.cRow + column, y, count);
    }
  }
}

constexpr int kInt8Rows = lanes == 16 ? 8 : 4;  // chains of two panels that hide the latency of their instruction

template <int panels>
static void int8Rows(const Int8Gemm& g, int64_t rowBegin, int64_t rowEnd, int64_t panel) {
  Int excess[panels * (kPanel / lanes)];
  const auto tile = [&](auto rows, int64_t row) {
    if (kFlip != 0 && row == rowBegin)
      int8Tile<rows(), panels, kFlip != 0>(g, row, panel, excess);
    else
      int8Tile<rows(), panels, false>(g, row, panel, excess);
  };
  int64_t row = rowBegin;
  for (; row + kInt8Rows <= rowEnd; row += kInt8Rows) tile(Constant<kInt8Rows>{}, row);
  if (rowEnd - row >= 4) {
    tile(Constant<4>{}, row);
    row += 4;
  }
  switch (rowEnd - row) {
    case 1:
      return tile(Constant<1>{}, row);
    case 2:
      return tile(Constant<2>{}, row);
    case 3:
      return tile(Constant<3>{}, row);
  }
}

static void gemmInt8(const Int8Gemm& g, int64_t rowBegin, int64_t rowEnd, int64_t panelBegin, int64_t panelEnd) {
  constexpr int wide = lanes == 16 ? 2 : 1;
  constexpr int64_t bytes = 1 << 17;  // of A, that stay in L2 while the panels pass
  const int64_t blockRows = most(kInt8Rows, bytes / most(g.k, 1) / kInt8Rows * kInt8Rows);
  for (int64_t row = rowBegin; row < rowEnd; row += blockRows) {
    const int64_t end = least(row + blockRows, rowEnd);
    int64_t p = panelBegin;
    // A single row waits for the sums before it unless there are several next to each other.
    Int excess[2 * wide * (kPanel / lanes)];
    for (; end - row == 1 && p + 2 * wide <= panelEnd; p += 2 * wide)
      int8Tile<1, 2 * wide, kFlip != 0>(g, row, p, excess);
    for (; p + wide <= panelEnd; p += wide) int8Rows<wide>(g, row, end, p);
    for (; p < panelEnd; ++p) int8Rows<1>(g, row, end, p);
  }
}

static void gatherInt8(const int8_t* table, int64_t tableRows, int64_t width, const float* scale,
                       const int32_t* indices, float* out, int64_t begin, int64_t end, int64_t* firstBad) {
  for (int64_t i = begin; i < end; ++i) {
    const int64_t row = indices[i];
    float* to = out + i * width;
    if (row < 0 || row >= tableRows) {
      __builtin_memset(to, 0, size_t(width) * 4);
      if (i < *firstBad) *firstBad = i;
      continue;
    }
    const int8_t* from = table + row * width;
    const Float divisor(scale[row]);
    const auto values = [](const int8_t* p) {  // bytes as signed numbers
      return toFloat(shiftRight<24>(shiftLeft<24>(loadBytes(reinterpret_cast<const uint8_t*>(p)))));
    };
    int64_t k = 0;
    for (; k + lanes <= width; k += lanes) store(to + k, values(from + k) / divisor);
    if (k == width) continue;
    int8_t rest[lanes] = {};
    __builtin_memcpy(rest, from + k, size_t(width - k));
    storePartial(to + k, values(rest) / divisor, int(width - k));
  }
}
