// Cells of recurrent layers, back through time.

// What padded units of the last block hold must not reach the products that follow.
CHAINRULE_INLINE void storeGradient(float* to, Float value, int64_t count) {
  store(to, count >= lanes ? value : count <= 0 ? Float(0.0f) : select(firstLanes(int(count)), value, Float(0.0f)));
}

CHAINRULE_INLINE void clear(float* p, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i += lanes) store(p + i, Float(0.0f));
}

// A row that does not count at this step: nothing flows into its gates.
static void clearGates(const CellBackward& s, int64_t n, int64_t blockBegin, int64_t blockEnd) {
  const int64_t width = gateCount(s.cell) * kUnitBlock;
  clear(s.dGates + n * s.gateRow, blockBegin * width, blockEnd * width);
  if (s.cell == Cell::gru) clear(s.dRecurrent + n * s.dRecurrentRow, blockBegin * width, blockEnd * width);
  if (s.cell == Cell::gruResetBefore) {
    clear(s.dRecurrent + n * s.dRecurrentRow, blockBegin * 2 * kUnitBlock, blockEnd * 2 * kUnitBlock);
    clear(s.dCandidate + n * s.stateRow, blockBegin * kUnitBlock, blockEnd * kUnitBlock);
  }
}

// What arrives at the hidden state: from later steps and from the outputs.
CHAINRULE_INLINE Float arriving(const CellBackward& s, int64_t n, int64_t unit, bool shows) {
  Float dh = load(s.dHidden + n * s.stateRow + unit);
  if (shows && s.dSequence) dh = dh + loadUnits(s.dSequence + n * s.dSequenceRow + unit, s.units - unit);
  if (shows && s.dLast) dh = dh + loadUnits(s.dLast + n * s.units + unit, s.units - unit);
  return dh;
}

template <typename F>
CHAINRULE_INLINE void lstmGradient(const CellBackward& s, const F& f, Float dh, const float* z, float* dz, int64_t at,
                                   int64_t count) {
  const Float i = load(z), forget = load(z + 8), g = load(z + 16), o = load(z + 24);
  const Float c = f.state(load(s.carryNext + at));
  const Float dc = fma(dh * o, f.stateSlope(c), load(s.dCarry + at));
  storeGradient(dz, dc * g * f.gateSlope(i), count);
  storeGradient(dz + 8, dc * load(s.carry + at) * f.gateSlope(forget), count);
  storeGradient(dz + 16, dc * i * f.stateSlope(g), count);
  storeGradient(dz + 24, dh * c * f.gateSlope(o), count);
  storeGradient(s.dCarry + at, dc * forget, count);
  store(s.dHidden + at, Float(0.0f));
}

template <typename F>
CHAINRULE_INLINE void gruGradient(const CellBackward& s, const F& f, Float dh, const float* z, float* dz, float* du,
                                  int64_t at, int64_t count) {
  const Float update = load(z), reset = load(z + 8), proposed = load(z + 16), h = load(s.hidden + at);
  const Float dUpdate = dh * (h - proposed) * f.gateSlope(update);
  const Float dProposed = dh * (Float(1.0f) - update) * f.stateSlope(proposed);
  storeGradient(dz, dUpdate, count);
  storeGradient(du, dUpdate, count);
  storeGradient(dz + 16, dProposed, count);
  storeGradient(s.dHidden + at, dh * update, count);
  if (s.cell == Cell::gruResetBefore) {
    storeGradient(s.dCandidate + at, dProposed, count);
    return;
  }
  const Float dReset = dProposed * load(s.carryNext + at) * f.gateSlope(reset);
  storeGradient(dz + 8, dReset, count);
  storeGradient(du + 8, dReset, count);
  storeGradient(du + 16, dProposed * reset, count);
}

