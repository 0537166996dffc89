#pragma once

#include <memory>
#include <vector>

#include "cuda/ops/island_program.h"
#include "cuda/queue.h"
#include "plan/island.h"

namespace chainrule::cuda {

// An elementwise program with its sizes known, ready to be given pointers.
class IslandLaunch {
 public:
  // `in`: types of the inputs that aren't constants, in order.
  IslandLaunch(const IslandCode& code, const Dims& space, std::span<const TensorType> in);
  void run(Queue& queue, const void* const* in, void* const* out) const;

 private:
  IslandProgram program_;
  LaunchSize size_;
  bool small_, wide_;  // which kernel
};

// The island over an op's output that a node may carry, run in place after the op. The node's inputs are those of the
// op
// (`opInputs` of them), then those of the island without its first, which is the op's own result.
class Epilogue {
 public:
  Epilogue() = default;  // none
  Epilogue(const LowerContext& c, int opInputs);
  // If the island begins with + bias over the last axis, perhaps with relu next: the input that is the bias. The op
  // does both, and run what then remains. Else -1.
  int takeBias(bool& relu);
  void run(const StepArgs& args) const;  // does nothing if there is none

 private:
  std::shared_ptr<const IslandLaunch> island_, rest_;
  std::vector<int> inputs_;  // of the node, behind the result
  int biasInput_ = -1;
  bool relu_ = false;
};

}  // namespace chainrule::cuda
