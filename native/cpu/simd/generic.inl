// What every ISA builds from its own operations.

CHAINRULE_INLINE Int swapHalves(Int a) { return bitsOf(swapHalves(floatOf(a))); }
CHAINRULE_INLINE Int swapPairs(Int a) { return bitsOf(swapPairs(floatOf(a))); }
CHAINRULE_INLINE Int swapNeighbours(Int a) { return bitsOf(swapNeighbours(floatOf(a))); }

template <typename T>
struct VectorOf;
template <>
struct VectorOf<float> {
  using Type = Float;
};
template <>
struct VectorOf<int32_t> {
  using Type = Int;
};

template <auto value>  // as an argument
struct Constant {
  constexpr auto operator()() const { return value; }
};

CHAINRULE_INLINE Float loadSome(const float* p, int count) { return count == lanes ? load(p) : loadPartial(p, count); }
CHAINRULE_INLINE void storeSome(float* p, Float v, int count) {
  count == lanes ? store(p, v) : storePartial(p, v, count);
}

CHAINRULE_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
CHAINRULE_INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
CHAINRULE_INLINE int64_t roundUp(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// The ways to fold many values into one: join(so far, next). neutral() is the value of an empty fold. maximum and
// minimum look first whether their first operand is a NaN: that need not wait for what there is so far.
struct SumOf {
  template <typename V>
  CHAINRULE_INLINE V join(V a, V b) {
    return a + b;
  }
  CHAINRULE_INLINE Float neutral(Float) { return Float(0.0f); }
  CHAINRULE_INLINE Int neutral(Int) { return Int(0); }
};
struct ProductOf {
  template <typename V>
  CHAINRULE_INLINE V join(V a, V b) {
    return a * b;
  }
  CHAINRULE_INLINE Float neutral(Float) { return Float(1.0f); }
  CHAINRULE_INLINE Int neutral(Int) { return Int(1); }
};
struct MaximumOf {
  template <typename V>
  CHAINRULE_INLINE V join(V a, V b) {
    return maximum(b, a);
  }
  CHAINRULE_INLINE Float neutral(Float) { return Float(-__builtin_inff()); }
  CHAINRULE_INLINE Int neutral(Int) { return Int(INT32_MIN); }
};
struct MinimumOf {
  template <typename V>
  CHAINRULE_INLINE V join(V a, V b) {
    return minimum(b, a);
  }
  CHAINRULE_INLINE Float neutral(Float) { return Float(__builtin_inff()); }
  CHAINRULE_INLINE Int neutral(Int) { return Int(INT32_MAX); }
};

// All lanes of an eight get the fold over its lanes.
template <typename Op, typename V>
CHAINRULE_INLINE V foldEights(V a) {
  a = Op::join(swapHalves(a), a);
  a = Op::join(swapPairs(a), a);
  return Op::join(swapNeighbours(a), a);
}
// All lanes get the fold over the lanes.
template <typename Op, typename V>
CHAINRULE_INLINE V foldLanes(V a) {
  if constexpr (lanes == 16) a = Op::join(swapEights(a), a);
  return foldEights<Op>(a);
}

// Folds source.at(0), …, source.at(n - 1) in an order that only n decides: 8, 16 or 32 virtual lanes, blocks of 4096,
// then a tree. at(i) yields lanes i…; partial(i, count) yields `count` lanes and the neutral value in the rest.
constexpr int kVirtualVectors = 32 / lanes;
constexpr int64_t kFoldBlock = 4096;

template <typename Op, typename V, typename Source>
CHAINRULE_INLINE V foldRow(Source& source, int64_t n) {
  if (n <= lanes && n > 0) {
    const V only = n == lanes ? source.at(0) : source.partial(0, int(n));
    if constexpr (lanes == 16) {
      if (n <= 8) return V(firstLane(foldEights<Op>(only)));
    }
    return foldLanes<Op>(only);
  }
  if (n <= 16 && n > 0) {
    const V first = source.at(0);
    return foldLanes<Op>(Op::join(first, n == 2 * lanes ? source.at(lanes) : source.partial(lanes, int(n) - lanes)));
  }
  V total[kVirtualVectors], part[kVirtualVectors];
  for (V& v : total) v = Op::neutral(V{});
  for (int64_t block = 0; block < n; block += kFoldBlock) {
    const int64_t end = least(n, block + kFoldBlock);
    int64_t i = block;
    for (V& v : part) v = Op::neutral(V{});
    for (; i + 32 <= end; i += 32) {
#pragma GCC unroll 4
      for (int j = 0; j < kVirtualVectors; ++j) part[j] = Op::join(part[j], source.at(i + j * lanes));
    }
#pragma GCC unroll 4
    for (int j = 0; j < kVirtualVectors; ++j, i += lanes) {
      if (i + lanes <= end)
        part[j] = Op::join(part[j], source.at(i));
      else if (i < end)
        part[j] = Op::join(part[j], source.partial(i, int(end - i)));
    }
#pragma GCC unroll 4
    for (int j = 0; j < kVirtualVectors; ++j) total[j] = Op::join(total[j], part[j]);
  }
#pragma GCC unroll 4
  for (int width = kVirtualVectors / 2; width > 0; width /= 2) {
#pragma GCC unroll 4
    for (int j = 0; j < width; ++j) total[j] = Op::join(total[j], total[j + width]);
  }
  return foldLanes<Op>(total[0]);
}
