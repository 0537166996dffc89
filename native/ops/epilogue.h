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
  // Set if the island adds a bias over the last axis to the result, perhaps with relu next: kernels do that in
  // registers, and `rest` is what then remains (null: nothing).
  int biasInput = -1;
  cpu::Activation activation;
  IslandRun rest;

  bool takesBias() const { return biasInput >= 0; }
  // What there is to run over a result; `biased`: with bias and activation already in it.
  bool remains(bool biased) const { return bool(biased ? rest : run); }
  void apply(const StepArgs& args, void* result, bool biased, int64_t begin, int64_t end, std::byte* own) const {
    if (begin >= end) return;
    void* in[kEpilogueInputs + 1];
    void* out[1] = {result};
    int count = 0;
    in[count++] = result;
    for (int i = firstInput; i < firstInput + extraInputs; ++i) {
      if (!biased || i != biasInput) in[count++] = const_cast<void*>(args.in<void>(i));
    }
    (biased ? rest : run)(in, out, begin, end, own);
  }
};

// `opInputs`: how many of the node's inputs are the op's own.
Epilogue lowerEpilogue(const LowerContext& c, int opInputs);

}  // namespace chainrule::ops
