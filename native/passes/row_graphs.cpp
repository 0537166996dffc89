#include <algorithm>
#include <map>
#include <memory>

#include "ops/island.h"
#include "passes/passes.h"
#include "passes/rewrite.h"
#include "plan/row_graph.h"

namespace chainrule {
namespace {

// Around each convolution, or gradient of one, of a training step: sums over its result and over what its gradient of
// the filter reads, and islands between. An island that only such ops read is computed in each graph that needs it: it
// reads what gradients read anyway, and need not be in memory.
class Joining {
 public:
  explicit Joining(const Graph& graph)
      : graph_(graph),
        users_(graph.values.size()),
        kept_(graph.values.size(), false),
        place_(graph.nodes.size()),
        member_(graph.nodes.size(), -1),
        absorbed_(graph.nodes.size(), false) {
    for (NodeId id = 0; id < graph.nodes.size(); ++id) {
      place_[id] = {id, 0};
      for (ValueId input : graph.nodes[id].inputs) users_[input].push_back(id);
    }
    for (ValueId value : graph.outputs) kept_[value] = true;
    for (const Commit& commit : graph.commits) kept_[commit.value] = true;
  }

  Graph apply() {
    for (NodeId id = 0; id < graph_.nodes.size(); ++id) {
      if (member_[id] < 0 && role(id) == RowRole::rows && !isIsland(id)) gather(id);
    }
    absorbIslands();
    std::vector<NodeId> order;  // of all groups one node
    for (NodeId id = 0; id < graph_.nodes.size(); ++id) {
      if (!absorbed_[id] && (member_[id] < 0 || groups_[size_t(member_[id])].back() == id)) order.push_back(id);
    }
    std::stable_sort(order.begin(), order.end(), [&](NodeId a, NodeId b) { return place_[a] < place_[b]; });
    Rewrite rewrite(graph_);
    for (NodeId id : order) {
      if (member_[id] < 0)
        rewrite.copy(id);
      else
        join(rewrite, groups_[size_t(member_[id])]);
    }
    return rewrite.finish();
  }

 private:
  using Place = std::pair<NodeId, int>;  // behind a node; 0: that node itself

