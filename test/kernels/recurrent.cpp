#include "cpu/recurrent.h"

#include "check.h"

// Cells of recurrent layers: the same bits on every ISA, forward and back, and an LSTM against its formula. The layers'
// own tests hold all of them against Keras's.
using namespace check;

namespace {

constexpr Cell kCells[] = {Cell::simple, Cell::lstm, Cell::gru, Cell::gruResetBefore};

struct Buffers {
  std::vector<std::vector<float>> all;
  float* add(int64_t n) { return all.emplace_back(floats(n, -2, 2)).data(); }
};

// One step with random contents; the generator's state decides everything, so each ISA gets the same.
std::vector<std::vector<float>> runCell(const KernelTable& table, Cell cell, uint32_t choices) {
  const int64_t units = size(), rows = pick(1, 5), blocks = (units + kUnitBlock - 1) / kUnitBlock;
  const int64_t padded = blocks * kUnitBlock, width = gateCount(cell) * padded;
  Buffers memory;
  CellForward s;
  s.cell = cell, s.units = units, s.keepGates = choices & 1;
  if (choices & 2) s.activation = CellActivation(choices >> 8 & 3), s.recurrentActivation = CellActivation::hardSigmoid;
  s.gates = memory.add(rows * width), s.gateRow = width;
  s.recurrent = memory.add(rows * width), s.recurrentRow = cell == Cell::gruResetBefore ? 2 * padded : width;
  s.candidate = memory.add(rows * padded), s.candidateRow = padded;
  s.hidden = memory.add(rows * padded), s.hiddenNext = memory.add(rows * padded);
  s.carry = memory.add(rows * padded), s.carryNext = memory.add(rows * padded), s.stateRow = padded;
  s.sequence = memory.add(rows * units), s.sequenceRow = units;
  std::vector<uint8_t> mask(rows);
  for (uint8_t& m : mask) m = pick(0, 3) > 0;
  if (choices & 4) s.mask.values = mask.data(), s.mask.row = 1, s.mask.zeroOutput = true;
  if (cell == Cell::gruResetBefore) table.cellReset(s, 0, rows, 0, blocks);
  randomSplit(rows, [&](int64_t r0, int64_t r1) {
    randomSplit(blocks, [&](int64_t b0, int64_t b1) { table.cellForward(s, r0, r1, b0, b1); });
  });

  CellBackward b;
  b.cell = cell, b.activation = s.activation, b.recurrentActivation = s.recurrentActivation, b.units = units;
  b.mask = s.mask;
  b.gates = memory.add(rows * width), b.gateRow = width;
  b.hidden = s.hidden, b.hiddenNext = s.hiddenNext, b.carry = s.carry, b.carryNext = s.carryNext, b.stateRow = padded;
  b.dSequence = memory.add(rows * units), b.dSequenceRow = units, b.dLast = memory.add(rows * units);
  b.dHidden = memory.add(rows * padded), b.dCarry = memory.add(rows * padded), b.dGates = memory.add(rows * width);
  b.dRecurrent = memory.add(rows * width), b.dRecurrentRow = s.recurrentRow;
  b.dCandidate = memory.add(rows * padded), b.dReset = memory.add(rows * padded);
  randomSplit(rows, [&](int64_t r0, int64_t r1) {
    randomSplit(blocks, [&](int64_t b0, int64_t b1) { table.cellBackward(b, r0, r1, b0, b1); });
  });
  if (cell == Cell::gruResetBefore) table.cellResetBackward(b, 0, rows, 0, blocks);
  return memory.all;
}

}  // namespace

KERNEL_CASE(cells) {
  for (int round = 0; round < 200; ++round) {
    const Cell cell = kCells[round % 4];
    const uint32_t choices = randomBits(), seed = randomBits();
    std::vector<std::vector<float>> first;
    for (const KernelTable* table : tables()) {
      seedRandom(seed);
      const auto got = runCell(*table, cell, choices);
      if (first.empty()) first = got;
      for (size_t i = 0; i < got.size(); ++i) {
        char what[80];
        std::snprintf(what, sizeof what, "%s cell %d, buffer %d", table->isa, int(cell), int(i));
        expectSame(first[i], got[i], what);
      }
    }
  }
}

KERNEL_CASE(lstmFormula) {
  for (const KernelTable* table : tables()) {
    const int64_t units = 8;
    std::vector<float> gates = floats(32, -3, 3), h(8), hNext(8), c = floats(8), cNext(8);
    const std::vector<float> z = gates;
    CellForward s;
    s.units = units, s.gates = gates.data(), s.gateRow = 32, s.stateRow = 8;
    s.hidden = h.data(), s.hiddenNext = hNext.data(), s.carry = c.data(), s.carryNext = cNext.data();
    table->cellForward(s, 0, 1, 0, 1);
    const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
    for (int u = 0; u < 8; ++u) {
      const double carry = sigmoid(z[8 + u]) * c[u] + sigmoid(z[u]) * std::tanh(double(z[16 + u]));
      const double hidden = sigmoid(z[24 + u]) * std::tanh(carry);
      expect(std::fabs(cNext[u] - carry) < 1e-6 && std::fabs(hNext[u] - hidden) < 1e-6, "%s: lstm unit %d", table->isa,
             u);
    }
  }
}

KERNEL_CASE(packedGates) {
  for (int round = 0; round < 100; ++round) {
    const int64_t units = size(), rows = pick(1, 9), gates = pick(1, 4), stride = gates * units + pick(0, 3);
    const int64_t panels = ((units + kUnitBlock - 1) / kUnitBlock * gates + 1) / 2;
    const std::vector<float> w = floats(rows * stride);
    std::vector<float> first;
    for (const KernelTable* table : tables()) {
      std::vector<float> packed(panels * rows * kPanel, NAN), back(rows * stride, NAN);
      randomSplit(panels, [&](int64_t b, int64_t e) {
        table->packGates(w.data(), stride, rows, units, gates, packed.data(), b, e);
        table->unpackGates(packed.data() + b * rows * kPanel, rows, units, gates, back.data(), stride, b, e);
      });
      if (first.empty()) first = packed;
      expectSame(first, packed, "packGates");
      for (int64_t i = 0; i < rows * stride; ++i) {
        if (i % stride < gates * units) expect(back[i] == w[i], "%s: unpackGates element %d", table->isa, int(i));
      }
    }
  }
}
