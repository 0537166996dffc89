// Panels: [column / 16][row][16], the layout in which the micro-kernel streams the right-hand matrix.

CHAINRULE_INLINE void copyPanelRow(float* to, const float* from) {
#pragma GCC unroll 2
  for (int j = 0; j < kPanel; j += lanes) store(to + j, load(from + j));
}

// Rows [k0, k1) of one panel with `columns` <= 16 real columns, from any strides.
static void packPanel(const float* b, int64_t rowStride, int64_t colStride, int64_t k0, int64_t k1, int64_t columns,
                      float* panel) {
  if (columns == kPanel && colStride == 1) {
    for (int64_t k = k0; k < k1; ++k) copyPanelRow(panel + k * kPanel, b + k * rowStride);
  } else if (rowStride == 1 && columns >= 8) {
    transposeBlock(b + k0, colStride, panel + k0 * kPanel, kPanel, k1 - k0, columns);
    for (int64_t k = k0; columns < kPanel && k < k1; ++k) {
      for (int64_t j = columns; j < kPanel; ++j) panel[k * kPanel + j] = 0.0f;
    }
  } else {
    for (int64_t k = k0; k < k1; ++k) {
      for (int64_t j = 0; j < kPanel; ++j)
        panel[k * kPanel + j] = j < columns ? b[k * rowStride + j * colStride] : 0.0f;
    }
  }
}

static void packB(const float* b, int64_t rowStride, int64_t colStride, int64_t k, int64_t n, float* panels,
                  int64_t panelBegin, int64_t panelEnd) {
  constexpr int64_t block = 64;  // rows whose pages and lines serve neighbouring panels
  for (int64_t k0 = 0; k0 < k; k0 += block) {
    for (int64_t p = panelBegin; p < panelEnd; ++p) {
      packPanel(b + p * kPanel * colStride, rowStride, colStride, k0, least(k, k0 + block),
                least(kPanel, n - p * kPanel), panels + p * k * kPanel);
    }
  }
}

static void unpackB(const float* panels, int64_t k, int64_t n, float* b, int64_t rowStride, int64_t colStride,
                    int64_t panelBegin, int64_t panelEnd) {
  for (int64_t p = panelBegin; p < panelEnd; ++p) {
    const float* panel = panels + p * k * kPanel;
    float* to = b + p * kPanel * colStride;
    const int64_t columns = least(kPanel, n - p * kPanel);
    if (columns == kPanel && colStride == 1) {
      for (int64_t row = 0; row < k; ++row) copyPanelRow(to + row * rowStride, panel + row * kPanel);
    } else if (rowStride == 1) {
      transposeBlock(panel, kPanel, to, colStride, columns, k);
    } else {
      for (int64_t row = 0; row < k; ++row) {
        for (int64_t j = 0; j < columns; ++j) to[row * rowStride + j * colStride] = panel[row * kPanel + j];
      }
    }
  }
}
