#pragma once

#include "cuda/ops/recurrent.h"
#include "cuda/recurrent_walk.h"

namespace chainrule::cuda {

// How the steps of a layer are walked through, by its sizes alone; rows == 0: step by step, U being too large.
struct WalkPlan {
  int64_t rows = 0;  // of a block
  DeviceWalk walk;

  int64_t sharedBytes() const { return int64_t(walk.size) * 4; }
  // Whether the sizes allow it, and the GPU, which may be a small one.
  bool fits(const Queue& queue) const { return rows > 0 && sharedBytes() <= queue.mostShared(); }
};
WalkPlan planWalkForward(const RecurrentSizes& r);
WalkPlan planWalkBackward(const RecurrentSizes& r);

// Launches; the weights and the mask's first steps are theirs to set as well.
void walkForward(Queue& queue, const WalkPlan& plan, const DeviceWalkForward& walk);
void walkBackward(Queue& queue, const WalkPlan& plan, const DeviceWalkBackward& walk);

}  // namespace chainrule::cuda
