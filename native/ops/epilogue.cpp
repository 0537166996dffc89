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

  const auto& steps = code.instructions;
  const bool biased = (steps.size() == 1 || (steps.size() == 2 && steps[1].name == "relu")) &&
                      code.inputs.size() == 2 && steps[0].name == "add" && steps[0].a != steps[0].b && in.size() == 2 &&
                      in[1].dims.size() == 1 && in[1].dims[0] == c.out[0].dims.back() &&
                      code.outputs[0].value == 1 + steps.size();
  if (biased) {
    epilogue.biasInput = opInputs;
    epilogue.activation = steps.size() == 2 ? cpu::Activation::relu : cpu::Activation::none;
  }
  return epilogue;
}

}  // namespace chainrule::ops
