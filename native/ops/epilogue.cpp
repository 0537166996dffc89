#include "ops/epilogue.h"

#include "cpu/island.h"
#include "plan/epilogue.h"

namespace chainrule::ops {

Epilogue lowerEpilogue(const LowerContext& c, int opInputs, bool takesOther) {
  Epilogue epilogue;
  if (!c.attrs().extra) return epilogue;
  const IslandCode& code = islandAttr(c.attrs());
  std::vector<TensorType> in{c.out[0]};
  in.insert(in.end(), c.in.begin() + opInputs, c.in.end());
  LoweredIsland island = lowerIsland(code, c.out[0].dims, in, c.kernels);
  epilogue.run = std::move(island.run);
  epilogue.firstInput = opInputs;
  epilogue.extraInputs = int(c.in.size()) - opInputs;
  epilogue.cost = island.cost;
  epilogue.scratch = island.scratch;

  EpilogueParts parts = takeApart(code, in, c.out[0].dims);
  if (parts.biasInput >= 0) {
    epilogue.biasInput = opInputs + parts.biasInput - 1;
    in.erase(in.begin() + parts.biasInput);
  }
  if (takesOther && !parts.relu) {
    const auto [input, adds] = takeOperand(parts.rest, in, c.out[0].dims);
    if (input >= 0) {
      epilogue.otherInput = opInputs + input - 1 + (parts.biasInput >= 0 && input >= parts.biasInput);
      epilogue.combine = adds ? cpu::Combine::add : cpu::Combine::whenPositive;
      in.erase(in.begin() + input);
      parts.relu = takeRelu(parts.rest);
    }
  }
  if (!epilogue.begins()) return epilogue;
  epilogue.activation = {parts.relu, takeCeiling(parts)};
  if (parts.rest.instructions.empty()) return epilogue;
  epilogue.rest = lowerIsland(parts.rest, c.out[0].dims, in, c.kernels).run;
  return epilogue;
}

}  // namespace chainrule::ops
