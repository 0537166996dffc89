#include "ops/epilogue.h"

#include "cpu/island.h"

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

  if (const auto bias = biasOf(code, in)) {
    epilogue.biasInput = opInputs;
    epilogue.activation = bias->relu ? cpu::Activation::relu : cpu::Activation::none;
  }
  return epilogue;
}

}  // namespace chainrule::ops
