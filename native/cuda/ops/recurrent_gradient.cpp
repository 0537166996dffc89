#include <algorithm>

#include "cuda/kernels/recurrent.cuh"
#include "cuda/ops/recurrent_walk.h"

// Back through time: a loop leaves the gradients of all gates; those of the weights and of x are products over all
// steps at once after it.

namespace chainrule::cuda {
namespace {

constexpr int64_t kSummedRows = 512;  // that a block sums for the bias

struct Backward {
  RecurrentSizes r;
  bool tf32 = false;
  WalkPlan walk;
  int64_t given = 0;
  bool wantsHidden = false, wantsCarry = false, wantsInput = false, wantsKernel = false, wantsRecurrent = false,
       wantsBias = false;
  // Floats into scratch.
  int64_t first = 0, dHidden = 0, dCarry = 0, dReset = 0, dGates = 0, dRecurrent = 0, dCandidate = 0, sums = 0,
          product = 0;

  int64_t rows() const { return r.n * r.steps; }
  int64_t gateRow() const { return r.gates() * r.units; }
  int64_t recurrentRow() const { return r.firstGates() * r.units; }
  int64_t sumChunks() const { return std::max<int64_t>((rows() + kSummedRows - 1) / kSummedRows, 1); }

  // Gradients of gates times the transposed gates of U, or W.
  RowsProduct back(int64_t width) const {
    return {.m = r.n, .n = r.units, .k = width, .bRow = gateRow(), .bTransposed = true, .cRow = r.units, .tf32 = tf32};
  }
  RowsProduct input() const {
    return {.m = rows(),
            .n = r.in,
            .k = gateRow(),
            .aRow = gateRow(),
            .bRow = gateRow(),
            .bTransposed = true,
            .cRow = r.in,
            .tf32 = tf32};
  }
  // What the gates of a weight matrix multiply, transposed, times their gradients, over all steps.
  RowsProduct weights(int64_t from, int64_t width) const {
    return {.m = from,
            .n = width,
            .k = rows(),
            .aRow = from,
            .aTransposed = true,
            .bRow = width,
            .cRow = gateRow(),
            .tf32 = tf32};
  }
};

struct BackwardRun : RecurrentRun {
  const Backward& b;

  BackwardRun(const Backward& backward, const StepArgs& stepArgs) : RecurrentRun{backward.r, stepArgs}, b(backward) {}

  const uint8_t* mask() const { return r.hasMask ? args.in<uint8_t>(3) : nullptr; }
  int32_t* first() const { return reinterpret_cast<int32_t*>(at(b.first)); }
  const float* gates() const { return args.in<float>(r.keptInput()); }
  const float* hidden() const { return args.in<float>(r.keptInput() + (r.keptInputs() > 1)); }
  const float* carry() const { return args.in<float>(r.keptInput() + 2); }
  // The gradient that arrives at a part of the forward op, or null.
  const float* arriving(Given which) const {
    if (!(b.given & which)) return nullptr;
    int index = r.keptInput() + r.keptInputs();
    for (int64_t bit = 1; bit < which; bit *= 2) index += (b.given & bit) != 0;
    return args.in<float>(index);
  }
  // Of h U + b, of its gates that are computed together: gru's own, else that of x W + b.
  float* dRecurrent() const { return at(r.isGru() ? b.dRecurrent : b.dGates); }

  void prepare() const {
    if (r.hasMask) firstSteps(mask(), first());
    setState(arriving(givenHidden), {at(b.dHidden), r.units});
    if (r.hasCarry()) setState(arriving(givenCarry), {at(b.dCarry), r.units});
  }

  void recurBack(Rows<float> dz, int64_t width, int64_t fromGate, float* to, bool accumulate) const {
    RowsProduct product = b.back(width);
    product.aRow = dz.stride;
    product.run(queue(), dz.data, args.in<float>(2) + fromGate * r.units, to, at(b.product), accumulate);
  }

  void step(int64_t s) const {
    DeviceCellBackward c{cell(s, mask(), first())};
    c.gate = r.units;
    c.hidden = stateRows(hidden(), s);
    c.hiddenNext = stateRows(hidden(), s + 1);
    if (r.cell != Cell::simple) c.gates = stepRows(gates(), s, b.gateRow());
    if (r.hasCarry()) {
      c.carry = stateRows(carry(), s);
      c.carryNext = stateRows(carry(), s + 1);
    }
    if (r.isGru()) c.inner = stepRows(carry(), s, r.units);
    if (const float* d = arriving(givenSequence)) c.dSequence = {d + s * r.units, r.steps * r.units};
    if (const float* d = arriving(givenLast); d && s == r.steps - 1) c.dLast = {d, r.units};
    c.dHidden = at(b.dHidden);
    c.dCarry = at(b.dCarry);
    c.dGates = stepRows(at(b.dGates), s, b.gateRow());
    c.dRecurrent = stepRows(dRecurrent(), s, b.recurrentRow());
    c.dCandidate = stepRows(at(b.dCandidate), s, r.units);
    c.dReset = {at(b.dReset), r.units};
    queue().launch(KERNEL(cellBackwardKernel), size(), c);
    if (r.resetBefore()) {
      recurBack(c.dCandidate, r.units, 2, at(b.dReset), false);
      queue().launch(KERNEL(cellResetBackwardKernel), size(), c);
    }
    recurBack(c.dRecurrent, b.recurrentRow(), 0, c.dHidden, true);
  }

