#include "cuda/ops/recurrent.h"

#include <algorithm>

#include "cuda/kernels/recurrent.cuh"
#include "cuda/ops/recurrent_walk.h"

// The loop over time: x W of many steps at once, then a walk over them (cuda/recurrent_walk.h), or h U and the cell
// step by step.

namespace chainrule::cuda {
namespace {

constexpr int64_t kProjected = 1 << 24;  // floats of x W that inference holds at a time

struct Forward {
  RecurrentSizes r;
  bool tf32 = false;
  WalkPlan walk;
  bool last = false, sequence = false, hidden = false, carry = false, training = false;
  int64_t ahead = 1;  // steps whose x W is computed at once
  // Floats into scratch.
  int64_t first = 0, gates = 0, states = 0, carries = 0, inner = 0, recurrent = 0, candidate = 0, product = 0;

  bool keepsGates() const { return training && r.cell != Cell::simple; }
  int64_t gateRow() const { return r.gates() * r.units; }
  // All steps at once are one product, some of them one for each.
  bool projectsAll() const { return ahead == r.steps; }
  RowsProduct projection() const {
    return {.m = projectsAll() ? r.n * r.steps : r.n,
            .n = gateRow(),
            .k = r.in,
            .aRow = projectsAll() ? r.in : r.steps * r.in,
            .bRow = gateRow(),
            .cRow = projectsAll() ? gateRow() : ahead * gateRow(),
            .tf32 = tf32};
  }
  // Of a state with `count` gates of U.
  RowsProduct recurrence(int64_t count) const {
    return {.m = r.n, .n = count * r.units, .k = r.units, .bRow = gateRow(), .cRow = count * r.units, .tf32 = tf32};
  }
};

struct ForwardRun : RecurrentRun {
  const Forward& f;

  ForwardRun(const Forward& forward, const StepArgs& stepArgs) : RecurrentRun{forward.r, stepArgs}, f(forward) {}

  const uint8_t* mask() const { return r.hasMask ? args.in<uint8_t>(r.maskInput()) : nullptr; }
  int32_t* first() const { return reinterpret_cast<int32_t*>(at(f.first)); }
  float* allGates() const { return f.keepsGates() ? args.out<float>(r.gatesPart()) : at(f.gates); }
  Rows<float> gates(int64_t s) const {
    if (f.projectsAll()) return stepRows(allGates(), s, f.gateRow());
    return {at(f.gates) + s % f.ahead * f.gateRow(), f.ahead * f.gateRow()};
  }
  // Training keeps every step for the gradient; else memory is used again.
  Rows<float> hidden(int64_t s) const {
    if (f.training) return stateRows(args.out<float>(r.hiddenPart()), s);
    return {at(f.states) + s % 2 * r.n * r.units, r.units};
  }
  Rows<float> carry(int64_t s) const {
    if (f.training) return stateRows(args.out<float>(r.carryPart()), s);
    return {at(f.carries), r.units};
  }
  Rows<float> inner(int64_t s) const {
    if (f.training) return stepRows(args.out<float>(r.carryPart()), s, r.units);
    return r.resetBefore() ? Rows<float>{at(f.inner), r.units} : Rows<float>{};
  }

  void prepare() const {
    if (r.hasMask) firstSteps(mask(), first());
    setState(r.hasState ? args.in<float>(r.stateInput()) : nullptr, hidden(0));
    if (r.hasCarry()) setState(r.hasState ? args.in<float>(r.stateInput() + 1) : nullptr, carry(0));
  }

  void project(int64_t begin) const {
    const RowsProduct product = f.projection();
    const float *x = args.in<float>(0), *kernel = args.in<float>(1);
    if (f.projectsAll()) return product.run(queue(), x, kernel, allGates(), at(f.product));
    for (int64_t s = begin; s < std::min(begin + f.ahead, r.steps); ++s) {
      product.run(queue(), x + r.source(s) * r.in, kernel, gates(s).data, at(f.product));
    }
  }

  // A state times the gates of U from gate `from` on.
  void recur(Rows<const float> state, int64_t from, int64_t count, Rows<float> to, bool accumulate) const {
    RowsProduct product = f.recurrence(count);
    product.aRow = state.stride;
    product.cRow = to.stride;
    product.run(queue(), state.data, args.in<float>(2) + from * r.units, to.data, at(f.product), accumulate);
  }

  void step(int64_t s) const {
    DeviceCellForward c{cell(s, mask(), first())};
    c.gates = gates(s);
    if (f.keepsGates()) c.kept = c.gates;
    c.bias = r.hasBias ? args.in<float>(r.biasInput()) : nullptr;
    c.hidden = reading(hidden(s));
    c.hiddenNext = hidden(s + 1);
    if (r.hasCarry()) {
      c.carry = reading(carry(s));
      c.carryNext = carry(s + 1);
    }
    if (f.sequence) c.sequence = {args.out<float>(1) + s * r.units, r.steps * r.units};
    if (!r.isGru()) {
      recur(c.hidden, 0, r.gates(), c.gates, true);
    } else {
      const Rows<float> product{at(f.recurrent), r.firstGates() * r.units};
      recur(c.hidden, 0, r.firstGates(), product, false);
      c.recurrent = reading(product);
      if (c.bias && !r.resetBefore()) c.recurrentBias = c.bias + f.gateRow();
      c.inner = inner(s);
    }
    if (r.resetBefore()) {
      queue().launch(KERNEL(cellResetKernel), size(), c);
      const Rows<float> candidate{at(f.candidate), r.units};
      recur(reading(c.inner), 2, 1, candidate, false);
      c.candidate = reading(candidate);
    }
    queue().launch(KERNEL(cellForwardKernel), size(), c);
  }

