// Reductions. The order of additions depends on sizes alone: see foldRow, and kRowBlock below.

template <typename Op, typename T>
struct RowSource {
  using V = typename VectorOf<T>::Type;
  const T* x;
  [[gnu::always_inline]] inline V at(int64_t i) const { return load(x + i); }
  [[gnu::always_inline]] inline V partial(int64_t i, int count) const {
    return select(firstLanes(count), loadPartial(x + i, count), Op::neutral(V{}));
  }
};

template <typename Op, typename T>
static void reduceRows(const T* x, int64_t n, T* out, int64_t rowBegin, int64_t rowEnd) {
  for (int64_t row = rowBegin; row < rowEnd; ++row) {
    RowSource<Op, T> source{x + row * n};
    out[row] = firstLane(foldRow<Op, typename VectorOf<T>::Type>(source, n));
  }
}

// Columns in groups of `vectors` vectors (`count` < lanes masks a single one), rows in blocks that keep the sums short:
// out = out + the fold of rows [begin, end), or the latter alone for the first block.
constexpr int64_t kRowBlock = 128;

template <typename Op, int vectors, typename T>
CHAINRULE_INLINE void reduceColumnGroup(const T* x, int64_t begin, int64_t end, int64_t inner, T* out, int count) {
  using V = typename VectorOf<T>::Type;
  V part[vectors];
  for (V& v : part) v = Op::neutral(V{});
  for (int64_t row = begin; row < end; ++row) {
    const T* p = x + row * inner;
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j)
      part[j] = Op::join(part[j], count < lanes ? loadPartial(p, count) : load(p + j * lanes));
  }
#pragma GCC unroll 8
  for (int j = 0; j < vectors; ++j) {
    if (begin > 0) part[j] = Op::join(count < lanes ? loadPartial(out, count) : load(out + j * lanes), part[j]);
    if (count < lanes)
      storePartial(out, part[0], count);
    else
      store(out + j * lanes, part[j]);
  }
}

// The same for many columns, along the rows: a walk down a few columns would read a line of every page.
constexpr int64_t kLongRow = 256, kLongestRow = 1024;

template <typename Op, typename T>
static void reduceLongRows(const T* x, int64_t begin, int64_t end, int64_t inner, int64_t width, T* out) {
  using V = typename VectorOf<T>::Type;
  alignas(64) T part[kLongestRow];
  for (int64_t i = 0; i < width; i += lanes) store(part + i, Op::neutral(V{}));
  int64_t row = begin;
  for (; row + 4 <= end; row += 4) {
    const T* p = x + row * inner;
    for (int64_t i = 0; i < width; i += lanes) {
      V sum = load(part + i);
#pragma GCC unroll 4
      for (int r = 0; r < 4; ++r) sum = Op::join(sum, load(p + r * inner + i));
      store(part + i, sum);
    }
  }
  for (; row < end; ++row) {
    for (int64_t i = 0; i < width; i += lanes) store(part + i, Op::join(load(part + i), load(x + row * inner + i)));
  }
  for (int64_t i = 0; i < width; i += lanes) {
    const V sum = load(part + i);
    store(out + i, begin > 0 ? Op::join(load(out + i), sum) : sum);
  }
}

template <typename Op, typename T>
static void reduceColumns(const T* x, int64_t n, int64_t inner, T* out, int64_t begin, int64_t end) {
  int64_t block = 0;
  do {
    const int64_t stop = least(n, block + kRowBlock);
    int64_t i = begin;
    while (end - i >= kLongRow) {
      const int64_t width = least(kLongestRow, (end - i) / lanes * lanes);
      reduceLongRows<Op>(x + i, block, stop, inner, width, out + i);
      i += width;
    }
    for (; i + 8 * lanes <= end; i += 8 * lanes) reduceColumnGroup<Op, 8>(x + i, block, stop, inner, out + i, lanes);
    for (; i + 2 * lanes <= end; i += 2 * lanes) reduceColumnGroup<Op, 2>(x + i, block, stop, inner, out + i, lanes);
    for (; i + lanes <= end; i += lanes) reduceColumnGroup<Op, 1>(x + i, block, stop, inner, out + i, lanes);
    if (i < end) reduceColumnGroup<Op, 1>(x + i, block, stop, inner, out + i, int(end - i));
    block = stop;
  } while (block < n);
}

