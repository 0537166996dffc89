#pragma once

#include "cpu/types.h"
#include "ops/island.h"

// An island that runs over an op's output while it is still in cache. The fused node's inputs are those of the op, then
// those of the island without its first, which is the op's own result.
namespace chainrule::ops {

constexpr int kEpilogueInputs = 16;

struct Epilogue {
  IslandRun run;  // null: none
  int firstInput = 0;
  int extraInputs = 0;
  double cost = 0;
  size_t scratch = 0;
  // What kernels do in registers: the island begins with a bias over the last axis, or, for those that take one, with
  // another operand like the result, perhaps with relu next. `rest` is what then remains (null: nothing).
  int biasInput = -1;
  int otherInput = -1;
  cpu::Combine combine = cpu::Combine::none;
  cpu::Activation activation;
  IslandRun rest;

  bool begins() const { return biasInput >= 0 || otherInput >= 0; }
  // What kernels take of it.
  cpu::Finish finish(const StepArgs& args) const {
    return {biasInput >= 0 ? args.in<float>(biasInput) : nullptr, activation, combine,
            otherInput >= 0 ? args.in<float>(otherInput) : nullptr};
  }
  // What there is to run over a result; `begun`: with what kernels do already in it.
  bool remains(bool begun) const { return bool(begun ? rest : run); }
  void apply(const StepArgs& args, void* result, bool begun, int64_t begin, int64_t end, std::byte* own) const {
    if (begin >= end) return;
    void* in[kEpilogueInputs + 1];
    void* out[1] = {result};
    int count = 0;
    in[count++] = result;
    for (int i = firstInput; i < firstInput + extraInputs; ++i) {
      if (!begun || (i != biasInput && i != otherInput)) in[count++] = const_cast<void*>(args.in<void>(i));
    }
    (begun ? rest : run)(in, out, begin, end, own);
  }
};

// `opInputs`: how many of the node's inputs are the op's own. `takesOther`: the kernel reads another operand, too.
Epilogue lowerEpilogue(const LowerContext& c, int opInputs, bool takesOther = false);

}  // namespace chainrule::ops
