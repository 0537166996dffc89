#include <cstring>

#include "cpu/kernel_table.h"
#include "cpu/split.h"
#include "ops/recurrent.h"

// The loop over time. Each member owns a rectangle of rows x units: the product x W of some steps ahead, h U and the
// cell; only members that share rows need each other's h and meet once per step.

namespace chainrule::ops {
namespace {

struct Forward {
  Recurrent r;
  bool training = false, sequence = false, wantsHidden = false, wantsCarry = false;
  int64_t ahead = 1;  // steps whose x W is computed at once
  // Floats into shared scratch.
  int64_t kernel = 0, recurrent = 0, candidateKernel = 0, bias = 0, recurrentBias = 0, first = 0, hidden = 0, carry = 0,
          gates = 0, product = 0, candidate = 0;
};

struct Run {
  const Forward& f;
  const Recurrent& r;
  const cpu::KernelTable& k;
  const StepArgs& args;

  float* at(int64_t offset) const { return reinterpret_cast<float*>(args.shared) + offset; }
  const uint8_t* mask() const { return r.hasMask ? args.in<uint8_t>(r.maskInput()) : nullptr; }
  const int32_t* first() const { return reinterpret_cast<const int32_t*>(at(f.first)); }
  int64_t stateSize() const { return r.n * r.stateRow(); }
  // Training keeps every step for the gradient; else memory is used again.
  float* hidden(int64_t s) const {
    return f.training ? args.out<float>(r.hiddenPart()) + s * stateSize() : at(f.hidden) + s % 2 * stateSize();
  }
  float* carry(int64_t s) const { return f.training ? args.out<float>(r.carryPart()) + s * stateSize() : at(f.carry); }
  float* gates(int64_t s) const {
    const bool kept = f.training && r.cell != Cell::simple;
    const int64_t size = r.n * r.gateRow();
    return kept ? args.out<float>(r.gatesPart()) + s * size : at(f.gates) + s % f.ahead * size;
  }

