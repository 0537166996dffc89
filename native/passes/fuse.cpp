#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "ops/island.h"
#include "passes/clusters.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace chainrule {
namespace {

std::optional<uint32_t> scalarBits(const Graph& graph, ValueId value) {
  const Node& node = graph.nodeOf(value);
  if (node.op->name != "constant" || !graph.type(value).shape.empty()) return std::nullopt;
  const Constant& constant = graph.constants[size_t(node.attrs.integer("index", 0))];
  uint32_t bits = 0;
  std::memcpy(&bits, constant.data.data(), constant.data.size());
  return bits;
}

// What a cluster reads for a value from outside: behind a product of bfloat16, such a number before it is widened.
ValueId storedValue(const Graph& graph, const std::vector<NodeId>& cluster, ValueId value) {
  const Node& node = graph.nodeOf(value);
  if (node.op->name != "cast" || graph.type(value).dtype != DType::f32) return value;
  const bool behindHalves = std::any_of(cluster.begin(), cluster.end(), [&](NodeId id) {
    return !graph.nodes[id].op->elementwise && graph.nodes[id].attrs.integer(kHalves, 0);
  });
  return behindHalves && graph.type(node.inputs[0]).dtype == DType::bf16 ? node.inputs[0] : value;
}

// The program of a cluster. `head`, if there is one, is the op whose result comes first among the inputs.
class Builder {
 public:
  Builder(const Graph& graph, const std::vector<NodeId>& nodes, const std::vector<bool>& leaves) : graph_(graph) {
    code_ = std::make_shared<IslandCode>();
    for (NodeId id : nodes) {
      if (!graph.nodes[id].op->elementwise) head = graph.nodes[id].first;
    }
    if (head != kNone) input(head, head);
    for (NodeId id : nodes) {
      if (!graph.nodes[id].op->elementwise) continue;
      for (ValueId value : graph.nodes[id].inputs) {
        if (!std::binary_search(nodes.begin(), nodes.end(), graph.values[value].node))
          input(value, storedValue(graph, nodes, value));
      }
    }
    for (NodeId id : nodes) {
      if (graph.nodes[id].op->elementwise) instruction(graph.nodes[id]);
    }
    for (NodeId id : nodes) {
      const Node& node = graph.nodes[id];
      code_->space = graph.type(node.first).shape;
      if (!leaves[node.first] || !node.op->elementwise) continue;
      code_->outputs.push_back({number(node.first), graph.type(node.first).dtype});
      results.push_back(node.first);
    }
  }

  ValueId head = kNone;
  std::vector<ValueId> inputs;   // bound ones, in the program's order
  std::vector<ValueId> results;  // values that leave the island, in the order of its outputs
  std::shared_ptr<IslandCode> code() const { return code_; }

 private:
  uint16_t number(ValueId value) const {
    for (const auto& [id, index] : numbers_) {
      if (id == value) return index;
    }
    fail("INTERNAL", "an island misses value ", value);
  }

  void input(ValueId value, ValueId source) {
    for (const auto& entry : numbers_) {
      if (entry.first == value) return;
    }
    const ValueType& type = graph_.type(source);
    const auto bits = scalarBits(graph_, source);
    numbers_.push_back({value, uint16_t(code_->inputs.size())});
    code_->inputs.push_back({type.dtype, type.shape, bits.has_value(), bits.value_or(0)});
    if (!bits) inputs.push_back(source);
  }

  void instruction(const Node& node) {
    std::vector<ValueType> types;
    for (ValueId value : node.inputs) types.push_back(graph_.type(value));
    const IslandCode one = ops::islandOf(node.op->name, types, graph_.type(node.first));
    const uint16_t inputCount = uint16_t(code_->inputs.size());
    if (one.instructions.empty()) {  // a cast between dtypes that share a lane
      numbers_.push_back({node.first, number(node.inputs[0])});
      return;
    }
    IslandCode::Instruction instruction = one.instructions[0];
    const auto operand = [&](uint16_t i) { return number(node.inputs[std::min<size_t>(i, node.inputs.size() - 1)]); };
    instruction.a = operand(instruction.a);
    instruction.b = operand(instruction.b);
    instruction.c = operand(instruction.c);
    numbers_.push_back({node.first, uint16_t(inputCount + code_->instructions.size())});
    code_->instructions.push_back(instruction);
  }

  const Graph& graph_;
  std::shared_ptr<IslandCode> code_;
  std::vector<std::pair<ValueId, uint16_t>> numbers_;
};

// Values that nodes of other clusters, outputs or updates use.
std::vector<bool> leavingValues(const Graph& graph, const Clusters& clusters) {
  std::vector<bool> leaves(graph.values.size(), false);
  for (ValueId value : graph.outputs) leaves[value] = true;
  for (const Commit& commit : graph.commits) leaves[commit.value] = true;
  for (NodeId id = 0; id < graph.nodes.size(); ++id) {
    for (ValueId input : graph.nodes[id].inputs) {
      if (clusters.of[graph.values[input].node] == clusters.of[id]) continue;
      const bool elementwise = graph.nodes[id].op->elementwise;
      leaves[elementwise ? storedValue(graph, clusters.nodes[size_t(clusters.of[id])], input) : input] = true;
    }
  }
  return leaves;
}

}  // namespace

Graph fuse(const Graph& graph) {
  const Clusters clusters = clusterElementwise(graph);
  const std::vector<bool> leaves = leavingValues(graph, clusters);
  Rewrite rewrite(graph);
  for (int cluster : clusters.order) {
    const std::vector<NodeId>& nodes = clusters.nodes[size_t(cluster)];
    if (nodes.size() == 1 && !graph.nodes[nodes[0]].op->elementwise) {
      rewrite.copy(nodes[0]);
      continue;
    }
    const Builder island(graph, nodes, leaves);
    if (island.results.empty()) continue;  // all who read it take what it widens
    std::vector<ValueId> inputs;
    const OpDef* op = findOp("island");
    Attrs attrs;
    size_t first = 0;
    Origin origin = graph.nodes[nodes.back()].origin;
    if (island.head != kNone) {  // the op's own inputs, then the island's without the op's result
      const Node& head = graph.nodeOf(island.head);
      op = head.op;
      attrs = head.attrs;
      if (graph.type(island.results[0]).dtype == DType::bf16) attrs.set(std::string(kHalfResult), int64_t(1));
      inputs = rewrite.mappedInputs(head);
      origin = head.origin;
      first = 1;
    }
    attrs.extra = island.code();
    for (size_t i = first; i < island.inputs.size(); ++i) inputs.push_back(rewrite.mapped(island.inputs[i]));
    const NodeId made = rewrite.graph().addNode(*op, inputs, std::move(attrs), origin);
    for (size_t i = 0; i < island.results.size(); ++i) {
      rewrite.map(island.results[i], rewrite.graph().nodes[made].first + ValueId(i));
    }
  }
  return rewrite.finish();
}

}  // namespace chainrule