  RowRole role(NodeId id) const {
    const Node& node = graph_.nodes[id];
    return node.op->rowRole ? node.op->rowRole(graph_, node) : RowRole::none;
  }
  bool isIsland(NodeId id) const { return graph_.nodes[id].op->name == "island"; }
  size_t rowInputs(NodeId id) const {
    return std::min(size_t(graph_.nodes[id].op->rowInputs), graph_.nodes[id].inputs.size());
  }
  // Whether the node reads the value row by row, and nowhere else.
  bool readsRows(NodeId id, ValueId value) const {
    const Node& node = graph_.nodes[id];
    bool found = false;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] != value) continue;
      const bool same = !isIsland(id) || graph_.type(value).shape == graph_.type(node.first).shape;
      if (i >= rowInputs(id) || !same) return false;
      found = true;
    }
    return found;
  }

  static bool has(const std::vector<NodeId>& nodes, NodeId id) {
    return std::find(nodes.begin(), nodes.end(), id) != nodes.end();
  }
  // Behind all that these nodes read of others.
  Place placeOf(const std::vector<NodeId>& nodes) const {
    Place last;
    for (NodeId id : nodes) {
      for (ValueId input : graph_.nodes[id].inputs) {
        const NodeId producer = graph_.values[input].node;
        if (!has(nodes, producer)) last = std::max(last, place_[producer]);
      }
    }
    return {last.first, last.second + 1};
  }
  // Whether all that others read of these nodes is read behind that, and what they read of each other is there: sums
  // are made when all rows are, and of rows that leave the graph a block has its own, not those under a window.
  bool fits(const std::vector<NodeId>& nodes) const {
    const Place place = placeOf(nodes);
    for (NodeId id : nodes) {
      const Node& node = graph_.nodes[id];
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        const NodeId producer = graph_.values[node.inputs[i]].node;
        if (!has(nodes, producer)) continue;
        const bool underWindow = role(id) == RowRole::sums && i + 1 < rowInputs(id);
        if (role(producer) == RowRole::sums || underWindow) return false;
      }
      for (ValueId part = node.first; part < node.first + node.parts; ++part) {
        for (NodeId user : users_[part]) {
          if (!has(nodes, user) && place_[user] <= place) return false;
        }
      }
    }
    return nodes.size() <= RowGraph::kStages / 2;  // islands are to come
  }
  bool add(std::vector<NodeId>& nodes, std::vector<NodeId> more) const {
    for (NodeId id : more) {
      if (member_[id] >= 0) return false;
    }
    more.insert(more.end(), nodes.begin(), nodes.end());
    std::sort(more.begin(), more.end());
    if (!fits(more)) return false;
    nodes = std::move(more);
    return true;
  }
  // Those of the value's rows themselves, not of windows over them.
  std::vector<NodeId> sumsOf(ValueId value) const {
    std::vector<NodeId> sums;
    for (NodeId user : users_[value]) {
      if (role(user) != RowRole::sums || !readsRows(user, value)) continue;
      const std::vector<ValueId>& inputs = graph_.nodes[user].inputs;
      if (std::find(inputs.begin(), inputs.end(), value) - inputs.begin() == ptrdiff_t(rowInputs(user)) - 1)
        sums.push_back(user);
    }
    return sums;
  }

  void gather(NodeId head) {
    const ValueId result = graph_.nodes[head].first;
    std::vector<NodeId> nodes{head};
    bool sums = false;
    for (NodeId sum : sumsOf(graph_.nodes[head].inputs[0])) sums |= add(nodes, {sum});
    for (NodeId sum : sumsOf(result)) sums |= add(nodes, {sum});
    if (users_[result].size() == 1 && !kept_[result]) {
      const NodeId island = users_[result][0];
      const Node& node = graph_.nodes[island];
      if (isIsland(island) && role(island) == RowRole::rows && readsRows(island, result)) {
        std::vector<NodeId> more{island};
        for (ValueId part = node.first; part < node.first + node.parts; ++part) {
          for (NodeId sum : sumsOf(part)) more.push_back(sum);
        }
        if (more.size() > 1) sums |= add(nodes, more);
      }
    }
    if (!sums) return;
    const Place place = placeOf(nodes);
    for (NodeId id : nodes) {
      member_[id] = int(groups_.size());
      place_[id] = place;
    }
    groups_.push_back(std::move(nodes));
  }

  // Whether computing an island more than once takes less time than writing and reading its result, and no more memory.
  bool isCheap(const Node& island) const {
    const IslandCode& code = islandAttr(island.attrs);
    double cost = 0;
    for (const IslandCode::Instruction& instruction : code.instructions) cost += ops::instructionCost(instruction.name);
    const auto whole = [&](ValueId input) { return graph_.type(input).shape == code.space; };
    return cost <= ops::kMemoryCost && std::count_if(island.inputs.begin(), island.inputs.end(), whole) <= 1;
  }

  // Islands whose result none but nodes of graphs read, row by row.
  void absorbIslands() {
    for (NodeId id = 0; id < graph_.nodes.size(); ++id) {
      const Node& node = graph_.nodes[id];
      if (!isIsland(id) || member_[id] >= 0 || node.parts != 1 || kept_[node.first] || role(id) != RowRole::rows)
        continue;
      const std::vector<NodeId>& users = users_[node.first];
      absorbed_[id] = !users.empty() && std::all_of(users.begin(), users.end(), [&](NodeId user) {
        return member_[user] >= 0 && readsRows(user, node.first) &&
               groups_[size_t(member_[user])].size() < RowGraph::kStages &&
               (member_[user] == member_[users[0]] || isCheap(node));
      });
      if (!absorbed_[id]) continue;
      for (NodeId user : users) {
        std::vector<NodeId>& nodes = groups_[size_t(member_[user])];
        if (!has(nodes, id)) nodes.insert(std::lower_bound(nodes.begin(), nodes.end(), id), id);
      }
    }
  }

  void join(Rewrite& rewrite, const std::vector<NodeId>& nodes) const {
    auto code = std::make_shared<RowGraph>();
    std::vector<ValueId> inputs, results;
    std::map<ValueId, RowGraph::Operand> made;
    for (NodeId id : nodes) {
      const Node& node = graph_.nodes[id];
      RowGraph::Stage stage{node.op, node.attrs, {}};
      for (ValueId value : node.inputs) {
        const auto inside = made.find(value);
        if (inside != made.end()) {
          stage.inputs.push_back(inside->second);
          continue;
        }
        const ValueId outside = rewrite.mapped(value);
        const auto at = std::find(inputs.begin(), inputs.end(), outside);
        stage.inputs.push_back({-1, size_t(at - inputs.begin())});
        if (at == inputs.end()) inputs.push_back(outside);
      }
      for (int part = 0; part < node.parts; ++part) {
        const ValueId value = node.first + ValueId(part);
        const RowGraph::Operand operand{int(code->stages.size()), size_t(part)};
        made[value] = operand;
        const bool read = kept_[value] || std::any_of(users_[value].begin(), users_[value].end(),
                                                      [&](NodeId user) { return !has(nodes, user); });
        if (!read || absorbed_[id]) continue;
        code->results.push_back(operand);
        results.push_back(value);
      }
      code->stages.push_back(std::move(stage));
    }
    Attrs attrs;
    attrs.extra = code;
    const NodeId graph = rewrite.graph().addNode(*findOp("rowGraph"), inputs, attrs, graph_.nodes[nodes.back()].origin);
    for (size_t i = 0; i < results.size(); ++i)
      rewrite.map(results[i], rewrite.graph().nodes[graph].first + ValueId(i));
  }

  const Graph& graph_;
  std::vector<std::vector<NodeId>> users_;  // by value
  std::vector<bool> kept_;                  // outputs and updates
  std::vector<Place> place_;                // by node: in the new order
  std::vector<int> member_;                 // by node: of which group, -1: none
  std::vector<bool> absorbed_;              // by node: an island inside its users' graphs
  std::vector<std::vector<NodeId>> groups_;
};

}  // namespace

// Convolutions of a training step become one op with the islands and sums beside them, which runs block by block.
Graph joinRows(const Graph& graph) { return Joining(graph).apply(); }

}  // namespace chainrule
