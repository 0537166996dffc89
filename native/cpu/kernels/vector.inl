// Products with a single column: the micro-kernel would compute fifteen more.

struct RowTimesVector {
  const float *a, *b;
  [[gnu::always_inline]] inline Float at(int64_t i) const { return load(a + i) * load(b + i); }
  [[gnu::always_inline]] inline Float partial(int64_t i, int count) const {
    return loadPartial(a + i, count) * loadPartial(b + i, count);
  }
};

static void matrixVector(const float* a, int64_t k, const float* b, float* out, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    RowTimesVector source{a + row * k, b};
    out[row] = firstLane(foldRow<SumOf, Float>(source, k));
  }
}

// `vectors` vectors of columns; `count` < lanes masks a single one.
template <int vectors>
CHAINRULE_INLINE void vectorMatrixColumns(const float* a, int64_t aRow, int64_t k, const float* b, bool accumulates,
                                          float* out, int count) {
  Float sum[vectors];
#pragma GCC unroll 8
  for (int j = 0; j < vectors; ++j)
    sum[j] = !accumulates ? Float(0.0f) : count < lanes ? loadPartial(out, count) : load(out + j * lanes);
  for (int64_t i = 0; i < k; ++i, a += aRow) {
    const Float factor = broadcast(b + i);
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j)
      accumulate(sum[j], factor, count < lanes ? loadPartial(a, count) : load(a + j * lanes));
  }
#pragma GCC unroll 8
  for (int j = 0; j < vectors; ++j) {
    if (count < lanes)
      storePartial(out, sum[0], count);
    else
      store(out + j * lanes, sum[j]);
  }
}

static void vectorMatrix(const float* a, int64_t aRow, int64_t k, const float* b, bool accumulates, float* out,
                         int64_t begin, int64_t end) {
  int64_t j = begin;
  for (; j + 8 * lanes <= end; j += 8 * lanes) vectorMatrixColumns<8>(a + j, aRow, k, b, accumulates, out + j, lanes);
  for (; j + 2 * lanes <= end; j += 2 * lanes) vectorMatrixColumns<2>(a + j, aRow, k, b, accumulates, out + j, lanes);
  for (; j + lanes <= end; j += lanes) vectorMatrixColumns<1>(a + j, aRow, k, b, accumulates, out + j, lanes);
  if (j < end) vectorMatrixColumns<1>(a + j, aRow, k, b, accumulates, out + j, int(end - j));
}