template <typename Op>
static void reduceInnerAs(DType dtype, const void* x, int64_t n, void* out, int64_t begin, int64_t end) {
  if (dtype == DType::f32)
    reduceRows<Op>(static_cast<const float*>(x), n, static_cast<float*>(out), begin, end);
  else
    reduceRows<Op>(static_cast<const int32_t*>(x), n, static_cast<int32_t*>(out), begin, end);
}
template <typename Op>
static void reduceOuterAs(DType dtype, const void* x, int64_t n, int64_t inner, void* out, int64_t begin, int64_t end) {
  if (dtype == DType::f32)
    reduceColumns<Op>(static_cast<const float*>(x), n, inner, static_cast<float*>(out), begin, end);
  else
    reduceColumns<Op>(static_cast<const int32_t*>(x), n, inner, static_cast<int32_t*>(out), begin, end);
}

static void reduceInner(Reduce op, DType dtype, const void* x, int64_t n, void* out, int64_t rowBegin, int64_t rowEnd) {
  switch (op) {
    case Reduce::sum:
      return reduceInnerAs<SumOf>(dtype, x, n, out, rowBegin, rowEnd);
    case Reduce::prod:
      return reduceInnerAs<ProductOf>(dtype, x, n, out, rowBegin, rowEnd);
    case Reduce::max:
      return reduceInnerAs<MaximumOf>(dtype, x, n, out, rowBegin, rowEnd);
    case Reduce::min:
      return reduceInnerAs<MinimumOf>(dtype, x, n, out, rowBegin, rowEnd);
    case Reduce::any:
    case Reduce::all: {
      // Stops at the first byte that decides.
      for (int64_t row = rowBegin; row < rowEnd; ++row) {
        const uint8_t* p = static_cast<const uint8_t*>(x) + row * n;
        const bool decisive = op == Reduce::any;
        bool result = !decisive;
        for (int64_t i = 0; i < n && result != decisive; ++i) result = (p[i] != 0);
        static_cast<uint8_t*>(out)[row] = result;
      }
    }
  }
}

static void reduceOuter(Reduce op, DType dtype, const void* x, int64_t n, int64_t inner, void* out, int64_t columnBegin,
                        int64_t columnEnd) {
  switch (op) {
    case Reduce::sum:
      return reduceOuterAs<SumOf>(dtype, x, n, inner, out, columnBegin, columnEnd);
    case Reduce::prod:
      return reduceOuterAs<ProductOf>(dtype, x, n, inner, out, columnBegin, columnEnd);
    case Reduce::max:
      return reduceOuterAs<MaximumOf>(dtype, x, n, inner, out, columnBegin, columnEnd);
    case Reduce::min:
      return reduceOuterAs<MinimumOf>(dtype, x, n, inner, out, columnBegin, columnEnd);
    case Reduce::any:
    case Reduce::all: {
      uint8_t* result = static_cast<uint8_t*>(out);
      for (int64_t i = columnBegin; i < columnEnd; ++i) result[i] = op == Reduce::all;
      for (int64_t row = 0; row < n; ++row) {
        const uint8_t* p = static_cast<const uint8_t*>(x) + row * inner;
        for (int64_t i = columnBegin; i < columnEnd; ++i) {
          const uint8_t bit = p[i] != 0;
          result[i] = op == Reduce::any ? result[i] | bit : result[i] & bit;
        }
      }
    }
  }
}

// --- Positions and running folds
// -------------------------------------------------------------------------------------------

CHAINRULE_INLINE Mask beats(bool maximum, Float x, Float best) {  // a NaN beats numbers and is beaten by nothing
  return (best == best) & !(maximum ? x <= best : x >= best);
}
CHAINRULE_INLINE Mask beats(bool maximum, Int x, Int best) { return maximum ? x > best : x < best; }

// `count` neighbouring lines (their middle axes have stride inner).
template <typename T>
CHAINRULE_INLINE void argReduceLines(bool maximum, const T* x, int64_t n, int64_t inner, int32_t* out, int count) {
  using V = typename VectorOf<T>::Type;
  V best = loadPartial(x, count);
  Int where(0);
  for (int64_t i = 1; i < n; ++i) {
    const V value = loadPartial(x + i * inner, count);
    const Mask better = beats(maximum, value, best);
    best = select(better, value, best);
    where = select(better, Int(int32_t(i)), where);
  }
  storePartial(out, where, count);
}