  void prepare() const;
  void project(int64_t begin, int64_t end, const RecurrentPart& part) const;
  void step(int64_t s, const RecurrentPart& part) const;
  void multiply(const float* a, const float* panels, int64_t gates, const float* bias, bool accumulate, float* c,
                const RecurrentPart& part) const;
  void finish(const RecurrentPart& part) const;
};

// Weights into panels of the gate layout, states into padded rows.
void Run::prepare() const {
  const int64_t row = r.gates() * r.units, gates = r.gates(), first = r.firstGates();
  const auto pack = [&](const float* w, int64_t rows, int64_t count, int64_t offset) {
    const Range panels = args.split(r.columns(count) / 16);
    if (!panels.empty()) k.packGates(w, row, rows, r.units, count, at(offset), panels.begin, panels.end);
  };
  const float* recurrent = args.in<float>(2);
  pack(args.in<float>(1), r.in, gates, f.kernel);
  pack(recurrent, r.units, first, f.recurrent);
  if (r.resetBefore()) pack(recurrent + 2 * r.units, r.units, 1, f.candidateKernel);
  if (r.hasBias) {
    const float* bias = args.in<float>(r.biasInput());
    pack(bias, 1, gates, f.bias);
    if (r.cell == Cell::gru) pack(bias + row, 1, gates, f.recurrentBias);
  }
  const Range rows = args.split(r.n);
  if (r.hasMask) firstSteps(r, mask(), reinterpret_cast<int32_t*>(at(f.first)), rows);
  padState(r, r.hasState ? args.in<float>(r.stateInput()) : nullptr, hidden(0), rows);
  if (r.hasCarry()) padState(r, r.hasState ? args.in<float>(r.stateInput() + 1) : nullptr, carry(0), rows);
}

// x W + b of steps [begin, end).
void Run::project(int64_t begin, int64_t end, const RecurrentPart& part) const {
  const Range panels = part.panels(r, r.gates());
  const int64_t rows = part.rows.end - part.rows.begin, steps = end - begin, sequenceRow = r.steps * r.in;
  cpu::Gemm g{.n = r.gateRow(), .k = r.in};
  g.b = at(f.kernel);
  g.bPanel = r.in * 16;
  g.finish.bias = r.hasBias ? at(f.bias) : nullptr;
  if (rows >= steps) {  // a product for each step
    g.m = r.n;
    g.aRow = sequenceRow;
    g.cRow = r.gateRow();
    for (int64_t s = begin; s < end; ++s) {
      g.a = args.in<float>(0) + r.source(s) * r.in;
      g.c = gates(s);
      k.gemm(g, part.rows.begin, part.rows.end, panels.begin, panels.end, args.own);
    }
    return;
  }
  g.m = steps;
  g.aRow = r.backwards ? -r.in : r.in;
  g.cRow = r.n * r.gateRow();
  for (int64_t n = part.rows.begin; n < part.rows.end; ++n) {
    g.a = args.in<float>(0) + n * sequenceRow + r.source(begin) * r.in;
    g.c = gates(begin) + n * r.gateRow();
    k.gemm(g, 0, steps, panels.begin, panels.end, args.own);
  }
}

// c = [c +] a U [+ bias], a being padded state rows.
void Run::multiply(const float* a, const float* packed, int64_t count, const float* bias, bool accumulate, float* c,
                   const RecurrentPart& part) const {
  const Range panels = part.panels(r, count);
  cpu::Gemm g{.m = r.n, .n = r.columns(count), .k = r.units};
  g.a = a;
  g.aRow = r.stateRow();
  g.b = packed;
  g.bPanel = r.units * 16;
  g.c = c;
  g.cRow = r.columns(count);
  g.accumulate = accumulate;
  g.finish.bias = bias;
  k.gemm(g, part.rows.begin, part.rows.end, panels.begin, panels.end, args.own);
}

void Run::step(int64_t s, const RecurrentPart& part) const {
  cpu::CellForward cell{.cell = r.cell,
                        .activation = r.activation,
                        .recurrentActivation = r.recurrentActivation,
                        .units = r.units,
                        .keepGates = f.training,
                        .mask = r.maskAt(mask(), first(), s)};
  cell.gates = gates(s);
  cell.gateRow = r.gateRow();
  cell.hidden = hidden(s);
  cell.hiddenNext = hidden(s + 1);
  cell.stateRow = r.stateRow();
  if (r.hasCarry()) {
    cell.carry = carry(s);
    cell.carryNext = carry(s + 1);
  } else if (r.resetBefore() || (r.isGru() && f.training)) {
    cell.carryNext = carry(s);
  }
  if (f.sequence) {
    cell.sequence = args.out<float>(1) + s * r.units;
    cell.sequenceRow = r.steps * r.units;
  }
  const bool own = !part.empty();
  if (!r.isGru()) {
    if (own) multiply(cell.hidden, at(f.recurrent), r.gates(), nullptr, true, cell.gates, part);
  } else {
    cell.recurrent = at(f.product);
    cell.recurrentRow = r.columns(r.firstGates());
    const float* bias = r.hasBias && r.cell == Cell::gru ? at(f.recurrentBias) : nullptr;
    if (own) multiply(cell.hidden, at(f.recurrent), r.firstGates(), bias, false, at(f.product), part);
  }
  if (r.resetBefore()) {
    cell.candidate = at(f.candidate);
    cell.candidateRow = r.columns(1);
    if (own) k.cellReset(cell, part.rows.begin, part.rows.end, part.blockBegin, part.blockEnd);
    if (part.meets) args.barrier();
    if (own) multiply(cell.carryNext, at(f.candidateKernel), 1, nullptr, false, at(f.candidate), part);
  }
  if (own) k.cellForward(cell, part.rows.begin, part.rows.end, part.blockBegin, part.blockEnd);
  if (part.meets) args.barrier();
}

// The last output and states of this part.
void Run::finish(const RecurrentPart& part) const {
  const int64_t begin = part.groups.begin * 16, count = std::min(part.groups.end * 16, r.units) - begin;
  const cpu::StepMask last = r.maskAt(r.steps > 0 ? mask() : nullptr, first(), std::max<int64_t>(r.steps - 1, 0));
  for (int64_t n = part.rows.begin; n < part.rows.end; ++n) {
    const float* h = hidden(r.steps) + n * r.stateRow() + begin;
    float* output = args.out<float>(0) + n * r.units + begin;
    if (r.steps > 0 && last.shows(n)) {
      std::memcpy(output, h, size_t(count) * 4);
    } else {
      std::memset(output, 0, size_t(count) * 4);
    }
    if (f.wantsHidden) std::memcpy(args.out<float>(2) + n * r.units + begin, h, size_t(count) * 4);
    if (f.wantsCarry) {
      std::memcpy(args.out<float>(3) + n * r.units + begin, carry(r.steps) + n * r.stateRow() + begin,
                  size_t(count) * 4);
    }
  }
}

}  // namespace

Lowering lowerRecurrent(const LowerContext& c) {
  Forward f{.r = {recurrentSizes(c)}};
  const Recurrent& r = f.r;
  f.sequence = c.used[1];
  f.wantsHidden = c.used[2];
  f.wantsCarry = r.hasCarry() && c.used[3];
  f.training = c.used[size_t(r.hiddenPart())];
  // About as many rows of x W as keep a product efficient and its result in cache.
  f.ahead = std::clamp<int64_t>(128 / std::max<int64_t>(r.n, 1), 1, std::max<int64_t>(r.steps, 1));

  Pieces<16> scratch;  // in floats
  const int64_t gates = r.gateRow(), first = r.columns(r.firstGates()), states = r.n * r.stateRow();
  f.kernel = scratch.add(gates * r.in);
  f.recurrent = scratch.add(first * r.units);
  f.bias = scratch.add(gates);
  f.recurrentBias = scratch.add(gates);
  f.first = scratch.add(r.n);
  if (r.isGru()) f.product = scratch.add(r.n * first);
  if (r.resetBefore()) {
    f.candidateKernel = scratch.add(r.columns(1) * r.units);
    f.candidate = scratch.add(r.n * r.columns(1));
  }
  if (!f.training || r.cell == Cell::simple) f.gates = scratch.add(f.ahead * r.n * gates);
  if (!f.training) {
    f.hidden = scratch.add(2 * states);
    f.carry = scratch.add(states);
  }

  const auto launch = [f, &k = c.kernels](const StepArgs& args) {
    const Run run{f, f.r, k, args};
    const RecurrentPart part = recurrentPart(f.r, args);
    run.prepare();
    args.barrier();
    for (int64_t s = 0; s < f.r.steps; ++s) {
      if (s % f.ahead == 0 && !part.empty()) run.project(s, std::min(s + f.ahead, f.r.steps), part);
      run.step(s, part);
    }
    if (!part.empty()) run.finish(part);
  };
  const double flop = 2 * double(r.n * r.steps) * double(gates) * double(r.in + r.units);
  Lowering result{.launch = launch, .cost = flop * 0.0125 + double(r.n * r.steps) * double(gates) * 0.8 + 50};
  result.flop = flop;
  result.sharedScratch = size_t(scratch.size) * 4;
  cpu::Gemm widest{.m = std::max(r.n, f.ahead), .n = gates, .k = std::max(r.in, r.units)};
  result.memberScratch = size_t((cpu::gemmScratchBytes(widest) + 63) / 64 * 64);
  return result;
}

}  // namespace chainrule::ops
