#include "ir/graph.h"

namespace chainrule {

// Holds between all passes: ids in order, counts right, every part's type what the shape rule says.
void verify(const Graph& graph) {
  ValueId next = 0;
  for (NodeId id = 0; id < graph.nodes.size(); ++id) {
    const Node& node = graph.nodes[id];
    const std::string name = "node " + std::to_string(id) + " (" + std::string(node.op->name) + ")";
    if (node.first != next) fail("INTERNAL", name, ": parts are not numbered in order");
    std::vector<ValueType> types;
    for (ValueId input : node.inputs) {
      if (input >= node.first) fail("INTERNAL", name, ": input ", input, " comes later than its user");
      types.push_back(graph.type(input));
    }
    const auto parts = node.op->infer({graph, node.op->name, types, node.attrs});
    if (parts.size() != node.parts)
      fail("INTERNAL", name, ": ", node.parts, " parts, the shape rule says ", parts.size());
    for (int part = 0; part < node.parts; ++part) {
      const ValueInfo& info = graph.values[node.first + ValueId(part)];
      if (info.node != id || info.part != part) fail("INTERNAL", name, ": part ", part, " points elsewhere");
      if (!(info.type == parts[size_t(part)]))
        fail("INTERNAL", name, ": part ", part, " has another type than its rule says");
    }
    next += node.parts;
  }
  if (next != graph.values.size()) fail("INTERNAL", "values without a node");
  for (ValueId output : graph.outputs) {
    if (output >= next) fail("INTERNAL", "output ", output, " is not a value of the graph");
  }
  for (const Commit& commit : graph.commits) {
    if (commit.value >= next) fail("INTERNAL", "an update takes a value that is not in the graph");
  }
}

}  // namespace chainrule
