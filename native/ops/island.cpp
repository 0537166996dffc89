#include "ops/island.h"

#include "cpu/kernel_table.h"
#include "cpu/split.h"
#include "ops/registry.h"
#include "ops/shape_rules.h"

namespace chainrule::ops {
namespace {

int64_t rowMajorStride(const Dims& dims, int axis) {
  int64_t stride = 1;
  for (int i = axis + 1; i < dims.size(); ++i) stride *= dims[i];
  return stride;
}

std::vector<ValueType> inferIsland(const InferContext& c) {
  const IslandCode& code = islandAttr(c.attrs);
  std::vector<ValueType> parts;
  for (const auto& output : code.outputs) parts.push_back(typeOf(output.dtype, code.space));
  return parts;
}

Lowering lowerIslandNode(const LowerContext& c) {
  const IslandCode& code = islandAttr(c.attrs());
  LoweredIsland island = lowerIsland(code, concrete(code.space, c.batch), c.in, c.kernels, false);
  Lowering result;
  result.cost = island.cost;
  result.memberScratch = island.scratch;
  const int inputs = int(c.in.size()), outputs = int(code.outputs.size());
  result.launch = [run = std::move(island.run), elements = island.elements, inputs, outputs](const StepArgs& args) {
    const void* in[cpu::kIslandInputs];
    void* out[cpu::kIslandOutputs];
    for (int i = 0; i < inputs; ++i) in[i] = args.in<void>(i);
    for (int i = 0; i < outputs; ++i) out[i] = args.out<void>(i);
    const Range range = args.split(elements, cpu::kIslandTile);
    if (!range.empty()) run(const_cast<void* const*>(in), out, range.begin, range.end, args.own);
  };
  return result;
}

const OpDef table[] = {{.name = "island",
                        .minInputs = 0,
                        .maxInputs = cpu::kIslandInputs,
                        .infer = inferIsland,
                        .lower = lowerIslandNode,
                        .inPlace = true}};

}  // namespace

// Cheap arithmetic against the functions made of many instructions.
double instructionCost(std::string_view name) {
  for (std::string_view dear : {"exp", "expm1", "log", "log1p", "sin", "cos", "tan", "atan", "tanh", "sigmoid", "erf",
                                "gelu", "geluSlope", "pow", "softplus"}) {
    if (name == dear) return 0.8;
  }
  return 0.12;
}

IslandCode islandOf(std::string_view op, std::span<const ValueType> in, const ValueType& out) {
  IslandCode code;
  code.space = out.shape;
  for (const ValueType& type : in) code.inputs.push_back({type.dtype, type.shape});
  const DType operand = in[op == "select" ? 1 : 0].dtype;
  const Opcode opcode = op == "cast" ? cpu::castOpcode(in[0].dtype, out.dtype) : cpu::opcodeFor(op, operand);
  uint16_t result = 0;
  if (opcode != Opcode::none) {
    const uint16_t last = uint16_t(in.size() - 1);
    code.instructions.push_back({opcode, op, 0, std::min<uint16_t>(1, last), std::min<uint16_t>(2, last)});
    result = uint16_t(in.size());
  } else if (op != "cast") {
    fail("DTYPE", std::string(op), " is not defined for ", dtypeName(operand));
  }
  code.outputs.push_back({result, out.dtype});
  return code;
}

LoweredIsland lowerIsland(const IslandCode& code, const Dims& space, std::span<const TensorType> in,
                          const cpu::KernelTable& kernels, bool readFromCache) {
  auto island = std::make_shared<cpu::Island>();
  island->rank = std::max(1, space.size());
  island->dims[0] = 1;
  for (int i = 0; i < space.size(); ++i) island->dims[i] = space[i];

  // Values are renumbered: the kernel wants inputs, then constants, then instructions.
  std::vector<uint8_t> number(code.inputs.size() + code.instructions.size());
  size_t bound = 0;
  for (size_t i = 0; i < code.inputs.size(); ++i) {
    if (code.inputs[i].constant) continue;
    cpu::IslandInput& input = island->inputs[bound];
    input.dtype = code.inputs[i].dtype;
    const Dims& dims = in[bound].dims;
    const int offset = space.size() - dims.size();
    for (int axis = 0; axis < dims.size(); ++axis) {
      if (dims[axis] != 1) input.strides[offset + axis] = rowMajorStride(dims, axis);
    }
    number[i] = uint8_t(bound++);
  }
  island->inputCount = int(bound);
  for (size_t i = 0; i < code.inputs.size(); ++i) {
    if (!code.inputs[i].constant) continue;
    island->constants[island->constantCount] = code.inputs[i].bits;
    number[i] = uint8_t(bound + size_t(island->constantCount++));
  }
  double perElement = 0.2;
  for (size_t i = 0; i < code.instructions.size(); ++i) {
    const auto& from = code.instructions[i];
    island->instructions[i] = {from.opcode, number[from.a], number[from.b], number[from.c]};
    number[code.inputs.size() + i] = uint8_t(code.inputs.size() + i);
    perElement += instructionCost(from.name);
  }
  island->instructionCount = int(code.instructions.size());
  for (const auto& output : code.outputs) {
    island->outputs[island->outputCount++] = {number[output.value], output.dtype};
  }
  cpu::finishIsland(*island);

  LoweredIsland result;
  result.elements = elementCount(space);
  island->streams = !readFromCache && cpu::outgrowsCache(result.elements * 4);
  result.cost = double(result.elements) * perElement;
  result.scratch = size_t(cpu::islandScratchBytes(*island));
  result.run = [island, kernel = kernels.island](void* const* inputs, void* const* outputs, int64_t begin, int64_t end,
                                                 std::byte* scratch) {
    kernel(*island, inputs, const_cast<void**>(outputs), begin, end, scratch);
  };
  return result;
}

Node islandNode(const Graph& graph, const Node& node) {
  std::vector<ValueType> in;
  for (ValueId input : node.inputs) in.push_back(graph.type(input));
  Attrs attrs;
  attrs.extra = std::make_shared<IslandCode>(islandOf(node.op->name, in, graph.type(node.first)));
  return {&table[0], node.inputs, attrs, node.first, node.parts, node.origin};
}

Lowering lowerElementwise(const LowerContext& c) {
  const Node node = islandNode(c.graph, c.node);
  return lowerIslandNode({c.graph, node, c.batch, c.in, c.out, c.kernels, c.used});
}

std::span<const OpDef> islandOps() { return table; }

}  // namespace chainrule::ops
