#include <string>

#include "ir/expr.h"

// Reverse mode, graph to graph: the gradients are ordinary nodes behind the forward ones, so they nest and fuse like
// them.

namespace chainrule {
namespace {

// Which values depend on one of `wrt` through differentiable ops.
std::vector<bool> reachableFrom(const Graph& graph, const std::vector<ValueId>& wrt) {
  std::vector<bool> reached(graph.values.size(), false);
  for (ValueId id : wrt) reached[id] = true;
  for (const Node& node : graph.nodes) {
    if (!node.op->differentiable) continue;
    bool any = false;
    for (ValueId input : node.inputs) any |= reached[input];
    if (!any) continue;
    for (int part = 0; part < node.parts; ++part) reached[node.first + ValueId(part)] = true;
  }
  return reached;
}

ValueId sum(Graph& graph, ValueId a, ValueId b) {
  if (a == kNone) return b;
  return b == kNone ? a : graph.addOne("add", {a, b});
}

// The traced gradient of a customGradient node with its placeholder replaced: copies what depends on the placeholder.
std::vector<ValueId> instantiate(Graph& graph, const Node custom, ValueId incoming) {
  const size_t arguments = (custom.inputs.size() - 2) / 2;
  const ValueId placeholder = custom.inputs[1];
  std::vector<ValueId> copy(custom.first, kNone);
  copy[placeholder] = incoming;
  for (NodeId id = graph.values[placeholder].node + 1; graph.nodes[id].first < custom.first; ++id) {
    const Node node = graph.nodes[id];
    std::vector<ValueId> inputs = node.inputs;
    bool depends = false;
    for (ValueId& input : inputs) {
      if (copy[input] == kNone) continue;
      depends = true;
      input = copy[input];
    }
    if (!depends) continue;
    const NodeId made = graph.addNode(*node.op, inputs, node.attrs,
                                      {node.origin.scope, graph.origin.segment, true, graph.origin.traced});
    for (int part = 0; part < node.parts; ++part) {
      copy[node.first + ValueId(part)] = graph.nodes[made].first + ValueId(part);
    }
  }
  std::vector<ValueId> result(custom.inputs.size(), kNone);
  for (size_t i = 0; i < arguments; ++i) {
    const ValueId traced = custom.inputs[2 + arguments + i];
    result[2 + i] = copy[traced] == kNone ? traced : copy[traced];
  }
  return result;
}

}  // namespace

std::vector<ValueId> gradients(Graph& graph, ValueId output, const std::vector<ValueId>& wrt, ValueId seed) {
  if (graph.type(output).dtype != DType::f32) {
    fail("DTYPE", "gradients need a float32 value, got ", graph.describeValue(output));
  }
  const std::vector<bool> reached = reachableFrom(graph, wrt);
  std::vector<ValueId> arrived(graph.values.size(), kNone);
  if (reached[output]) {
    const Expr one{&graph, seed == kNone ? graph.scalar(1) : seed};
    arrived[output] = broadcastTo(one, graph.type(output).shape).id;
  }
  for (NodeId id = graph.values[output].node + 1; id-- > 0;) {
    // A copy: adding nodes moves the vector.
    const Node node = graph.nodes[id];
    std::vector<ValueId> incoming(arrived.begin() + node.first, arrived.begin() + node.first + node.parts);
    bool needed = false;
    for (ValueId gradient : incoming) needed |= gradient != kNone;
    bool wanted = false;
    for (ValueId input : node.inputs) wanted |= reached[input];
    if (!needed || !wanted || !node.op->differentiable) continue;

    Origin outer = std::exchange(graph.origin, {node.origin.scope, node.origin.segment, true, node.origin.traced});
    std::vector<ValueId> out;
    if (node.op->name == "customGradient") {
      out = instantiate(graph, node, incoming[0]);
    } else {
      if (!node.op->gradient) {
        fail("NO_GRADIENT", std::string(node.op->name), " has no gradient",
             node.origin.scope.empty() ? "" : ", in layer \"" + node.origin.scope + "\"",
             ". Wrap its input in stopGradient if none should flow, or give one with customGradient.");
      }
      GradientContext context{graph, id, incoming};
      out = node.op->gradient(context);
    }
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId input = node.inputs[i];
      if (out[i] == kNone || !reached[input]) continue;
      const Expr shaped = unbroadcast({&graph, out[i]}, graph.type(input).shape);
      arrived[input] = sum(graph, arrived[input], shaped.id);
    }
    graph.origin = std::move(outer);
  }
  std::vector<ValueId> result;
  for (ValueId id : wrt) result.push_back(id < arrived.size() ? arrived[id] : kNone);
  return result;
}

}  // namespace chainrule
