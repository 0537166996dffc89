#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/opcode.h"
#include "ir/op.h"

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

// A step for people: "matmul+add+relu", "mul+add".
inline std::string islandLabel(std::string name, const IslandCode& code) {
  const size_t shown = std::min<size_t>(code.instructions.size(), 6);
  for (size_t i = 0; i < shown; ++i) name += (name.empty() ? "" : "+") + std::string(code.instructions[i].name);
  if (code.instructions.size() > shown) name += "+" + std::to_string(code.instructions.size() - shown) + " more";
  return name.empty() ? "cast" : name;
}
inline std::string labelOf(const OpDef& op, const Attrs& attrs) {
  if (op.label) return op.label(attrs);
  const std::string name(op.name);
  return attrs.extra ? islandLabel(op.takesEpilogue ? name : "", islandAttr(attrs)) : name;
}

}  // namespace chainrule
