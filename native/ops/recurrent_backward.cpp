#include <cstring>

#include "cpu/kernel_table.h"
#include "cpu/split.h"
#include "ops/recurrent.h"

// Back through time: a loop with the same rectangles of rows x units as forward leaves the gradients of all gates;
// those of the weights and of x are products over all steps at once after it.

namespace chainrule::ops {
namespace {

constexpr int64_t kPanelsAtOnce = 8, kRowsAtOnce = 384;  // of gate gradients that a member packs

struct Backward {
  Recurrent r;
  int64_t given = 0;
  bool wantsInput = false, wantsKernel = false, wantsRecurrent = false, wantsBias = false, wantsHidden = false,
       wantsCarry = false;
  // Floats into shared scratch.
  int64_t recurrent = 0, candidateKernel = 0, kernel = 0, x = 0, first = 0, dHidden = 0, dCarry = 0, dReset = 0,
          dGates = 0, dRecurrent = 0, dCandidate = 0, dBias = 0;
};

struct Run {
  const Backward& b;
  const Recurrent& r;
  const cpu::KernelTable& k;
  const StepArgs& args;

  float* at(int64_t offset) const { return reinterpret_cast<float*>(args.shared) + offset; }
  const uint8_t* mask() const { return r.hasMask ? args.in<uint8_t>(3) : nullptr; }
  const int32_t* first() const { return reinterpret_cast<const int32_t*>(at(b.first)); }
  int64_t stateSize() const { return r.n * r.stateRow(); }
  const float* gates(int64_t s) const { return args.in<float>(r.keptInput()) + s * r.n * r.gateRow(); }
  const float* hidden(int64_t s) const {
    return args.in<float>(r.keptInput() + (r.keptInputs() > 1)) + s * stateSize();
  }
  const float* carry(int64_t s) const { return args.in<float>(r.keptInput() + 2) + s * stateSize(); }
  // The gradient that arrives at a part of the forward op, or null.
  const float* arriving(Given which) const {
    if (!(b.given & which)) return nullptr;
    int index = r.keptInput() + r.keptInputs();
    for (int64_t bit = 1; bit < which; bit *= 2) index += (b.given & bit) != 0;
    return args.in<float>(index);
  }
  int64_t recurrentRow() const { return r.columns(r.firstGates()); }
  // Of h U + b: gru's own, else that of x W + b.
  float* dRecurrent(int64_t s) const {
    return r.isGru() ? at(b.dRecurrent) + s * r.n * recurrentRow() : at(b.dGates) + s * r.n * r.gateRow();
  }

