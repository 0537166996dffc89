#include <algorithm>
#include <map>

#include "ops/island.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace chainrule {
namespace {

// Elementwise values that are read again much later, as by gradients, are computed again from one tensor that is in
// memory anyway, or that takes less memory than several of them: reading that one is no dearer than reading them, and
// they need not be written.
class Recomputing {
 public:
  explicit Recomputing(const Graph& graph) : old_(graph), rewrite_(graph), users_(graph.values.size()) {
    kept_.assign(graph.values.size(), false);
    for (NodeId id = 0; id < graph.nodes.size(); ++id) {
      for (ValueId input : graph.nodes[id].inputs) users_[input].push_back(id);
    }
    for (ValueId value : graph.outputs) kept_[value] = true;
    for (const Commit& commit : graph.commits) kept_[commit.value] = true;
    for (NodeId id = 0; id < graph.nodes.size(); ++id) {
      int level = 0;
      for (ValueId input : graph.nodes[id].inputs) {
        const NodeId producer = graph.values[input].node;
        level = std::max(level, level_[producer] + !graph.nodes[producer].op->elementwise);
      }
      level_.push_back(level);
      source_.push_back(sourceOf(id));
    }
    for (NodeId id = NodeId(graph.nodes.size()); id-- > 0;) {  // elementwise nodes wait for their first user
      const ValueId value = graph.nodes[id].first;
      if (!graph.nodes[id].op->elementwise || kept_[value] || users_[value].empty() || read(value, false)) continue;
      level_[id] = firstLevel(value);
    }
    findMemory();
  }

  Graph apply() {
    for (NodeId id = 0; id < old_.nodes.size(); ++id) {
      const Node& node = old_.nodes[id];
      std::vector<ValueId> inputs;
      for (ValueId input : node.inputs) inputs.push_back(inputFor(id, input));
      rewrite_.copyWith(id, std::move(inputs), node.attrs);
    }
    return rewrite_.finish();
  }

 private:
  static constexpr int kLongest = 6;
  struct Source {
    ValueId tensor = kNone;  // the one of the value's own shape that it is computed from, perhaps the value itself
    int steps = 0;
    double cost = 0;
  };

  const Node& producer(ValueId value) const { return old_.nodeOf(value); }
  bool read(ValueId value, bool elementwise) const {
    return std::any_of(users_[value].begin(), users_[value].end(),
                       [&](NodeId user) { return old_.nodes[user].op->elementwise == elementwise; });
  }

  int firstLevel(ValueId value) const {
    int first = level_[users_[value][0]];
    for (NodeId user : users_[value]) first = std::min(first, level_[user]);
    return first;
  }

  Source sourceOf(NodeId id) const {
    const Node& node = old_.nodes[id];
    const Source itself{node.first};
    if (!node.op->elementwise) return itself;
    Source all{kNone, 1, ops::instructionCost(node.op->name)};
    for (ValueId input : node.inputs) {
      if (!(old_.type(input).shape == old_.type(node.first).shape)) continue;
      const NodeId from = old_.values[input].node;
      const Source source = old_.nodes[from].op->elementwise ? source_[from] : Source{input};
      if (all.tensor != kNone && all.tensor != source.tensor) return itself;
      all = {source.tensor, all.steps + source.steps, all.cost + source.cost};
    }
    return all.tensor == kNone || all.steps > kLongest || all.cost > ops::kMemoryCost ? itself : all;
  }

  // Whether elementwise nodes of later islands read the value, and nothing else but those of its own.
  bool readAgain(ValueId value) const {
    return !kept_[value] && !read(value, false) &&
           std::any_of(users_[value].begin(), users_[value].end(),
                       [&](NodeId user) { return level_[user] != firstLevel(value); });
  }

  void findMemory() {
    std::vector<int> derived(old_.values.size(), 0);  // values that would be read again
    for (NodeId id = 0; id < old_.nodes.size(); ++id) {
      const ValueId value = old_.nodes[id].first;
      if (source_[id].tensor != value && readAgain(value)) ++derived[source_[id].tensor];
    }
    for (ValueId value = 0; value < old_.values.size(); ++value) {
      const bool bound = producer(value).op->source || kept_[value] || read(value, false);
      memory_.push_back(bound || derived[value] > 1 || (!users_[value].empty() && readAgain(value)));
    }
  }

  bool isDerived(NodeId id) const { return source_[id].tensor != old_.nodes[id].first && memory_[source_[id].tensor]; }

  // Only values that would have to be in memory for elementwise users alone, and for those in later islands.
  ValueId inputFor(NodeId user, ValueId value) {
    const NodeId id = old_.values[value].node;
    const bool again = old_.nodes[user].op->elementwise && old_.nodes[id].op->elementwise && isDerived(id) &&
                       !kept_[value] && !read(value, false);
    if (!again) return rewrite_.mapped(value);
    return level_[user] == firstLevel(value) ? rewrite_.mapped(value) : copyFor(level_[user], value);
  }

  ValueId copyFor(int level, ValueId value) {
    const NodeId id = old_.values[value].node;
    if (!isDerived(id)) return rewrite_.mapped(value);  // that tensor, or a row
    const auto [entry, made] = copies_.try_emplace({level, value}, kNone);
    if (!made) return entry->second;
    const Node& node = old_.nodes[id];
    std::vector<ValueId> inputs;
    for (ValueId input : node.inputs)
      inputs.push_back(input == source_[id].tensor ? rewrite_.mapped(input) : copyFor(level, input));
    const NodeId copy = rewrite_.graph().addNode(*node.op, inputs, node.attrs, node.origin);
    return copies_[{level, value}] = rewrite_.graph().nodes[copy].first;
  }

  const Graph& old_;
  Rewrite rewrite_;
  std::vector<std::vector<NodeId>> users_;
  std::vector<bool> kept_;
  std::vector<int> level_;      // how many ops that are not elementwise lie before a node where it is computed
  std::vector<Source> source_;  // by node
  std::vector<bool> memory_;    // values that are worth reading again
  std::map<std::pair<int, ValueId>, ValueId> copies_;
};

}  // namespace

Graph recompute(const Graph& graph) { return Recomputing(graph).apply(); }

}  // namespace chainrule
