#include <numeric>

#include "ir/expr.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace chainrule {
namespace {

bool takesPanel(const Graph& graph, const Node& node, size_t input) {
  return node.op->panelInput == int(input) && node.op->takesPanel(graph, node);
}

// Groups whose flat values meet in an elementwise op (parameters, gradients, optimizer slots) must lie alike in memory.
std::vector<int> alikeGroups(const Graph& graph) {
  std::vector<int> root(graph.groups.size());
  std::iota(root.begin(), root.end(), 0);
  const auto find = [&](int group) {
    while (root[size_t(group)] != group) group = root[size_t(group)];
    return group;
  };
  std::vector<int> groupOf(graph.values.size(), -1);
  for (const Node& node : graph.nodes) {
    if (node.attrs.has("group") && node.op->name != "groupSlice") {
      groupOf[node.first] = int(node.attrs.integer("group", 0));
    }
    if (!node.op->elementwise) continue;
    for (ValueId input : node.inputs) {
      if (groupOf[input] < 0) continue;
      if (groupOf[node.first] >= 0) root[size_t(find(groupOf[input]))] = find(groupOf[node.first]);
      groupOf[node.first] = groupOf[input];
    }
  }
  for (const Commit& commit : graph.commits) {
    if (commit.group && groupOf[commit.value] >= 0) root[size_t(find(commit.target))] = find(groupOf[commit.value]);
  }
  for (int& group : root) group = find(group);
  return root;
}

// A weight becomes panel16 when some op wants it so and none needs its rows; its optimizer slots follow.
void decide(const Graph& graph, std::vector<VariableInfo>& variables) {
  // Only now: until all members of groups that meet are decided, their flat sizes would differ.
  for (VariableInfo& variable : variables) {
    if (variable.layoutFixed) variable.type.layout = variable.fixedLayout;
  }
  std::vector<bool> used(graph.variables.size(), false);
  for (const Node& node : graph.nodes) {
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const Node& producer = graph.nodeOf(node.inputs[i]);
      if (producer.op->name != "variable") continue;
      const size_t index = size_t(producer.attrs.integer("index", 0));
      VariableInfo& variable = variables[index];
      used[index] = true;
      if (graph.variables[index].layoutFixed || variable.type.shape.size() < 2) continue;
      if (node.op->needsRows && i == 0) {
        variable.layoutFixed = true;
        variable.type.layout = Layout::rowMajor;
      } else if (!variable.layoutFixed && takesPanel(graph, node, i)) {
        variable.type.layout = Layout::panel16;
      }
    }
  }
  const std::vector<int> root = alikeGroups(graph);
  for (size_t a = 0; a < graph.groups.size(); ++a) {
    for (size_t b = 0; b < graph.groups.size(); ++b) {
      if (root[a] != root[b] || graph.groups[a].variables.size() != graph.groups[b].variables.size()) continue;
      for (size_t i = 0; i < graph.groups[a].variables.size(); ++i) {
        VariableInfo& one = variables[size_t(graph.groups[a].variables[i])];
        VariableInfo& other = variables[size_t(graph.groups[b].variables[i])];
        used[size_t(graph.groups[a].variables[i])] = true;
        if (one.type.layout == Layout::panel16 && !other.layoutFixed) other.type.layout = Layout::panel16;
        if (one.layoutFixed && !other.layoutFixed) other.type.layout = one.type.layout;
      }
    }
  }
  // A variable that is only written keeps the choice open for the program that reads it.
  for (size_t i = 0; i < variables.size(); ++i) variables[i].layoutFixed |= used[i];
}

}  // namespace

Graph chooseLayouts(const Graph& graph) {
  Rewrite rewrite(graph);
  Graph& made = rewrite.graph();
  decide(graph, made.variables);
  const std::vector<int> uses = useCounts(graph);
  const std::vector<bool> fixed = fixedNodes(graph);
  // Weights that were computed of others (rounded to bfloat16), once: then they may as well be packed.
  const auto packsOnce = [&](const Node& node, size_t input) {
    const NodeId producer = graph.values[node.inputs[input]].node;
    return fixed[producer] && !fixed[graph.values[node.first].node] && graph.nodes[producer].op->elementwise &&
           graph.type(node.inputs[input]).dtype == DType::f32 && takesPanel(graph, node, input);
  };

  // The one pack that a weight gradient goes into tells its producer the layout to write.
  const auto writesPanel = [&](ValueId value) {
    const Node& producer = graph.nodeOf(value);
    return producer.op->panelOutput && producer.op->panelOutput(graph, producer);
  };
  std::vector<bool> toPanel(graph.nodes.size(), false);
  for (const Node& node : graph.nodes) {
    if (node.op->name != "pack") continue;
    const auto& members = made.groups[size_t(node.attrs.integer("group", 0))].variables;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId value = node.inputs[i];
      const bool panel = made.variables[size_t(members[i])].type.layout == Layout::panel16;
      if (panel && uses[value] == 1 && writesPanel(value)) toPanel[graph.values[value].node] = true;
    }
  }

  for (NodeId id = 0; id < graph.nodes.size(); ++id) {
    const Node& node = graph.nodes[id];
    std::vector<ValueId> inputs = rewrite.mappedInputs(node);
    for (size_t i = 0; i < inputs.size(); ++i) {
      const bool accepted = node.op->inputOffset || takesPanel(graph, node, i);  // a pack converts by itself
      if (made.type(inputs[i]).layout == Layout::panel16 && !accepted) {
        inputs[i] = made.addOne("unpackPanels", {inputs[i]});
      } else if (packsOnce(node, i)) {
        inputs[i] = made.addOne("packPanels", {inputs[i]});
      }
    }
    Attrs attrs = node.attrs;
    if (toPanel[id]) attrs.set("outPanel", int64_t(1));
    rewrite.copyWith(id, std::move(inputs), std::move(attrs));
  }
  Graph result = rewrite.finish();
  for (Commit& commit : result.commits) {
    if (commit.group) continue;
    const Layout want = result.variables[size_t(commit.target)].type.layout;
    if (want == result.type(commit.value).layout) continue;
    commit.value = result.addOne(want == Layout::panel16 ? "packPanels" : "unpackPanels", {commit.value});
  }
  for (ValueId& output : result.outputs) {
    if (result.type(output).layout == Layout::panel16) output = result.addOne("unpackPanels", {output});
  }
  return result;
}

}  // namespace chainrule