  void prepare() const;
  void packTransposed(const float* w, int64_t rows, int64_t gates, float* out) const;
  void step(int64_t s, const RecurrentPart& part) const;
  void multiply(const float* dz, int64_t gates, const float* packed, bool accumulate, float* out,
                const RecurrentPart& part) const;
  void finish(const RecurrentPart& part) const;
  void input() const;
  void weights() const;
};

// Panels of W^T for products dz W^T: k runs over the gate layout, columns are `rows` rows of W.
void Run::packTransposed(const float* w, int64_t rows, int64_t count, float* out) const {
  const int64_t row = r.gates() * r.units, depth = r.width(count);
  const Range panels = args.split((rows + 15) / 16);
  for (int64_t p = panels.begin; p < panels.end; ++p) {
    const int64_t columns = std::min<int64_t>(16, rows - p * 16);
    for (int64_t q = 0; q < r.blocks() * count; ++q) {
      const int64_t unit = q / count * cpu::kUnitBlock, valid = std::min(cpu::kUnitBlock, r.units - unit);
      float* to = out + p * depth * 16 + q * cpu::kUnitBlock * 16;
      k.packB(w + p * 16 * row + q % count * r.units + unit, 1, row, valid, columns, to, 0, 1);
      std::memset(to + valid * 16, 0, size_t(cpu::kUnitBlock - valid) * 64);
    }
  }
}

void Run::prepare() const {
  const float* recurrent = args.in<float>(2);
  packTransposed(recurrent, r.units, r.firstGates(), at(b.recurrent));
  if (r.resetBefore()) packTransposed(recurrent + 2 * r.units, r.units, 1, at(b.candidateKernel));
  if (b.wantsInput) packTransposed(args.in<float>(1), r.in, r.gates(), at(b.kernel));
  if (b.wantsKernel) {  // x with time first, in the order of the loop
    cpu::StridedSpace space;
    space.rank = 3;
    const int64_t dims[3] = {r.steps, r.n, r.in}, strides[3] = {r.backwards ? -r.in : r.in, r.steps * r.in, 1};
    std::copy_n(dims, 3, space.dims);
    std::copy_n(strides, 3, space.strides);
    const Range all = args.split(r.steps * r.n * r.in, 16);
    if (!all.empty()) k.copyStrided(space, 4, args.in<float>(0) + r.source(0) * r.in, at(b.x), all.begin, all.end);
  }
  const Range rows = args.split(r.n);
  if (r.hasMask) firstSteps(r, mask(), reinterpret_cast<int32_t*>(at(b.first)), rows);
  padState(r, arriving(givenHidden), at(b.dHidden), rows);
  if (r.hasCarry()) padState(r, arriving(givenCarry), at(b.dCarry), rows);
}

// out = [out +] dz U^T for this part's units.
void Run::multiply(const float* dz, int64_t count, const float* packed, bool accumulate, float* out,
                   const RecurrentPart& part) const {
  cpu::Gemm g{.m = r.n, .n = r.units, .k = r.width(count)};
  g.a = dz;
  g.aRow = count == 1 && r.resetBefore() ? r.stateRow() : r.columns(count);
  g.b = packed;
  g.bPanel = g.k * 16;
  g.c = out;
  g.cRow = r.stateRow();
  g.accumulate = accumulate;
  k.gemm(g, part.rows.begin, part.rows.end, part.groups.begin, part.groups.end, args.own);
}

void Run::step(int64_t s, const RecurrentPart& part) const {
  cpu::CellBackward cell{.cell = r.cell,
                         .activation = r.activation,
                         .recurrentActivation = r.recurrentActivation,
                         .units = r.units,
                         .mask = r.maskAt(mask(), first(), s)};
  cell.gateRow = r.gateRow();
  cell.hidden = hidden(s);
  cell.hiddenNext = hidden(s + 1);
  cell.stateRow = r.stateRow();
  cell.dGates = at(b.dGates) + s * r.n * r.gateRow();
  cell.gates = cell.dGates;  // simple has no need of its gates
  if (r.cell != Cell::simple) {
    cell.gates = gates(s);
    cell.carry = carry(s);
    cell.carryNext = r.hasCarry() ? carry(s + 1) : carry(s);
  }
  if (const float* d = arriving(givenSequence)) cell.dSequence = d + s * r.units;
  cell.dSequenceRow = r.steps * r.units;
  if (s == r.steps - 1) cell.dLast = arriving(givenLast);
  cell.dHidden = at(b.dHidden);
  cell.dCarry = at(b.dCarry);
  cell.dRecurrent = dRecurrent(s);
  cell.dRecurrentRow = recurrentRow();
  cell.dCandidate = at(b.dCandidate) + s * stateSize();
  cell.dReset = at(b.dReset);
  const bool own = !part.empty();
  if (own) k.cellBackward(cell, part.rows.begin, part.rows.end, part.blockBegin, part.blockEnd);
  if (part.meets) args.barrier();
  if (r.resetBefore()) {
    if (own) {
      multiply(cell.dCandidate, 1, at(b.candidateKernel), false, at(b.dReset), part);
      k.cellResetBackward(cell, part.rows.begin, part.rows.end, part.blockBegin, part.blockEnd);
    }
    if (part.meets) args.barrier();
  }
  if (own) multiply(cell.dRecurrent, r.firstGates(), at(b.recurrent), true, cell.dHidden, part);
}

void Run::finish(const RecurrentPart& part) const {
  const int64_t begin = part.groups.begin * 16, count = std::min(part.groups.end * 16, r.units) - begin;
  for (int64_t n = part.rows.begin; n < part.rows.end; ++n) {
    const int64_t from = n * r.stateRow() + begin, to = n * r.units + begin;
    if (b.wantsHidden) std::memcpy(args.out<float>(0) + to, at(b.dHidden) + from, size_t(count) * 4);
    if (b.wantsCarry) std::memcpy(args.out<float>(1) + to, at(b.dCarry) + from, size_t(count) * 4);
  }
}

// dx = dz W^T, by steps or by rows, whichever makes longer products.
void Run::input() const {
  const int64_t gateRow = r.gateRow(), panels = (r.in + 15) / 16, sequenceRow = r.steps * r.in;
  float* out = args.out<float>(1 + r.hasCarry());
  cpu::Gemm g{.n = r.in, .k = r.width(r.gates())};
  g.b = at(b.kernel);
  g.bPanel = g.k * 16;
  const bool bySteps = r.n >= r.steps;
  const int64_t count = bySteps ? r.steps : r.n;
  g.m = bySteps ? r.n : r.steps;
  g.aRow = bySteps ? gateRow : r.n * gateRow;
  g.cRow = bySteps ? sequenceRow : r.backwards ? -r.in : r.in;
  const int64_t parts = (g.m + 47) / 48;  // of a product's rows, so that few products still divide
  const Range items = args.split(count * parts);
  for (int64_t item = items.begin; item < items.end; ++item) {
    const int64_t i = item / parts, begin = item % parts * g.m / parts, end = (item % parts + 1) * g.m / parts;
    g.a = at(b.dGates) + i * (bySteps ? r.n * gateRow : gateRow);
    g.c = out + (bySteps ? r.source(i) * r.in : i * sequenceRow + r.source(0) * r.in);
    k.gemm(g, begin, end, 0, panels, args.own);
  }
}

// One factor of weight gradients a^T dz.
struct Factor {
  const float* a = nullptr;
  int64_t row = 0, columns = 0;  // of a
  float* out = nullptr;          // [columns][gates * units], at the first gate
};

// a^T dz for one or two a, and the column sums of dz: panels of dz are packed block by block while they stay in cache.
struct WeightProduct {
  const float* dz = nullptr;
  int64_t row = 0, gates = 0;
  Factor factors[2];
  float* bias = nullptr;
};

void multiplyWeights(const Run& run, const WeightProduct& w) {
  const Recurrent& r = run.r;
  const int64_t depth = r.steps * r.n, panels = r.columns(w.gates) / 16, width = r.width(w.gates),
                outRow = r.gates() * r.units;
  float* packed = reinterpret_cast<float*>(run.args.own);
  float* tile = packed + kPanelsAtOnce * kRowsAtOnce * 16;
  float* scratch = tile + kPanelsAtOnce * (r.in + r.units) * 16;
  const Range own = run.args.split(panels);
  for (int64_t p = own.begin; p < own.end; p += kPanelsAtOnce) {
    const int64_t count = std::min(kPanelsAtOnce, own.end - p);
    for (int64_t from = 0; from == 0 || from < depth; from += kRowsAtOnce) {
      const int64_t rows = std::min(kRowsAtOnce, depth - from);
      run.k.packB(w.dz + from * w.row + p * 16, w.row, 1, rows, width - p * 16, packed, 0, count);
      float* c = tile;
      for (const Factor& factor : w.factors) {
        if (!factor.out) continue;
        cpu::Gemm g{.m = factor.columns, .n = count * 16, .k = rows};
        g.a = factor.a + from * factor.row;
        g.aRow = 1;
        g.aCol = factor.row;
        g.b = packed;
        g.bPanel = rows * 16;
        g.c = c;
        g.cRow = 16;
        g.cPanel = factor.columns * 16;
        g.cPadded = true;
        g.accumulate = from > 0;
        run.k.gemm(g, 0, g.m, 0, count, scratch);
        c += factor.columns * count * 16;
      }
    }
    const float* c = tile;
    for (const Factor& factor : w.factors) {
      if (!factor.out) continue;
      run.k.unpackGates(c, factor.columns, r.units, w.gates, factor.out, outRow, p, p + count);
      c += factor.columns * count * 16;
    }
    if (!w.bias) continue;
    float* sums = run.at(run.b.dBias);
    const int64_t end = std::min((p + count) * 16, width);
    run.k.reduceOuter(cpu::Reduce::sum, DType::f32, w.dz, depth, w.row, sums, p * 16, end);
    std::memset(sums + end, 0, size_t((p + count) * 16 - end) * 4);
    run.k.unpackGates(sums + p * 16, 1, r.units, w.gates, w.bias, outRow, p, p + count);
  }
}

void Run::weights() const {
  const int kernelPart = 2 + r.hasCarry();
  float* dKernel = b.wantsKernel ? args.out<float>(kernelPart) : nullptr;
  float* dU = b.wantsRecurrent ? args.out<float>(kernelPart + 1) : nullptr;
  float* dBias = b.wantsBias ? args.out<float>(kernelPart + 2) : nullptr;
  const Factor x{at(b.x), r.in, r.in, dKernel}, h{hidden(0), r.stateRow(), r.units, dU};
  WeightProduct gates{at(b.dGates), r.gateRow(), r.gates(), {x, r.isGru() ? Factor{} : h}, dBias};
  if (dKernel || dBias || (dU && !r.isGru())) multiplyWeights(*this, gates);
  if (!r.isGru()) return;
  float* recurrentBias = dBias && r.cell == Cell::gru ? dBias + 3 * r.units : nullptr;
  WeightProduct recurrent{at(b.dRecurrent), recurrentRow(), r.firstGates(), {h, {}}, recurrentBias};
  if (dU || recurrentBias) multiplyWeights(*this, recurrent);
  if (!r.resetBefore() || !dU) return;
  const Factor reset{carry(0), r.stateRow(), r.units, dU + 2 * r.units};
  multiplyWeights(*this, {at(b.dCandidate), r.stateRow(), 1, {reset, {}}, nullptr});
}

}  // namespace

Lowering lowerRecurrentGradient(const LowerContext& c) {
  Backward b{.r = {recurrentSizes(c)}, .given = c.attrs().integer("given", 0)};
  const Recurrent& r = b.r;
  size_t part = 0;
  b.wantsHidden = c.used[part++];
  if (r.hasCarry()) b.wantsCarry = c.used[part++];
  b.wantsInput = c.used[part++];
  b.wantsKernel = c.used[part++];
  b.wantsRecurrent = c.used[part++];
  if (r.hasBias) b.wantsBias = c.used[part++];

  Pieces<16> scratch;  // in floats
  const int64_t rows = r.n * r.steps, states = r.n * r.stateRow(), unitPanels = r.groups() * 16;
  b.recurrent = scratch.add(unitPanels * r.width(r.firstGates()));
  b.first = scratch.add(r.n);
  b.dHidden = scratch.add(states);
  b.dCarry = scratch.add(states);
  b.dGates = scratch.add(rows * r.gateRow());
  b.dBias = scratch.add(r.gateRow());
  if (r.isGru()) b.dRecurrent = scratch.add(rows * r.columns(r.firstGates()));
  if (r.resetBefore()) {
    b.candidateKernel = scratch.add(unitPanels * r.width(1));
    b.dCandidate = scratch.add(r.steps * states);
    b.dReset = scratch.add(states);
  }
  if (b.wantsInput) b.kernel = scratch.add((r.in + 15) / 16 * 16 * r.width(r.gates()));
  if (b.wantsKernel) b.x = scratch.add(rows * r.in);

  const auto launch = [b, &k = c.kernels](const StepArgs& args) {
    const Run run{b, b.r, k, args};
    const RecurrentPart part = recurrentPart(b.r, args);
    run.prepare();
    args.barrier();
    for (int64_t s = b.r.steps; s-- > 0;) run.step(s, part);
    if (!part.empty()) run.finish(part);
    args.barrier();
    if (b.wantsInput) run.input();
    run.weights();
  };
  const double flop =
      2 * double(rows) * double(r.gateRow()) * double(2 * r.units + r.in * (int64_t(b.wantsInput) + b.wantsKernel));
  Lowering result{.launch = launch, .cost = flop * 0.0125 + double(rows) * double(r.gateRow()) * 0.8 + 50};
  result.flop = flop;
  result.sharedScratch = size_t(scratch.size) * 4;
  cpu::Gemm back{.m = std::max(r.n, r.steps), .n = r.units, .k = r.width(r.gates())};
  cpu::Gemm weight{.m = std::max(r.in, r.units), .n = 1, .k = kRowsAtOnce};
  const int64_t tiles = kPanelsAtOnce * (kRowsAtOnce + r.in + r.units) * 64 + 64;
  result.memberScratch =
      size_t(std::max(cpu::gemmScratchBytes(back), tiles + std::max<int64_t>(cpu::gemmScratchBytes(weight), 64)) + 64);
  return result;
}

}  // namespace chainrule::ops
