#pragma once

#include <memory>
#include <vector>

#include "plan/backend.h"

namespace chainrule::ops {

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
    uint8_t opcode;  // cpu::Opcode
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

// The one-instruction program of an elementwise node.
IslandCode islandOf(std::string_view op, std::span<const ValueType> in, const ValueType& out);

// As an attribute of a node: attrs.extra.
inline const IslandCode& islandAttr(const Attrs& attrs) { return *static_cast<const IslandCode*>(attrs.extra.get()); }

// Runs `code` over flat elements [begin, end) of its space; inputs that aren't constants, then outputs, in order.
using IslandRun =
    std::function<void(void* const* in, void* const* out, int64_t begin, int64_t end, std::byte* scratch)>;
struct LoweredIsland {
  IslandRun run;
  int64_t elements = 0;
  double cost = 0;
  size_t scratch = 0;
};
LoweredIsland lowerIsland(const IslandCode& code, const Dims& space, std::span<const TensorType> in,
                          const cpu::KernelTable& kernels);
Lowering lowerElementwise(const LowerContext& c);  // of a single elementwise node

}  // namespace chainrule::ops
