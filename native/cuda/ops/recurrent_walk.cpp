#include "cuda/ops/recurrent_walk.h"

#include <algorithm>

#include "cuda/kernels/recurrent_walk.cuh"
#include "cuda/ops/sizes.h"

namespace chainrule::cuda {
namespace {

constexpr int64_t kShared = 220 << 10;  // bytes of a block on a large GPU

struct Layout {
  int64_t size = 0;
  int32_t add(int64_t floats) {
    const int64_t at = size;
    size += (floats + 3) / 4 * 4;
    return int32_t(at);
  }
};

using Arrange = void (*)(DeviceWalk& walk, int64_t rows, Layout& layout);

void arrangeForward(DeviceWalk& w, int64_t rows, Layout& layout) {
  w.stage = int32_t((rows * w.columns + 3) / 4 * 4);
  w.staged = layout.add(2 * int64_t(w.stage));
  w.hidden = layout.add(rows * w.depth);
  if (w.cell.cell == Cell::lstm) w.carry = layout.add(rows * w.cell.units);
  if (!w.isGru()) return;
  w.product = layout.add(rows * w.columns);
  w.inner = layout.add(rows * w.depth);
}

void arrangeBackward(DeviceWalk& w, int64_t rows, Layout& layout) {
  const int64_t gates = rows * w.gates() * w.depth, state = rows * w.cell.units;
  w.stage = int32_t((gates + 3 * state + 3) / 4 * 4);
  w.staged = layout.add(2 * int64_t(w.stage));
  w.product = layout.add(rows * w.columns);
  w.hidden = layout.add(state);
  w.carry = layout.add(state);
  w.dGates = layout.add(gates);
  if (w.isGru()) w.dRecurrent = layout.add(gates);
}

WalkPlan planWalk(const RecurrentSizes& r, Arrange arrange) {
  WalkPlan plan;
  const int64_t columns = r.gates() * r.units, half = (r.units + 1) / 2;
  if (r.gates() * half > kWalkThreads || columns == 0 || r.steps < 1 || r.n < 1) return plan;
  DeviceWalk base{{r.cell, r.activation, r.recurrentActivation, r.zeroOutput, 0, r.n, r.units}};
  base.steps = int32_t(r.steps);
  base.columns = int32_t(columns);
  base.depth = int32_t((r.units + kWalkGroup - 1) / kWalkGroup * kWalkGroup);
  base.half = int32_t(half);
  base.backwards = r.backwards;
  // As many rows as leave a block for every multiprocessor, and room in shared memory.
  for (int64_t rows = 1; rows <= 4; rows *= 2) {
    DeviceWalk walk = base;
    Layout layout;
    layout.add(std::max<int64_t>(walk.depth - kWalkHeld, 0) * 2 * walk.threads());
    arrange(walk, rows, layout);
    if (layout.size * 4 > kShared) break;
    walk.size = int32_t(layout.size);
    plan = {rows, walk};
    if ((r.n + rows - 1) / rows <= kMultiprocessors) break;
  }
  return plan;
}

bool isUsual(const DeviceCell& cell) {
  return cell.activation == CellActivation::tanh && cell.recurrentActivation == CellActivation::sigmoid;
}

template <typename Walk>
void launch(Queue& queue, const WalkPlan& plan, const Walk& walk, const Kernel<Walk> (&kernels)[2][3]) {
  const LaunchSize size{{(walk.cell.n + plan.rows - 1) / plan.rows}, {walk.threads()}, plan.sharedBytes()};
  queue.launch(kernels[isUsual(walk.cell)][plan.rows / 2], size, walk);
}

}  // namespace

WalkPlan planWalkForward(const RecurrentSizes& r) { return planWalk(r, arrangeForward); }
WalkPlan planWalkBackward(const RecurrentSizes& r) { return planWalk(r, arrangeBackward); }

void walkForward(Queue& queue, const WalkPlan& plan, const DeviceWalkForward& walk) {
  launch<DeviceWalkForward>(
      queue, plan, walk,
      {{KERNEL(walkForward1AnyKernel), KERNEL(walkForward2AnyKernel), KERNEL(walkForward4AnyKernel)},
       {KERNEL(walkForward1UsualKernel), KERNEL(walkForward2UsualKernel), KERNEL(walkForward4UsualKernel)}});
}
void walkBackward(Queue& queue, const WalkPlan& plan, const DeviceWalkBackward& walk) {
  launch<DeviceWalkBackward>(
      queue, plan, walk,
      {{KERNEL(walkBackward1AnyKernel), KERNEL(walkBackward2AnyKernel), KERNEL(walkBackward4AnyKernel)},
       {KERNEL(walkBackward1UsualKernel), KERNEL(walkBackward2UsualKernel), KERNEL(walkBackward4UsualKernel)}});
}

}  // namespace chainrule::cuda
