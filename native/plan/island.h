#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/opcode.h"
#include "plan/backend.h"

namespace chainrule {

// A fused elementwise program over graph values, before sizes are known. Values are numbered: inputs, then
// instructions.
struct IslandCode {
  struct Input {
    DType dtype;
    Shape shape;
    bool constant = false;  // a scalar that goes into the program itself
    uint32_t bits = 0;
  };
  struct Instruction {
    Opcode opcode;
    std::string_view name;
    uint16_t a = 0, b = 0, c = 0;
  };
  struct Output {
    uint16_t value;
    DType dtype;
  };
  Shape space;
  std::vector<Input> inputs;
  std::vector<Instruction> instructions;
  std::vector<Output> outputs;
};

// As an attribute of a node: attrs.extra.
inline const IslandCode& islandAttr(const Attrs& attrs) { return *static_cast<const IslandCode*>(attrs.extra.get()); }

// Whether an island over an op's output, its first operand, is just + bias over the last axis, with relu or nothing
// after it. `in`: types of the operands.
struct IslandBias {
  bool relu = false;
};
inline std::optional<IslandBias> biasOf(const IslandCode& code, std::span<const TensorType> in) {
  const auto& steps = code.instructions;
  const bool biased = (steps.size() == 1 || (steps.size() == 2 && steps[1].name == "relu")) &&
                      code.inputs.size() == 2 && steps[0].name == "add" && steps[0].a != steps[0].b && in.size() == 2 &&
                      in[1].dims.size() == 1 && in[1].dims[0] == in[0].dims.back() &&
                      code.outputs[0].value == 1 + steps.size();
  return biased ? std::optional(IslandBias{steps.size() == 2}) : std::nullopt;
}

}  // namespace chainrule
