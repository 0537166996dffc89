#include "passes/rewrite.h"

namespace chainrule {

Rewrite::Rewrite(const Graph& old) : old_(old), map_(old.values.size(), kNone) {
  made_.inputTypes = old.inputTypes;
  made_.inputNames = old.inputNames;
  made_.inputs.assign(old.inputs.size(), kNone);
  made_.constants = old.constants;
  made_.variables = old.variables;
  made_.groups = old.groups;
  for (VariableInfo& variable : made_.variables) variable.initial = variable.current = kNone;
}

std::vector<ValueId> Rewrite::mappedInputs(const Node& node) const {
  std::vector<ValueId> inputs;
  for (ValueId input : node.inputs) inputs.push_back(map_[input]);
  return inputs;
}

void Rewrite::copy(NodeId id) { copyWith(id, mappedInputs(old_.nodes[id]), old_.nodes[id].attrs); }

void Rewrite::copyWith(NodeId id, std::vector<ValueId> inputs, Attrs attrs) {
  const Node& node = old_.nodes[id];
  const NodeId made = made_.addNode(*node.op, std::move(inputs), std::move(attrs), node.origin);
  const ValueId first = made_.nodes[made].first;
  for (int part = 0; part < node.parts; ++part) map_[node.first + ValueId(part)] = first + ValueId(part);
  if (node.op->name == "input") made_.inputs[size_t(node.attrs.integer("index", 0))] = first;
  if (node.op->name == "variable") {
    VariableInfo& variable = made_.variables[size_t(node.attrs.integer("index", 0))];
    variable.initial = variable.current = first;
  }
}

Graph Rewrite::finish() {
  for (ValueId output : old_.outputs) made_.outputs.push_back(map_[output]);
  for (const Commit& commit : old_.commits) made_.commits.push_back({commit.group, commit.target, map_[commit.value]});
  return std::move(made_);
}

std::vector<bool> liveNodes(const Graph& graph) {
  std::vector<bool> live(graph.nodes.size(), false);
  const auto mark = [&](ValueId value) { live[graph.values[value].node] = true; };
  for (ValueId value : graph.outputs) mark(value);
  for (ValueId value : graph.inputs) mark(value);
  for (const Commit& commit : graph.commits) mark(commit.value);
  for (NodeId id = NodeId(graph.nodes.size()); id-- > 0;) {
    if (!live[id]) continue;
    for (ValueId input : graph.nodes[id].inputs) mark(input);
  }
  return live;
}

std::vector<bool> fixedNodes(const Graph& graph) {
  std::vector<bool> changed(graph.variables.size(), false);
  const auto members = [&](int64_t group) -> const std::vector<int>& { return graph.groups[size_t(group)].variables; };
  for (const Commit& commit : graph.commits) {
    if (!commit.group) changed[size_t(commit.target)] = true;
    if (commit.group) {
      for (int variable : members(commit.target)) changed[size_t(variable)] = true;
    }
  }
  std::vector<bool> fixed(graph.nodes.size(), false);
  for (NodeId id = 0; id < graph.nodes.size(); ++id) {
    const Node& node = graph.nodes[id];
    if (node.op->name == "input" || node.op->name == "placeholder") continue;
    bool all = true;
    if (node.op->name == "variable") all = !changed[size_t(node.attrs.integer("index", 0))];
    if (node.op->name == "group") {
      for (int variable : members(node.attrs.integer("group", 0))) all &= !changed[size_t(variable)];
    }
    // A widened copy of a variable that is kept would take the memory that storing bfloat16 has saved.
    const bool computes = node.op->elementwise || node.attrs.extra;
    for (ValueId input : node.inputs) {
      const bool widens = computes && graph.type(input).dtype == DType::bf16 && graph.nodeOf(input).op->source;
      all &= fixed[graph.values[input].node] && !widens;
    }
    fixed[id] = all;
  }
  return fixed;
}

std::vector<int> useCounts(const Graph& graph) {
  std::vector<int> uses(graph.values.size(), 0);
  for (const Node& node : graph.nodes) {
    for (ValueId input : node.inputs) ++uses[input];
  }
  for (ValueId value : graph.outputs) ++uses[value];
  for (const Commit& commit : graph.commits) ++uses[commit.value];
  return uses;
}

bool addsOnes(const Graph& graph, const Node& reshape) {
  return addsOnes(graph.type(reshape.inputs[0]).shape, graph.type(reshape.first).shape);
}

bool addsOnes(const Shape& from, const Shape& to) {
  const int added = to.size() - from.size();
  for (int axis = 0; axis < to.size(); ++axis) {
    if (added < 0 || !(to[axis] == (axis < added ? Dim(1) : from[axis - added]))) return false;
  }
  return true;
}

ValueId meanOfDeviations(const Graph& graph, const Node& apart, const std::vector<int64_t>& axes) {
  if (apart.op->name != "sub") return kNone;
  const ValueId x = apart.inputs[0];
  ValueId mean = apart.inputs[1];
  while (graph.nodeOf(mean).op->name == "reshape" && addsOnes(graph, graph.nodeOf(mean)))
    mean = graph.nodeOf(mean).inputs[0];
  const Node& node = graph.nodeOf(mean);
  const bool same = node.op->name == "reduceMean" && node.inputs[0] == x && node.attrs.integers("axes") == axes &&
                    graph.type(apart.first).shape == graph.type(x).shape;
  return same ? mean : kNone;
}

}  // namespace chainrule
