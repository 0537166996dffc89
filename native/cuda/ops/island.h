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

// What an op can do for the island behind it as it stores its result: + bias over the last axis, relu, 0 where the gate
// (of the result's shape) is not positive, rounding to bfloat16, in that order.
struct OwnEpilogue {
  int biasInput = -1, gateInput = -1;  // of the node
  bool halfBias = false, halfGate = false;
  bool relu = false;
  bool rounds = false;  // the result is stored as bfloat16

  const void* bias(const StepArgs& args) const { return biasInput < 0 ? nullptr : args.in<void>(biasInput); }
  const void* gate(const StepArgs& args) const { return gateInput < 0 ? nullptr : args.in<void>(gateInput); }
};

// The island over an op's output that a node may carry, run after the op: in place, or, where the node's output is
// bfloat16 and the op's result is not, from scratch. The node's inputs are those of the op (`opInputs` of them), then
// those of the island without its first, which is the op's own result.
class Epilogue {
 public:
  Epilogue() = default;  // none
  Epilogue(const LowerContext& c, int opInputs);
  // What the op does itself from now on, gates only if it can; run() does what then remains.
  OwnEpilogue take(bool gates = false);
  // The shared scratch of an op that itself needs so many bytes. Once, after take().
  size_t place(size_t scratchBytes);
  void* result(const StepArgs& args) const;  // where the op stores
  void run(const StepArgs& args) const;      // does nothing if there is none

 private:
  std::shared_ptr<const IslandLaunch> island_;
  const IslandCode* code_ = nullptr;  // of the graph's node
  Dims dims_;
  std::vector<TensorType> types_;  // of the island's inputs: the result, then
  std::vector<int> inputs_;        // of the node
  bool rounded_ = false;           // the node's output is bfloat16
  int64_t resultAt_ = -1;
};

}  // namespace chainrule::cuda