  void walk() const {
    DeviceWalkBackward w{b.walk.walk};
    w.cell.mask = {mask(), r.steps};
    w.cell.first = r.hasMask ? first() : nullptr;
    w.weights = args.in<float>(2);
    w.hiddenOf = hidden();
    if (r.cell != Cell::simple) {
      w.gatesOf = gates();
      w.carryOf = carry();
    }
    w.dSequence = arriving(givenSequence);
    w.dLast = arriving(givenLast);
    w.hiddenIn = arriving(givenHidden);
    if (r.hasCarry()) w.carryIn = arriving(givenCarry);
    w.dGatesOut = at(b.dGates);
    w.dRecurrentOut = at(b.dRecurrent);
    w.dCandidateOut = at(b.dCandidate);
    if (b.wantsHidden) w.hiddenOut = args.out<float>(0);
    if (b.wantsCarry) w.carryOut = args.out<float>(1);
    walkBackward(queue(), b.walk, w);
  }

  void finish() const {
    const int64_t bytes = r.n * r.units * 4;
    if (b.wantsHidden) queue().copy(args.out<float>(0), at(b.dHidden), bytes);
    if (b.wantsCarry) queue().copy(args.out<float>(1), at(b.dCarry), bytes);
  }

  void input() const {
    b.input().run(queue(), at(b.dGates), args.in<float>(1), args.out<float>(1 + r.hasCarry()), at(b.product));
  }

  void weightsFrom(const float* a, int64_t from, const float* dz, int64_t width, float* to) const {
    b.weights(from, width).run(queue(), a, dz, to, at(b.product));
  }

  // Column sums in two rounds, so that long sequences keep a GPU busy.
  void bias(const float* dz, int64_t width, float* to) const {
    const int64_t chunks = b.sumChunks(), blocks = (width + kWarp - 1) / kWarp, threads = kColumnSumWarps * kWarp;
    queue().launch(KERNEL(columnSumsKernel), {{blocks, chunks}, {threads}}, dz, b.rows(), width, kSummedRows,
                   chunks > 1 ? at(b.sums) : to);
    if (chunks > 1)
      queue().launch(KERNEL(columnSumsKernel), {{blocks}, {threads}}, at(b.sums), chunks, width, chunks, to);
  }

  void weights() const {
    const int kernelPart = 2 + r.hasCarry();
    if (b.wantsKernel) weightsFrom(args.in<float>(0), r.in, at(b.dGates), b.gateRow(), args.out<float>(kernelPart));
    if (b.wantsRecurrent) {
      float* const to = args.out<float>(kernelPart + 1);
      weightsFrom(hidden(), r.units, dRecurrent(), b.recurrentRow(), to);
      if (r.resetBefore()) weightsFrom(carry(), r.units, at(b.dCandidate), r.units, to + 2 * r.units);
    }
    if (!b.wantsBias) return;
    float* const to = args.out<float>(kernelPart + 2);
    bias(at(b.dGates), b.gateRow(), to);
    if (r.cell == Cell::gru) bias(dRecurrent(), b.gateRow(), to + b.gateRow());
  }
};

}  // namespace

Lowering lowerRecurrentGradient(const LowerContext& c) {
  Backward b{
      .r = recurrentSizes(c), .tf32 = c.precision == MatmulPrecision::high, .given = c.attrs().integer("given", 0)};
  const RecurrentSizes& r = b.r;
  size_t part = 0;
  b.wantsHidden = c.used[part++];
  if (r.hasCarry()) b.wantsCarry = c.used[part++];
  b.wantsInput = c.used[part++];
  b.wantsKernel = c.used[part++];
  b.wantsRecurrent = c.used[part++];
  if (r.hasBias) b.wantsBias = c.used[part++];

  b.walk = planWalkBackward(r);
  Pieces<32> scratch;  // in floats
  const int64_t state = r.n * r.units;
  if (r.hasMask) b.first = scratch.add(r.n);
  b.dHidden = scratch.add(state);
  if (r.hasCarry()) b.dCarry = scratch.add(state);
  b.dGates = scratch.add(b.rows() * b.gateRow());
  if (r.isGru()) b.dRecurrent = scratch.add(b.rows() * b.recurrentRow());
  if (r.resetBefore()) {
    b.dCandidate = scratch.add(b.rows() * r.units);
    b.dReset = scratch.add(state);
  }
  if (b.wantsBias && b.sumChunks() > 1) b.sums = scratch.add(b.sumChunks() * b.gateRow());
  const RowsProduct products[] = {b.back(b.recurrentRow()),
                                  b.back(r.units),
                                  b.input(),
                                  b.weights(r.in, b.gateRow()),
                                  b.weights(r.units, b.recurrentRow()),
                                  b.weights(r.units, r.units)};
  int64_t most = 0;
  for (const RowsProduct& p : products) most = std::max(most, p.scratch());
  b.product = scratch.add((most + 3) / 4);

  Lowering result{.launch = [b](const StepArgs& args) {
    const BackwardRun run(b, args);
    if (b.walk.fits(run.queue())) {
      if (b.r.hasMask) run.firstSteps(run.mask(), run.first());
      run.walk();
    } else {
      run.prepare();
      for (int64_t s = b.r.steps; s-- > 0;) run.step(s);
      run.finish();
    }
    if (b.wantsInput) run.input();
    run.weights();
  }};
  result.flop =
      2 * double(b.rows()) * double(b.gateRow()) * double(2 * r.units + r.in * (int64_t(b.wantsInput) + b.wantsKernel));
  result.sharedScratch = size_t(scratch.size) * 4;
  return result;
}

}  // namespace chainrule::cuda
