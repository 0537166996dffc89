// Cells of recurrent layers: what happens to a row's gates between two matrix products. See cpu/recurrent.h.

static_assert(kUnitBlock % lanes == 0, "a block of units is whole vectors");

// The usual pair is known to the compiler; others are looked up per vector.
template <bool usual>
struct CellFunctions {
  CellActivation outer, inner;
  [[gnu::always_inline]] inline Float state(Float x) const { return activate(usual ? CellActivation::tanh : outer, x); }
  [[gnu::always_inline]] inline Float gate(Float x) const {
    return activate(usual ? CellActivation::sigmoid : inner, x);
  }
  [[gnu::always_inline]] inline Float stateSlope(Float y) const {
    return slope(usual ? CellActivation::tanh : outer, y);
  }
  [[gnu::always_inline]] inline Float gateSlope(Float y) const {
    return slope(usual ? CellActivation::sigmoid : inner, y);
  }
};
CHAINRULE_INLINE bool usualPair(CellActivation outer, CellActivation inner) {
  return outer == CellActivation::tanh && inner == CellActivation::sigmoid;
}

CHAINRULE_INLINE void storeUnits(float* to, Float value, int64_t count) {
  if (count >= lanes)
    store(to, value);
  else if (count > 0)
    storePartial(to, value, int(count));
}
CHAINRULE_INLINE Float loadUnits(const float* from, int64_t count) {
  return count >= lanes ? load(from) : count > 0 ? loadPartial(from, int(count)) : Float(0.0f);
}

// A row that does not count at this step: its state stays.
static void keepState(const CellForward& s, int64_t n, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i += lanes) {
    const Float h = load(s.hidden + n * s.stateRow + i);
    store(s.hiddenNext + n * s.stateRow + i, h);
    if (s.cell == Cell::lstm) store(s.carryNext + n * s.stateRow + i, load(s.carry + n * s.stateRow + i));
    if (s.sequence) {
      storeUnits(s.sequence + n * s.sequenceRow + i, s.mask.shows(n) ? h : Float(0.0f), s.units - i);
    }
  }
}

// The next hidden state of `lanes` units; z is at their first gate value, further gates 8 apart.
template <typename F>
CHAINRULE_INLINE Float lstmUnits(const CellForward& s, const F& f, float* z, int64_t at) {
  const Float i = f.gate(load(z)), forget = f.gate(load(z + 8)), g = f.state(load(z + 16)), o = f.gate(load(z + 24));
  const Float c = fma(forget, load(s.carry + at), i * g);
  store(s.carryNext + at, c);
  if (s.keepGates) {
    store(z, i);
    store(z + 8, forget);
    store(z + 16, g);
    store(z + 24, o);
  }
  return o * f.state(c);
}

template <typename F>
CHAINRULE_INLINE Float gruUnits(const CellForward& s, const F& f, float* z, const float* u, int64_t at) {
  const Float h = load(s.hidden + at), inner = load(u + 16);
  const Float update = f.gate(load(z) + load(u)), reset = f.gate(load(z + 8) + load(u + 8));
  const Float proposed = f.state(fma(reset, inner, load(z + 16)));
  if (s.keepGates) {
    store(z, update);
    store(z + 8, reset);
    store(z + 16, proposed);
    store(s.carryNext + at, inner);
  }
  return fma(update, h, (Float(1.0f) - update) * proposed);
}

// The second half of gruResetBefore: update and reset are there already.
template <typename F>
CHAINRULE_INLINE Float gruProposal(const CellForward& s, const F& f, float* z, const float* product, int64_t at) {
  const Float h = load(s.hidden + at), update = load(z);
  const Float proposed = f.state(load(z + 16) + load(product));
  store(z + 16, proposed);
  return fma(update, h, (Float(1.0f) - update) * proposed);
}

template <Cell cell, bool usual>
static void cellRows(const CellForward& s, int64_t rowBegin, int64_t rowEnd, int64_t blockBegin, int64_t blockEnd) {
  constexpr int64_t width = gateCount(cell) * kUnitBlock;
  const CellFunctions<usual> f{s.activation, s.recurrentActivation};
  for (int64_t n = rowBegin; n < rowEnd; ++n) {
    if (!s.mask.counts(n)) {
      keepState(s, n, blockBegin * kUnitBlock, blockEnd * kUnitBlock);
      continue;
    }
    for (int64_t block = blockBegin; block < blockEnd; ++block) {
      for (int64_t j = 0; j < kUnitBlock; j += lanes) {
        const int64_t unit = block * kUnitBlock + j, at = n * s.stateRow + unit;
        float* z = s.gates + n * s.gateRow + block * width + j;
        Float h;
        if constexpr (cell == Cell::simple) h = f.state(load(z));
        if constexpr (cell == Cell::lstm) h = lstmUnits(s, f, z, at);
        if constexpr (cell == Cell::gru) {
          h = gruUnits(s, f, z, s.recurrent + n * s.recurrentRow + block * width + j, at);
        }
        if constexpr (cell == Cell::gruResetBefore) {
          h = gruProposal(s, f, z, s.candidate + n * s.candidateRow + unit, at);
        }
        store(s.hiddenNext + at, h);
        if (s.sequence) storeUnits(s.sequence + n * s.sequenceRow + unit, h, s.units - unit);
      }
    }
  }
}

