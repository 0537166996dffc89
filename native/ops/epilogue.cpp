#include "ops/epilogue.h"

#include "cpu/island.h"
#include "plan/epilogue.h"

namespace chainrule::ops {
Epilogue lowerEpilogue(const LowerContext& c, int opInputs) {
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
  if (parts.biasInput < 0) return epilogue;
  epilogue.biasInput = opInputs + parts.biasInput - 1;
  epilogue.activation = {parts.relu, takeCeiling(parts)};
  if (parts.rest.instructions.empty()) return epilogue;
  in.erase(in.begin() + parts.biasInput);
  epilogue.rest = lowerIsland(parts.rest, c.out[0].dims, in, c.kernels).run;
  return epilogue;
}

}  // namespace chainrule::ops
