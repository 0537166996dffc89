#include "passes/passes.h"
#include "passes/rewrite.h"

namespace chainrule {
namespace {

// What a variable holds as bfloat16 and is cast to float32 to be computed with, or kNone. Values that were rounded in
// the same program are cheaper where they are, in float32.
ValueId storedBefore(const Graph& graph, ValueId value) {
  const Node& node = graph.nodeOf(value);
  if (node.op->name != "cast" || graph.type(value).dtype != DType::f32) return kNone;
  const bool stored =
      graph.type(node.inputs[0]).dtype == DType::bf16 && graph.nodeOf(node.inputs[0]).op->name == "variable";
  return stored ? node.inputs[0] : kNone;
}

}  // namespace

Graph widenInPlace(const Graph& graph) {
  std::vector<int> uses = useCounts(graph);
  std::vector<std::vector<ValueId>> inputs;
  for (const Node& node : graph.nodes) {
    inputs.push_back(node.inputs);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId stored = storedBefore(graph, node.inputs[i]);
      if (stored == kNone || !node.op->widens || !node.op->widens(graph, node, int(i))) continue;
      --uses[node.inputs[i]];
      inputs.back()[i] = stored;
    }
  }
  Rewrite rewrite(graph);
  for (NodeId id = 0; id < graph.nodes.size(); ++id) {
    const Node& node = graph.nodes[id];
    if (storedBefore(graph, node.first) != kNone && uses[node.first] == 0) continue;  // nobody needs it widened
    for (ValueId& input : inputs[id]) input = rewrite.mapped(input);
    rewrite.copyWith(id, std::move(inputs[id]), node.attrs);
  }
  return rewrite.finish();
}

}  // namespace chainrule
