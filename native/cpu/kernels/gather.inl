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

CHAINRULE_INLINE void addRow(float* to, const float* from, int64_t width) {
  int64_t c = 0;
  for (; c + lanes <= width; c += lanes) store(to + c, load(to + c) + load(from + c));
  const int rest = int(width - c);
  if (rest > 0) storePartial(to + c, loadPartial(to + c, rest) + loadPartial(from + c, rest), rest);
}

// A member's share of the rows of a table, dealt out by a hash, since the frequent ids of a vocabulary lie together.
struct RowShare {
  Int low, high;  // hashes of own rows, both included, as unsigned numbers whose first bit is flipped
  Int rows;
  [[gnu::always_inline]] inline RowShare(int64_t tableRows, int64_t member, int64_t members)
      : low(flipped(first(member, members))), high(flipped(first(member + 1, members) - 1)), rows(int32_t(tableRows)) {}
  [[gnu::always_inline]] static inline int64_t first(int64_t member, int64_t members) {
    return ((member << 32) + members - 1) / members;
  }
  [[gnu::always_inline]] static inline int32_t flipped(int64_t hash) { return int32_t(uint32_t(hash) ^ 0x80000000u); }
  [[gnu::always_inline]] inline Mask owns(Int row) const {
    const Int hash = (row * Int(int32_t(0x9E3779B1u))) ^ Int(INT32_MIN);
    return (hash >= low) & (hash <= high) & (row >= Int(0)) & (row < rows);
  }
};

// Adds rows of `values`, one of `step` floats for each target, to the rows of a table.
template <int knownWidth>
CHAINRULE_INLINE void addRows(const float* values, int64_t step, const int32_t* places, int64_t anyWidth,
                              const int32_t* rows, int64_t count, float* table) {
  const int64_t width = knownWidth ? knownWidth : anyWidth;
  for (int64_t i = 0; i < count; ++i) {
    __builtin_prefetch(table + rows[least(i + 12, count - 1)] * width, 1);
    addRow(table + rows[i] * width, values + places[i] * step, width);
  }
}

// Every member reads all indices and adds to the rows that are its own, in the order of positions.
static void scatterAddRows(const float* values, int64_t width, int64_t group, const int32_t* indices, int64_t count,
                           float* table, int64_t tableRows, int64_t member, int64_t members) {
  constexpr int64_t block = 256;
  int32_t own[block + lanes], places[block + lanes];
  const RowShare share(tableRows, member, members);
  for (int64_t first = 0; first < count;) {
    const int64_t inGroup = group > 1 ? group - first % group : block;
    const int64_t n = least(least(block, count - first), inGroup);
    int64_t found = 0;
    for (int64_t i = 0; i < n; i += lanes) {
      const int valid = int(least(lanes, n - i));
      const Int row = loadPartial(indices + first + i, valid);
      const Mask mine = share.owns(row) & firstLanes(valid);
      storeLanes(places + found, laneIndex() + Int(int32_t(i)), mine);
      found += storeLanes(own + found, row, mine);
    }
    const float* const value = values + first / group * width;
    const int64_t step = group > 1 ? 0 : width;
    if (width == kPanel)
      addRows<kPanel>(value, step, places, width, own, found, table);
    else
      addRows<0>(value, step, places, width, own, found, table);
    first += n;
  }
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