template <Cell cell>
static void cellOf(const CellForward& s, int64_t rowBegin, int64_t rowEnd, int64_t blockBegin, int64_t blockEnd) {
  if (usualPair(s.activation, cell == Cell::simple ? CellActivation::sigmoid : s.recurrentActivation))
    cellRows<cell, true>(s, rowBegin, rowEnd, blockBegin, blockEnd);
  else
    cellRows<cell, false>(s, rowBegin, rowEnd, blockBegin, blockEnd);
}

static void cellForward(const CellForward& s, int64_t rowBegin, int64_t rowEnd, int64_t blockBegin, int64_t blockEnd) {
  switch (s.cell) {
    case Cell::simple:
      return cellOf<Cell::simple>(s, rowBegin, rowEnd, blockBegin, blockEnd);
    case Cell::lstm:
      return cellOf<Cell::lstm>(s, rowBegin, rowEnd, blockBegin, blockEnd);
    case Cell::gru:
      return cellOf<Cell::gru>(s, rowBegin, rowEnd, blockBegin, blockEnd);
    case Cell::gruResetBefore:
      return cellOf<Cell::gruResetBefore>(s, rowBegin, rowEnd, blockBegin, blockEnd);
  }
}

// The first half of gruResetBefore: gates z and r into their places, r h into carryNext. Rows that don't count, too.
static void cellReset(const CellForward& s, int64_t rowBegin, int64_t rowEnd, int64_t blockBegin, int64_t blockEnd) {
  const CellFunctions<false> f{s.activation, s.recurrentActivation};
  for (int64_t n = rowBegin; n < rowEnd; ++n) {
    for (int64_t block = blockBegin; block < blockEnd; ++block) {
      for (int64_t j = 0; j < kUnitBlock; j += lanes) {
        float* z = s.gates + n * s.gateRow + block * 3 * kUnitBlock + j;
        const float* u = s.recurrent + n * s.recurrentRow + block * 2 * kUnitBlock + j;
        const int64_t at = n * s.stateRow + block * kUnitBlock + j;
        const Float reset = f.gate(load(z + 8) + load(u + 8));
        store(z, f.gate(load(z) + load(u)));
        store(z + 8, reset);
        store(s.carryNext + at, reset * load(s.hidden + at));
      }
    }
  }
}

// Columns of `gates` gates of a weight matrix [rows][.. gate * units + unit] as panels of the gate layout, zero padded.
// Half a panel is one gate of one block.
static void packGates(const float* w, int64_t rowStride, int64_t rows, int64_t units, int64_t gates, float* panels,
                      int64_t panelBegin, int64_t panelEnd) {
  for (int64_t p = panelBegin; p < panelEnd; ++p) {
    for (int64_t half = 0; half < 2; ++half) {
      const int64_t block = (2 * p + half) / gates, gate = (2 * p + half) % gates, unit = block * kUnitBlock;
      const float* from = w + gate * units + unit;
      float* to = panels + p * rows * kPanel + half * kUnitBlock;
      for (int64_t j = 0; j < kUnitBlock; j += lanes) {
        const int64_t count = units - unit - j;
        for (int64_t row = 0; row < rows; ++row) {
          store(to + row * kPanel + j, count > 0 ? loadUnits(from + row * rowStride + j, count) : Float(0.0f));
        }
      }
    }
  }
}

// The inverse; padding is left out.
static void unpackGates(const float* panels, int64_t rows, int64_t units, int64_t gates, float* w, int64_t rowStride,
                        int64_t panelBegin, int64_t panelEnd) {
  for (int64_t p = panelBegin; p < panelEnd; ++p) {
    for (int64_t half = 0; half < 2; ++half) {
      const int64_t block = (2 * p + half) / gates, gate = (2 * p + half) % gates, unit = block * kUnitBlock;
      float* to = w + gate * units + unit;
      const float* from = panels + (p - panelBegin) * rows * kPanel + half * kUnitBlock;
      for (int64_t j = 0; j < kUnitBlock; j += lanes) {
        const int64_t count = units - unit - j;
        for (int64_t row = 0; row < rows && count > 0; ++row) {
          storeUnits(to + row * rowStride + j, load(from + row * kPanel + j), count);
        }
      }
    }
  }
}
