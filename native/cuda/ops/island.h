#pragma once

#include <memory>
#include <optional>

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
  Epilogue(const LowerContext& c, int opInputs);
  // If the island is just + bias over the last axis, with relu or nothing after it: the input that is the bias, and run
  // has nothing left to do. Else -1.
  int takeBias(bool& relu);
  void run(const StepArgs& args) const;  // does nothing if there is none

 private:
  std::shared_ptr<const IslandLaunch> island_;
  int firstInput_ = 0, extraInputs_ = 0;
  std::optional<IslandBias> bias_;
};

}  // namespace chainrule::cuda
