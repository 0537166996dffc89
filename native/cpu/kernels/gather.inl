// Rows by index: embedding tables and their gradients, without atomics.

// Rows of whole vectors are copied inline: a call of memcpy costs more than a short row.
CHAINRULE_INLINE void copyRow(char* to, const char* from, int64_t bytes) {
  if (bytes % (lanes * 4) != 0 || bytes > 1024) return copyBytes(to, from, bytes);
  copyWords(reinterpret_cast<int32_t*>(to), reinterpret_cast<const int32_t*>(from), bytes / 4);
}

static void gatherRows(const void* table, int64_t tableRows, int64_t rowBytes, const int32_t* indices, void* out,
                       int64_t begin, int64_t end, int64_t* firstBad) {
  const char* from = static_cast<const char*>(table);
  char* to = static_cast<char*>(out);
  for (int64_t i = begin; i < end; ++i) {
    const int64_t row = indices[i], soon = indices[least(i + 12, end - 1)];
    if (soon >= 0 && soon < tableRows) __builtin_prefetch(from + soon * rowBytes);
    if (row >= 0 && row < tableRows) {
      copyRow(to + i * rowBytes, from + row * rowBytes, rowBytes);
    } else {
      __builtin_memset(to + i * rowBytes, 0, size_t(rowBytes));
      if (i < *firstBad) *firstBad = i;
    }
  }
}

// Sums of rows, in the order of reduceOuter. The rows ahead are asked for: their places follow no pattern.
constexpr int64_t kRowsAhead = 24;

template <int vectors>
CHAINRULE_INLINE void sumRowsGroup(const float* table, int64_t width, const int32_t* indices, int64_t begin,
                                   int64_t end, int64_t last, float* out, int count) {
  Float part[vectors];
  for (Float& v : part) v = Float(0.0f);
  for (int64_t i = begin; i < end; ++i) {
    // Nobody has looked at that id yet, so the address may be anything.
    const uint64_t offset = uint64_t(int64_t(indices[least(i + kRowsAhead, last)])) * uint64_t(width) * 4;
    const char* const ahead = reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(table) + offset);
#pragma GCC unroll 4
    for (int64_t byte = 0; byte < vectors * lanes * 4; byte += 64) __builtin_prefetch(ahead + byte);
    const float* const row = table + indices[i] * width;
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j)
      part[j] = part[j] + (count < lanes ? loadPartial(row, count) : load(row + j * lanes));
  }
#pragma GCC unroll 8
  for (int j = 0; j < vectors; ++j) {
    if (begin > 0) part[j] = (count < lanes ? loadPartial(out, count) : load(out + j * lanes)) + part[j];
    if (count < lanes)
      storePartial(out, part[0], count);
    else
      store(out + j * lanes, part[j]);
  }
}

static void gatherSum(const float* table, int64_t width, const int32_t* indices, int64_t count, int64_t known,
                      float* out) {
  const int64_t last = known - 1;
  int64_t begin = 0;
  do {
    const int64_t end = least(begin + kRowBlock, count);
    int64_t c = 0;
    for (; c + 8 * lanes <= width; c += 8 * lanes)
      sumRowsGroup<8>(table + c, width, indices, begin, end, last, out + c, lanes);
    for (; c + 2 * lanes <= width; c += 2 * lanes)
      sumRowsGroup<2>(table + c, width, indices, begin, end, last, out + c, lanes);
    for (; c + lanes <= width; c += lanes) sumRowsGroup<1>(table + c, width, indices, begin, end, last, out + c, lanes);
    if (c < width) sumRowsGroup<1>(table + c, width, indices, begin, end, last, out + c, int(width - c));
    begin = end;
  } while (begin < count);
}

CHAINRULE_INLINE void addRow(float* to, const float* from, int64_t width) {
  int64_t c = 0;
  for (; c + lanes <= width; c += lanes) store(to + c, load(to + c) + load(from + c));
  const int rest = int(width - c);
  if (rest > 0) storePartial(to + c, loadPartial(to + c, rest) + loadPartial(from + c, rest), rest);
}

// A member's share of the rows of a table, dealt out by a hash, since the frequent ids of a vocabulary lie together.
struct RowShare {
  Int first, range;  // of the hashes of own rows, as unsigned numbers whose first bit is flipped: range = last - first
  Int rows;
  [[gnu::always_inline]] inline RowShare(int64_t tableRows, int64_t member, int64_t members)
      : first(int32_t(uint32_t(begin(member, members)))),
        range(flipped(begin(member + 1, members) - 1 - begin(member, members))),
        rows(flipped(least(tableRows, int64_t(1) << 31))) {}
  [[gnu::always_inline]] static inline int64_t begin(int64_t member, int64_t members) {
    return ((member << 32) + members - 1) / members;
  }
  [[gnu::always_inline]] static inline int32_t flipped(int64_t a) { return int32_t(uint32_t(a) ^ 0x80000000u); }
  [[gnu::always_inline]] inline Mask owns(Int row) const {
    const Int sign(INT32_MIN), behind = row * Int(int32_t(0x9E3779B1u)) - first;
    return ((behind ^ sign) <= range) & ((row ^ sign) < rows);
  }
};

