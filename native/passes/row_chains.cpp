#include <memory>

#include "ops/window.h"
#include "passes/passes.h"
#include "passes/rewrite.h"
#include "plan/row_chain.h"

namespace chainrule {
namespace {

class Chaining {
 public:
  explicit Chaining(const Graph& graph) : graph_(graph), uses_(useCounts(graph)) {}

  Graph apply() {
    std::vector<std::vector<NodeId>> chains(graph_.nodes.size());  // that end there
    std::vector<bool> absorbed(graph_.nodes.size(), false);
    for (NodeId id = 0; id < graph_.nodes.size(); ++id) {
      chains[id] = {id};
      const Node& node = graph_.nodes[id];
      if (!node.op->window) continue;
      const NodeId producer = graph_.values[node.inputs[0]].node;
      if (!follows(producer, id) || chains[producer].size() == RowChain::kLongest) continue;
      if (slides(id) && hasSlider(chains[producer])) continue;
      absorbed[producer] = true;
      chains[id] = chains[producer];
      chains[id].push_back(id);
    }
    Rewrite rewrite(graph_);
    for (NodeId id = 0; id < graph_.nodes.size(); ++id) {
      if (absorbed[id]) continue;
      if (chains[id].size() == 1)
        rewrite.copy(id);
      else
        join(rewrite, chains[id]);
    }
    return rewrite.finish();
  }

 private:
  ops::Window windowOf(NodeId id) const {
    const Node& node = graph_.nodes[id];
    std::vector<ValueType> types;
    for (ValueId input : node.inputs) types.push_back(graph_.type(input));
    return node.op->window({graph_, node.op->name, types, node.attrs});
  }
  bool channelwise(NodeId id) const { return graph_.nodes[id].op->channelwise(graph_, graph_.nodes[id]); }
  bool slides(NodeId id) const { return windowOf(id).reach(0) > 1; }

  // A block then takes rows before and behind it along; with two such stages that would add up.
  bool hasSlider(const std::vector<NodeId>& chain) const {
    for (size_t i = 1; i < chain.size(); ++i) {
      if (slides(chain[i])) return true;
    }
    return false;
  }

  // Whether only `id` reads the result of `producer`, and one of the two does so little with it that moving it counts.
  bool follows(NodeId producer, NodeId id) const {
    const Node& first = graph_.nodes[producer];
    if (!first.op->window || first.parts != 1 || uses_[first.first] != 1) return false;
    return channelwise(id) || (channelwise(producer) && !slides(id));
  }

  void join(Rewrite& rewrite, const std::vector<NodeId>& chain) const {
    auto code = std::make_shared<RowChain>();
    std::vector<ValueId> inputs{rewrite.mapped(graph_.nodes[chain[0]].inputs[0])};
    for (NodeId id : chain) {
      const Node& node = graph_.nodes[id];
      code->stages.push_back({node.op, node.attrs, int(node.inputs.size()) - 1});
      for (size_t i = 1; i < node.inputs.size(); ++i) inputs.push_back(rewrite.mapped(node.inputs[i]));
    }
    Attrs attrs;
    attrs.extra = code;
    const Node& end = graph_.nodes[chain.back()];
    const NodeId made = rewrite.graph().addNode(*findOp("rowChain"), inputs, attrs, graph_.nodes[chain[0]].origin);
    for (int part = 0; part < end.parts; ++part)
      rewrite.map(end.first + ValueId(part), rewrite.graph().nodes[made].first + ValueId(part));
  }

  const Graph& graph_;
  const std::vector<int> uses_;
};

}  // namespace

// Convolutions and pools that read each other's results become one op, which runs them block by block.
Graph chainRows(const Graph& graph) { return Chaining(graph).apply(); }

}  // namespace chainrule