template <Cell cell, bool usual>
static void cellRowsBack(const CellBackward& s, int64_t rowBegin, int64_t rowEnd, int64_t blockBegin,
                         int64_t blockEnd) {
  constexpr int64_t width = gateCount(cell) * kUnitBlock, inner = cell == Cell::gruResetBefore ? 2 * kUnitBlock : width;
  const CellFunctions<usual> f{s.activation, s.recurrentActivation};
  for (int64_t n = rowBegin; n < rowEnd; ++n) {
    const bool counts = s.mask.counts(n), shows = s.mask.shows(n);
    if (!counts) clearGates(s, n, blockBegin, blockEnd);
    for (int64_t block = blockBegin; block < blockEnd; ++block) {
      for (int64_t j = 0; j < kUnitBlock; j += lanes) {
        const int64_t unit = block * kUnitBlock + j, at = n * s.stateRow + unit, count = s.units - unit;
        const Float dh = arriving(s, n, unit, shows);
        if (!counts) {
          store(s.dHidden + at, dh);
          continue;
        }
        const float* z = s.gates + n * s.gateRow + block * width + j;
        float* dz = s.dGates + n * s.gateRow + block * width + j;
        if constexpr (cell == Cell::simple) {
          storeGradient(dz, dh * f.stateSlope(load(s.hiddenNext + at)), count);
          store(s.dHidden + at, Float(0.0f));
        } else if constexpr (cell == Cell::lstm) {
          lstmGradient(s, f, dh, z, dz, at, count);
        } else {
          gruGradient(s, f, dh, z, dz, s.dRecurrent + n * s.dRecurrentRow + block * inner + j, at, count);
        }
      }
    }
  }
}

template <Cell cell>
static void cellBack(const CellBackward& s, int64_t rowBegin, int64_t rowEnd, int64_t blockBegin, int64_t blockEnd) {
  if (usualPair(s.activation, cell == Cell::simple ? CellActivation::sigmoid : s.recurrentActivation))
    cellRowsBack<cell, true>(s, rowBegin, rowEnd, blockBegin, blockEnd);
  else
    cellRowsBack<cell, false>(s, rowBegin, rowEnd, blockBegin, blockEnd);
}

static void cellBackward(const CellBackward& s, int64_t rowBegin, int64_t rowEnd, int64_t blockBegin,
                         int64_t blockEnd) {
  switch (s.cell) {
    case Cell::simple:
      return cellBack<Cell::simple>(s, rowBegin, rowEnd, blockBegin, blockEnd);
    case Cell::lstm:
      return cellBack<Cell::lstm>(s, rowBegin, rowEnd, blockBegin, blockEnd);
    case Cell::gru:
      return cellBack<Cell::gru>(s, rowBegin, rowEnd, blockBegin, blockEnd);
    case Cell::gruResetBefore:
      return cellBack<Cell::gruResetBefore>(s, rowBegin, rowEnd, blockBegin, blockEnd);
  }
}

// The second half of gruResetBefore: from the gradient of r h to those of r and h.
static void cellResetBackward(const CellBackward& s, int64_t rowBegin, int64_t rowEnd, int64_t blockBegin,
                              int64_t blockEnd) {
  const CellFunctions<false> f{s.activation, s.recurrentActivation};
  for (int64_t n = rowBegin; n < rowEnd; ++n) {
    if (!s.mask.counts(n)) continue;
    for (int64_t block = blockBegin; block < blockEnd; ++block) {
      for (int64_t j = 0; j < kUnitBlock; j += lanes) {
        const int64_t unit = block * kUnitBlock + j, at = n * s.stateRow + unit, count = s.units - unit;
        const Float reset = load(s.gates + n * s.gateRow + block * 3 * kUnitBlock + 8 + j);
        const Float d = load(s.dReset + at), dz = d * load(s.hidden + at) * f.gateSlope(reset);
        storeGradient(s.dGates + n * s.gateRow + block * 3 * kUnitBlock + 8 + j, dz, count);
        storeGradient(s.dRecurrent + n * s.dRecurrentRow + block * 2 * kUnitBlock + 8 + j, dz, count);
        storeGradient(s.dHidden + at, fma(d, reset, load(s.dHidden + at)), count);
      }
    }
  }
}