// One contiguous line: each lane finds its first best, then the lanes are compared.
template <typename T>
CHAINRULE_INLINE int32_t argReduceRow(bool maximum, const T* x, int64_t n) {
  using V = typename VectorOf<T>::Type;
  T values[lanes];
  int32_t places[lanes];
  const int width = int(least(n, lanes));
  V best = loadPartial(x, width);
  Int where = laneIndex();
  int64_t i = lanes;
  for (; i + lanes <= n; i += lanes) {
    const V value = load(x + i);
    const Mask better = beats(maximum, value, best);
    best = select(better, value, best);
    where = select(better, laneIndex() + Int(int32_t(i)), where);
  }
  if (i < n) {
    const V value = loadPartial(x + i, int(n - i));
    const Mask better = beats(maximum, value, best) & firstLanes(int(n - i));
    best = select(better, value, best);
    where = select(better, laneIndex() + Int(int32_t(i)), where);
  }
  store(values, best);
  store(places, where);
  int winner = 0;
  for (int k = 1; k < width; ++k) {
    const bool nan = values[k] != values[k], winnerNan = values[winner] != values[winner];
    const bool better = !winnerNan && (nan || (maximum ? values[k] > values[winner] : values[k] < values[winner]));
    const bool equal = (nan && winnerNan) || values[k] == values[winner];
    if (better || (equal && places[k] < places[winner])) winner = k;
  }
  return places[winner];
}

template <typename T>
static void argReduceAs(bool maximum, const T* x, int64_t n, int64_t inner, int32_t* out, int64_t begin, int64_t end) {
  if (inner == 1) {
    for (int64_t row = begin; row < end; ++row) out[row] = argReduceRow(maximum, x + row * n, n);
    return;
  }
  for (int64_t line = begin; line < end;) {
    const int64_t column = line % inner, count = least(least(lanes, inner - column), end - line);
    argReduceLines(maximum, x + line / inner * n * inner + column, n, inner, out + line, int(count));
    line += count;
  }
}
static void argReduce(bool maximum, DType dtype, const void* x, int64_t n, int64_t inner, int32_t* out, int64_t begin,
                      int64_t end) {
  if (dtype == DType::f32)
    argReduceAs(maximum, static_cast<const float*>(x), n, inner, out, begin, end);
  else
    argReduceAs(maximum, static_cast<const int32_t*>(x), n, inner, out, begin, end);
}

template <typename Op, typename T>
static void cumulate(const T* x, int64_t n, int64_t inner, bool exclusive, bool reverse, T* y, int64_t begin,
                     int64_t end) {
  using V = typename VectorOf<T>::Type;
  for (int64_t line = begin; line < end;) {
    const int64_t column = line % inner;
    const int count = int(least(least(lanes, inner - column), end - line));
    const int64_t base = line / inner * n * inner + column;
    V sum = Op::neutral(V{});
    for (int64_t i = 0; i < n; ++i) {
      const int64_t at = base + (reverse ? n - 1 - i : i) * inner;
      const V next = i == 0 ? loadPartial(x + at, count) : Op::join(sum, loadPartial(x + at, count));
      storePartial(y + at, exclusive ? sum : next, count);
      sum = next;
    }
    line += count;
  }
}
template <typename Op>
static void cumulateAs(DType dtype, const void* x, int64_t n, int64_t inner, bool exclusive, bool reverse, void* y,
                       int64_t begin, int64_t end) {
  if (dtype == DType::f32)
    cumulate<Op>(static_cast<const float*>(x), n, inner, exclusive, reverse, static_cast<float*>(y), begin, end);
  else
    cumulate<Op>(static_cast<const int32_t*>(x), n, inner, exclusive, reverse, static_cast<int32_t*>(y), begin, end);
}
static void cumulative(Reduce op, DType dtype, const void* x, int64_t n, int64_t inner, bool exclusive, bool reverse,
                       void* y, int64_t begin, int64_t end) {
  if (op == Reduce::sum) return cumulateAs<SumOf>(dtype, x, n, inner, exclusive, reverse, y, begin, end);
  if (op == Reduce::prod) return cumulateAs<ProductOf>(dtype, x, n, inner, exclusive, reverse, y, begin, end);
  if (op == Reduce::max) return cumulateAs<MaximumOf>(dtype, x, n, inner, exclusive, reverse, y, begin, end);
  return cumulateAs<MinimumOf>(dtype, x, n, inner, exclusive, reverse, y, begin, end);
}