// Adds rows of `values`, one of `width` floats for each target, to the rows of a table.
template <int knownWidth>
CHAINRULE_INLINE void addRows(const float* values, const int32_t* places, int64_t anyWidth, const int32_t* rows,
                              int64_t count, float* table) {
  const int64_t width = knownWidth ? knownWidth : anyWidth;
  for (int64_t i = 0; i < count; ++i) {
    __builtin_prefetch(table + rows[least(i + 12, count - 1)] * width, 1);
    addRow(table + rows[i] * width, values + places[i] * width, width);
  }
}

// Adds one row to many rows of a table; it stays in registers.
template <int vectors>
CHAINRULE_INLINE void addToRowsGroup(const float* value, int64_t width, const int32_t* rows, int64_t count,
                                     float* table) {
  Float part[vectors];
#pragma GCC unroll 8
  for (int j = 0; j < vectors; ++j) part[j] = load(value + j * lanes);
  for (int64_t i = 0; i < count; ++i) {
    char* const ahead = reinterpret_cast<char*>(table + rows[least(i + kRowsAhead, count - 1)] * width);
#pragma GCC unroll 4
    for (int64_t byte = 0; byte < vectors * lanes * 4; byte += 64) __builtin_prefetch(ahead + byte, 1);
    float* const to = table + rows[i] * width;
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) store(to + j * lanes, load(to + j * lanes) + part[j]);
  }
}

static void addToRows(const float* value, int64_t width, const int32_t* rows, int64_t count, float* table) {
  int64_t c = 0;
  for (; c + 8 * lanes <= width; c += 8 * lanes) addToRowsGroup<8>(value + c, width, rows, count, table + c);
  for (; c + 2 * lanes <= width; c += 2 * lanes) addToRowsGroup<2>(value + c, width, rows, count, table + c);
  for (; c + lanes <= width; c += lanes) addToRowsGroup<1>(value + c, width, rows, count, table + c);
  const int rest = int(width - c);
  if (rest == 0) return;
  const Float part = loadPartial(value + c, rest);
  for (int64_t i = 0; i < count; ++i) {
    float* const to = table + rows[i] * width + c;
    storePartial(to, loadPartial(to, rest) + part, rest);
  }
}

// Every member reads all indices and adds to the rows that are its own, in the order of positions.
template <bool grouped>
CHAINRULE_INLINE void scatterAdd(const float* values, int64_t width, int64_t group, const int32_t* indices,
                                 int64_t count, float* table, const RowShare& share) {
  constexpr int64_t block = grouped ? 1024 : 256;
  int32_t own[block + lanes], places[block + lanes];
  for (int64_t first = 0; first < count;) {
    const int64_t n = least(least(block, count - first), grouped ? group - first % group : block);
    int64_t found = 0;
    for (int64_t i = 0; i < n; i += lanes) {
      const int valid = int(least(lanes, n - i));
      const Int row = valid == lanes ? load(indices + first + i) : loadPartial(indices + first + i, valid);
      Mask mine = share.owns(row);
      if (valid < lanes) mine = mine & firstLanes(valid);
      if (!grouped) storeLanes(places + found, laneIndex() + Int(int32_t(i)), mine);
      found += storeLanes(own + found, row, mine);
    }
    if (grouped)
      addToRows(values + first / group * width, width, own, found, table);
    else if (width == kPanel)
      addRows<kPanel>(values + first * width, places, width, own, found, table);
    else
      addRows<0>(values + first * width, places, width, own, found, table);
    first += n;
  }
}

static void scatterAddRows(const float* values, int64_t width, int64_t group, const int32_t* indices, int64_t count,
                           float* table, int64_t tableRows, int64_t member, int64_t members) {
  const RowShare share(tableRows, member, members);
  if (group > 1)
    scatterAdd<true>(values, width, group, indices, count, table, share);
  else
    scatterAdd<false>(values, width, 1, indices, count, table, share);
}

static void oneHot(const int32_t* indices, int64_t depth, float on, float off, float* out, int64_t begin, int64_t end) {
  uint32_t bits;
  __builtin_memcpy(&bits, &off, 4);
  fill(out + begin * depth, 4, bits, (end - begin) * depth);
  for (int64_t i = begin; i < end; ++i) {
    if (indices[i] >= 0 && indices[i] < depth) out[i * depth + indices[i]] = on;
  }
}

static int64_t findNonFinite(const float* x, int64_t begin, int64_t end) {
  const Float infinity(__builtin_inff());
  for (int64_t i = begin; i < end; i += lanes) {
    const int count = int(least(lanes, end - i));
    const int bad = laneBits(!(abs(loadSome(x + i, count)) < infinity));
    if (bad) return i + __builtin_ctz(unsigned(bad));
  }
  return -1;
}

static int64_t findOutside(const int32_t* x, int32_t low, int32_t high, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i += lanes) {
    const int count = int(least(lanes, end - i));
    const Int value = loadPartial(x + i, count);
    const int bad = laneBits(((value < Int(low)) | (value >= Int(high))) & firstLanes(count));
    if (bad) return i + __builtin_ctz(unsigned(bad));
  }
  return -1;
}
