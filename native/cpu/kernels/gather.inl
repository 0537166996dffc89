// Rows by index: embedding tables and their gradients, without atomics.

static void gatherRows(const void* table, int64_t tableRows, int64_t rowBytes, const int32_t* indices, void* out,
                       int64_t begin, int64_t end, int64_t* firstBad) {
  const char* from = static_cast<const char*>(table);
  char* to = static_cast<char*>(out);
  for (int64_t i = begin; i < end; ++i) {
    const int64_t row = indices[i];
    if (row >= 0 && row < tableRows) {
      copyBytes(to + i * rowBytes, from + row * rowBytes, rowBytes);
    } else {
      __builtin_memset(to + i * rowBytes, 0, size_t(rowBytes));
      if (i < *firstBad) *firstBad = i;
    }
  }
}

// Stable radix sort of positions by index, 11 bits at a time. Negative indices come last, as the largest unsigned ones.
static void sortIndices(const int32_t* indices, int64_t count, int32_t* order, void* scratch) {
  constexpr int digit = 11, buckets = 1 << digit;
  int32_t* const counts = static_cast<int32_t*>(scratch);  // one more than the buckets
  int32_t* const spare = counts + 4096;
  uint32_t highest = 0;
  for (int64_t i = 0; i < count; ++i) highest |= uint32_t(indices[i]);
  int passes = 1;
  for (; passes < 3 && highest >> (passes * digit); ++passes) {
  }
  // With an odd number of passes the first reads the identity from `spare`, so that the last one writes to `order`.
  int32_t *from = passes % 2 ? spare : order, *to = passes % 2 ? order : spare;
  for (int64_t i = 0; i < count; ++i) from[i] = int32_t(i);
  for (int pass = 0; pass < passes; ++pass) {
    const int shift = pass * digit;
    for (int i = 0; i <= buckets; ++i) counts[i] = 0;
    for (int64_t i = 0; i < count; ++i) ++counts[(uint32_t(indices[i]) >> shift & (buckets - 1)) + 1];
    for (int i = 0; i < buckets; ++i) counts[i + 1] += counts[i];
    for (int64_t i = 0; i < count; ++i) to[counts[uint32_t(indices[from[i]]) >> shift & (buckets - 1)]++] = from[i];
    int32_t* const swap = from;
    from = to;
    to = swap;
  }
}

static void addRow(float* to, const float* from, int64_t width) {
  int64_t i = 0;
  for (; i + lanes <= width; i += lanes) store(to + i, load(to + i) + load(from + i));
  if (i < width)
    storePartial(to + i, loadPartial(to + i, int(width - i)) + loadPartial(from + i, int(width - i)), int(width - i));
}

static void scatterAddRows(const float* values, int64_t width, const int32_t* indices, const int32_t* order,
                           int64_t count, float* table, bool accumulate, int64_t rowBegin, int64_t rowEnd) {
  if (!accumulate) __builtin_memset(table + rowBegin * width, 0, size_t((rowEnd - rowBegin) * width) * 4);
  // The first position in `order` whose index is at least rowBegin.
  int64_t low = 0, high = count;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (int64_t(uint32_t(indices[order[middle]])) < rowBegin)
      low = middle + 1;
    else
      high = middle;
  }
  for (int64_t i = low; i < count; ++i) {
    const int64_t row = uint32_t(indices[order[i]]);
    if (row >= rowEnd) return;
    addRow(table + row * width, values + order[i] * width, width);
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