  void walk() const {
    DeviceWalkForward w{f.walk.walk};
    w.cell.mask = {mask(), r.steps};
    w.cell.first = r.hasMask ? first() : nullptr;
    w.weights = args.in<float>(2);
    w.projected = allGates();
    if (r.hasBias) {
      w.bias = args.in<float>(r.biasInput());
      if (r.cell == Cell::gru) w.recurrentBias = w.bias + f.gateRow();
    }
    if (r.hasState) {
      w.hiddenIn = args.in<float>(r.stateInput());
      if (r.hasCarry()) w.carryIn = args.in<float>(r.stateInput() + 1);
    }
    if (f.keepsGates()) w.keptGates = allGates();
    if (f.training) {
      w.keptHidden = args.out<float>(r.hiddenPart());
      if (f.keepsGates()) w.keptCarry = args.out<float>(r.carryPart());
    }
    if (f.last) w.last = args.out<float>(0);
    if (f.sequence) w.sequence = args.out<float>(1);
    if (f.hidden) w.hiddenOut = args.out<float>(2);
    if (f.carry) w.carryOut = args.out<float>(3);
    walkForward(queue(), f.walk, w);
  }

  void finish() const {
    DeviceCellEnd end{.cell = cell(r.steps - 1, mask(), first())};
    end.hidden = reading(hidden(r.steps));
    if (r.hasCarry()) end.carry = reading(carry(r.steps));
    end.last = f.last ? args.out<float>(0) : nullptr;
    end.hiddenOut = f.hidden ? args.out<float>(2) : nullptr;
    end.carryOut = f.carry ? args.out<float>(3) : nullptr;
    if (end.last || end.hiddenOut || end.carryOut) queue().launch(KERNEL(cellEndKernel), size(), end);
  }
};

constexpr Launcher table[] = {
    {"lstm", lowerRecurrent},
    {"gru", lowerRecurrent},
    {"simpleRnn", lowerRecurrent},
    {"lstmGradient", lowerRecurrentGradient},
    {"gruGradient", lowerRecurrentGradient},
    {"simpleRnnGradient", lowerRecurrentGradient},
};

}  // namespace

Launchers recurrentLaunchers() { return table; }

DeviceCell RecurrentRun::cell(int64_t s, const uint8_t* mask, const int32_t* first) const {
  DeviceCell cell{r.cell, r.activation, r.recurrentActivation, r.zeroOutput, int32_t(s), r.n, r.units, {}, first};
  if (mask && r.steps > 0) cell.mask = {mask + r.source(s), r.steps};
  return cell;
}
void RecurrentRun::firstSteps(const uint8_t* mask, int32_t* first) const {
  queue().launch(KERNEL(firstStepsKernel), threadsFor(r.n), mask, r.n, r.steps, r.backwards, first);
}
void RecurrentRun::setState(const float* state, Rows<float> rows) const {
  queue().launch(KERNEL(cellStateKernel), size(), state, r.n, r.units, rows);
}

Lowering lowerRecurrent(const LowerContext& c) {
  Forward f{.r = recurrentSizes(c), .tf32 = c.precision == MatmulPrecision::high};
  const RecurrentSizes& r = f.r;
  f.last = c.used[0];
  f.sequence = c.used[1];
  f.hidden = c.used[2];
  f.carry = r.hasCarry() && c.used[3];
  f.training = c.used[size_t(r.hiddenPart())];
  f.ahead = r.steps;
  if (!f.keepsGates()) {
    const int64_t step = std::max<int64_t>(r.n * f.gateRow(), 1);
    f.ahead = std::min(std::max<int64_t>(kProjected / step, 1), r.steps);
  }
  if (f.projectsAll()) f.walk = planWalkForward(r);
  Pieces<32> scratch;  // in floats
  const int64_t state = r.n * r.units;
  if (r.hasMask) f.first = scratch.add(r.n);
  if (!f.keepsGates()) f.gates = scratch.add(f.ahead * r.n * f.gateRow());
  if (!f.training) {
    f.states = scratch.add(2 * state);
    if (r.hasCarry()) f.carries = scratch.add(state);
    if (r.resetBefore()) f.inner = scratch.add(state);
  }
  if (r.isGru()) f.recurrent = scratch.add(state * r.firstGates());
  if (r.resetBefore()) f.candidate = scratch.add(state);
  int64_t most = std::max(f.projection().scratch(), f.recurrence(r.firstGates()).scratch());
  if (r.resetBefore()) most = std::max(most, f.recurrence(1).scratch());
  f.product = scratch.add((most + 3) / 4);

  Lowering result{.launch = [f](const StepArgs& args) {
    const ForwardRun run(f, args);
    if (f.walk.fits(run.queue())) {
      if (f.r.hasMask) run.firstSteps(run.mask(), run.first());
      run.project(0);
      return run.walk();
    }
    run.prepare();
    for (int64_t s = 0; s < f.r.steps; ++s) {
      if (s % f.ahead == 0) run.project(s);
      run.step(s);
    }
    run.finish();
  }};
  result.flop = 2 * double(r.n * r.steps) * double(f.gateRow()) * double(r.in + r.units);
  result.sharedScratch = size_t(scratch.size) * 4;
  return result;
}

}  // namespace chainrule::cuda
