// Weights that are stored as bfloat16, in panels of words of two rows (base/panels.h). Products widen them in registers
// (tile.inl).

static void widenPanel(const uint16_t* panel, int64_t rows, float* out) {
  const int32_t* words = reinterpret_cast<const int32_t*>(panel);
  int64_t k = 0;
  for (; k + 2 <= rows; k += 2, words += kPanel, out += 2 * kPanel) {
#pragma GCC unroll 2
    for (int j = 0; j < kPanel; j += lanes) {
      const Int both = load(words + j);
      store(out + j, firstRow(both));
      store(out + kPanel + j, secondRow(both));
    }
  }
  for (int j = 0; k < rows && j < kPanel; j += lanes) store(out + j, firstRow(load(words + j)));
}

static void widenPanels(const uint16_t* panels, int64_t rows, float* out, int64_t panelBegin, int64_t panelEnd) {
  for (int64_t p = panelBegin; p < panelEnd; ++p)
    widenPanel(panels + p * roundUp(rows, 2) * kPanel, rows, out + p * rows * kPanel);
}

// Rows of a table of bfloat16, widened.
static void gatherBfloat16(const uint16_t* table, int64_t tableRows, int64_t width, const int32_t* indices, float* out,
                           int64_t begin, int64_t end, int64_t* firstBad) {
  for (int64_t i = begin; i < end; ++i) {
    const int64_t row = indices[i], soon = indices[least(i + 12, end - 1)];
    if (soon >= 0 && soon < tableRows) __builtin_prefetch(table + soon * width);
    int32_t* const to = reinterpret_cast<int32_t*>(out + i * width);
    if (row >= 0 && row < tableRows) {
      widenHalves(to, table + row * width, width);
    } else {
      __builtin_memset(to, 0, size_t(width) * 4);
      if (i < *firstBad) *firstBad = i;
    }
  }
}
