#include "ops/island.h"

#include <algorithm>

#include "cpu/kernel_table.h"
#include "cpu/split.h"
#include "ops/registry.h"
#include "ops/row_stage.h"
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

// A select that keeps its third input but where the mask says otherwise, one element of the mask for `length`
// neighbours. Where the result takes that input's memory (a cache that is written at a position), the other rows are
// done already.
struct MaskedRows {
  int mask = -1, kept = -1;  // inputs that are no constants
  int64_t length = 0;        // 0: not of this kind
};
MaskedRows maskedRows(const IslandCode& code, const Dims& space, std::span<const TensorType> in) {
  if (code.instructions.size() != 1 || code.outputs.size() != 1 || code.instructions[0].name != "select") return {};
  const auto bound = [&](uint16_t value) {
    if (code.inputs[value].constant) return -1;
    const auto first = code.inputs.begin();
    return int(std::count_if(first, first + value, [](const auto& input) { return !input.constant; }));
  };
  MaskedRows rows{bound(code.instructions[0].a), bound(code.instructions[0].c), 1};
  if (rows.mask < 0 || rows.kept < 0 || elementCount(in[size_t(rows.kept)].dims) != elementCount(space)) return {};
  const Dims& mask = in[size_t(rows.mask)].dims;
  const int missing = space.size() - mask.size();
  const auto maskDim = [&](int axis) { return axis < missing ? 1 : mask[axis - missing]; };
  int axis = space.size() - 1;
  for (; axis >= 0 && maskDim(axis) == 1; --axis) rows.length *= space[axis];
  for (; axis >= 0; --axis) {
    if (maskDim(axis) != space[axis]) return {};
  }
  return rows;
}

void runRange(const IslandRun& run, int inputs, int outputs, const StepArgs& args, Range elements, std::byte* own) {
  const void* in[cpu::kIslandInputs];
  void* out[cpu::kIslandOutputs];
  for (int i = 0; i < inputs; ++i) in[i] = args.in<void>(i);
  for (int i = 0; i < outputs; ++i) out[i] = args.out<void>(i);
  if (!elements.empty()) run(const_cast<void* const*>(in), out, elements.begin, elements.end, own);
}

Lowering lowerIslandNode(const LowerContext& c) {
  const IslandCode& code = islandAttr(c.attrs());
  const Dims space = concrete(code.space, c.batch);
  LoweredIsland island = lowerIsland(code, space, c.in, c.kernels, false);
  const MaskedRows masked = maskedRows(code, space, c.in);
  Lowering result;
  result.cost = island.cost;
  result.memberScratch = island.scratch;
  const int inputs = int(c.in.size()), outputs = int(code.outputs.size());
  result.launch = [run = std::move(island.run), elements = island.elements, inputs, outputs,
                   masked](const StepArgs& args) {
    if (masked.length == 0 || args.out<void>() != args.in<void>(masked.kept))
      return runRange(run, inputs, outputs, args, args.split(elements, cpu::kIslandTile), args.own);
    const bool* const mask = args.in<bool>(masked.mask);
    const Range rows = args.split(elements / masked.length);
    for (int64_t row = rows.begin, end; row < rows.end; row = end) {
      for (end = row + 1; end < rows.end && mask[end] == mask[row];) ++end;
      if (mask[row]) runRange(run, inputs, outputs, args, {row * masked.length, end * masked.length}, args.own);
    }
  };
  return result;
}

// Of rows that it computes from rows: images of floats.
RowRole rowRole(const Graph& graph, const Node& node) {
  for (int part = 0; part < node.parts; ++part) {
    const ValueType& type = graph.type(node.first + ValueId(part));
    if (type.dtype != DType::f32 || type.shape.size() != 4) return RowRole::none;
    for (int axis : {1, 2, 3}) {
      if (type.shape[axis].perBatch) return RowRole::none;
    }
  }
  return RowRole::rows;
}

RowStage lowerRows(const LowerContext& c) {
  const Dims& dims = c.out[0].dims;
  LoweredIsland island = lowerIsland(islandAttr(c.attrs()), dims, c.in, c.kernels);
  const int inputs = int(c.in.size()), outputs = int(c.out.size());
  RowStage stage;
  stage.rowSize = dims[2] * dims[3];
  stage.ownBytes = island.scratch;
  stage.cost = island.cost;
  stage.run = [=, run = std::move(island.run), size = stage.rowSize](const StepArgs& args, const void*, Range rows,
                                                                     std::byte* own) {
    runRange(run, inputs, outputs, args, {rows.begin * size, rows.end * size}, own);
  };
  return stage;
}

const OpDef table[] = {{.name = "island",
                        .minInputs = 0,
                        .maxInputs = cpu::kIslandInputs,
                        .infer = inferIsland,
                        .lower = lowerIslandNode,
                        .lowerRows = lowerRows,
                        .rowRole = rowRole,
                        .rowInputs = cpu::kIslandInputs,
                        .inPlaceParts = cpu::kIslandOutputs}};

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
