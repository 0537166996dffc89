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

// Stable radix sort of positions by index, in one to three passes over pairs (index << 32 | position). Negative indices
// come last, as the largest unsigned ones.
static void sortIndices(const int32_t* indices, int64_t count, int32_t* order, void* scratch) {
  constexpr int most = 11;  // bits per pass
  int32_t* const starts = static_cast<int32_t*>(scratch);
  uint64_t* from = reinterpret_cast<uint64_t*>(starts + 4096);
  uint64_t* to = from + count;
  uint32_t highest = 0;
  for (int64_t i = 0; i < count; ++i) highest |= uint32_t(indices[i]);
  const int bits = highest == 0 ? 1 : 32 - __builtin_clz(highest), passes = (bits + most - 1) / most;
  const int digit = (bits + passes - 1) / passes, buckets = 1 << digit;
  for (int pass = 0; pass < passes; ++pass) {
    const int shift = pass * digit;
    for (int i = 0; i <= buckets; ++i) starts[i] = 0;
    for (int64_t i = 0; i < count; ++i) ++starts[(uint32_t(indices[i]) >> shift & (buckets - 1)) + 1];
    for (int i = 0; i < buckets; ++i) starts[i + 1] += starts[i];
    const bool first = pass == 0, last = pass == passes - 1;
    for (int64_t i = 0; i < count; ++i) {
      const uint64_t pair = first ? uint64_t(uint32_t(indices[i])) << 32 | uint64_t(i) : from[i];
      const int32_t place = starts[uint32_t(pair >> 32) >> shift & (buckets - 1)]++;
      if (last)
        order[place] = int32_t(pair);
      else
        to[place] = pair;
    }
    uint64_t* const swap = from;
    from = to;
    to = swap;
  }
}

// Adds values[order[i]] for i in [begin, end) to one row, a few columns at a time in registers.
template <int vectors>
CHAINRULE_INLINE void addRun(const float* values, int64_t width, const int32_t* order, int64_t begin, int64_t end,
                             float* row, int count) {
  Float sum[vectors];
#pragma GCC unroll 4
  for (int j = 0; j < vectors; ++j) sum[j] = count < lanes ? loadPartial(row, count) : load(row + j * lanes);
  for (int64_t i = begin; i < end; ++i) {
    const float* from = values + order[i] * width;
#pragma GCC unroll 4
    for (int j = 0; j < vectors; ++j) {
      sum[j] = sum[j] + (count < lanes ? loadPartial(from, count) : load(from + j * lanes));
    }
  }
#pragma GCC unroll 4
  for (int j = 0; j < vectors; ++j) count < lanes ? storePartial(row, sum[j], count) : store(row + j * lanes, sum[j]);
}

static void scatterAddRows(const float* values, int64_t width, const int32_t* indices, const int32_t* order,
                           int64_t count, float* table, bool accumulate, int64_t rowBegin, int64_t rowEnd) {
  if (!accumulate) fill(table + rowBegin * width, 4, 0, (rowEnd - rowBegin) * width);
  // The first position in `order` whose index is at least rowBegin.
  int64_t low = 0, high = count;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (int64_t(uint32_t(indices[order[middle]])) < rowBegin)
      low = middle + 1;
    else
      high = middle;
  }
  for (int64_t i = low; i < count;) {
    const int64_t row = uint32_t(indices[order[i]]);
    if (row >= rowEnd) return;
    int64_t end = i + 1;
    for (; end < count && int64_t(uint32_t(indices[order[end]])) == row; ++end) {
    }
    for (int64_t k = i; k < end; ++k) __builtin_prefetch(values + order[least(k + 12, count - 1)] * width);
    int64_t c = 0;
    for (; c + 2 * lanes <= width; c += 2 * lanes)
      addRun<2>(values + c, width, order, i, end, table + row * width + c, lanes);
    for (; c + lanes <= width; c += lanes) addRun<1>(values + c, width, order, i, end, table + row * width + c, lanes);
    if (c < width) addRun<1>(values + c, width, order, i, end, table + row * width + c, int(width - c));
    i = end;
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
