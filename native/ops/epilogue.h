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
  // Set if the island is just + bias over the last axis, with relu or nothing after it: kernels do that in registers.
  int biasInput = -1;
  cpu::Activation activation = cpu::Activation::none;

  void apply(const StepArgs& args, int64_t begin, int64_t end, std::byte* own) const {
    apply(args, args.out<void>(), begin, end, own);
  }
  // Over a result that lies elsewhere.
  void apply(const StepArgs& args, void* result, int64_t begin, int64_t end, std::byte* own) const {
    if (begin >= end) return;
    void* in[kEpilogueInputs + 1];
    void* out[1] = {result};
    in[0] = out[0];
    for (int i = 0; i < extraInputs; ++i) in[1 + i] = const_cast<void*>(args.in<void>(firstInput + i));
    run(in, out, begin, end, own);
  }
};

// `opInputs`: how many of the node's inputs are the op's own.
Epilogue lowerEpilogue(const LowerContext& c, int opInputs);

}  // namespace chainrule::ops
