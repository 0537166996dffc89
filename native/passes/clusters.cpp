#include "passes/clusters.h"

#include <algorithm>
#include <queue>

#include "passes/rewrite.h"

namespace chainrule {
namespace {

// Bounds of the interpreter (cpu/island.h), with room for what the lowering adds.
constexpr int kMaxInstructions = 120, kMaxInputs = 16, kMaxConstants = 20, kMaxOutputs = 14;

class Bits {
 public:
  void set(int bit) {
    if (size_t(bit) / 64 >= words_.size()) words_.resize(size_t(bit) / 64 + 1);
    words_[size_t(bit) / 64] |= uint64_t(1) << (bit % 64);
  }
  bool has(int bit) const { return size_t(bit) / 64 < words_.size() && (words_[size_t(bit) / 64] >> (bit % 64) & 1); }
  // Returns whether anything was new.
  bool add(const Bits& other) {
    if (other.words_.size() > words_.size()) words_.resize(other.words_.size());
    bool grew = false;
    for (size_t i = 0; i < other.words_.size(); ++i) {
      grew |= (other.words_[i] & ~words_[i]) != 0;
      words_[i] |= other.words_[i];
    }
    return grew;
  }

 private:
  std::vector<uint64_t> words_;
};

bool isScalarConstant(const Graph& graph, ValueId value) {
  return graph.nodeOf(value).op->name == "constant" && graph.type(value).shape.empty();
}

// Walks from the last node to the first and sinks each elementwise node into its users' island, so that nothing is
// computed before it is needed. `below[n]`: islands reachable from node n; a node may join an island only if no path
// leaves the island and comes back.
class Clustering {
 public:
  explicit Clustering(const Graph& graph)
      : graph_(graph),
        users_(graph.nodes.size()),
        kept_(graph.values.size(), false),
        island_(graph.nodes.size(), -1),
        below_(graph.nodes.size()) {
    for (NodeId id = 0; id < graph.nodes.size(); ++id) {
      for (ValueId input : graph.nodes[id].inputs) users_[graph.values[input].node].push_back(id);
    }
    for (ValueId value : graph.outputs) kept_[value] = true;
    for (const Commit& commit : graph.commits) kept_[commit.value] = true;
  }

  void run() {
    for (NodeId id = NodeId(graph_.nodes.size()); id-- > 0;) place(id);
    attachProducers();
  }

  const std::vector<int>& island() const { return island_; }
  const std::vector<std::vector<NodeId>>& members() const { return members_; }

 private:
  const Shape& space(NodeId id) const { return graph_.type(graph_.nodes[id].first).shape; }

  void place(NodeId id) {
    for (NodeId user : users_[id]) {
      below_[id].add(below_[user]);
      if (island_[user] >= 0) {
        below_[id].set(island_[user]);
        below_[id].add(belowIsland_[size_t(island_[user])]);
      }
    }
    const Node& node = graph_.nodes[id];
    if (!node.op->elementwise) return;
    std::vector<int> candidates;
    for (NodeId user : users_[id]) {
      const int island = island_[user];
      if (island < 0 || !(space(members_[size_t(island)][0]) == space(id))) continue;
      if (std::find(candidates.begin(), candidates.end(), island) == candidates.end()) candidates.push_back(island);
    }
    for (size_t i = 1; i < candidates.size(); ++i) {
      if (canMerge(candidates[0], candidates[i], id)) merge(candidates[i], candidates[0]);
    }
    for (int candidate : candidates) {
      if (members_[size_t(candidate)].empty() || !canJoin(id, candidate)) continue;
      join(id, candidate);
      return;
    }
    island_[id] = int(members_.size());
    members_.push_back({id});
    belowIsland_.push_back(below_[id]);
  }

  bool canJoin(NodeId id, int island) const {
    for (NodeId user : users_[id]) {
      if (island_[user] == island) continue;
      if (below_[user].has(island)) return false;
      if (island_[user] >= 0 && belowIsland_[size_t(island_[user])].has(island)) return false;
    }
    std::vector<NodeId> nodes = members_[size_t(island)];
    nodes.push_back(id);
    return fits(nodes, island, island, id);
  }

  // Islands that both read a node's value, and neither the other's: as one they compute it in passing. What a gradient
  // computes again must not be computed, and kept, beside what it was copied from.
  bool canMerge(int a, int b, NodeId id) const {
    if (isGradient(a) != isGradient(b)) return false;
    if (belowIsland_[size_t(a)].has(b) || belowIsland_[size_t(b)].has(a)) return false;
    std::vector<NodeId> nodes = members_[size_t(a)];
    nodes.insert(nodes.end(), members_[size_t(b)].begin(), members_[size_t(b)].end());
    nodes.push_back(id);
    return fits(nodes, a, b, id);
  }

  bool isGradient(int island) const { return graph_.nodes[members_[size_t(island)][0]].origin.gradient; }

  void merge(int from, int to) {
    for (NodeId id : members_[size_t(from)]) island_[id] = to;
    members_[size_t(to)].insert(members_[size_t(to)].end(), members_[size_t(from)].begin(),
                                members_[size_t(from)].end());
    members_[size_t(from)].clear();
    belowIsland_[size_t(to)].add(belowIsland_[size_t(from)]);
    const auto renew = [&](Bits& below) {
      if (below.has(from)) below.set(to);
      if (below.has(to)) below.add(belowIsland_[size_t(to)]);
    };
    for (Bits& below : below_) renew(below);
    for (Bits& below : belowIsland_) renew(below);
  }

  bool fits(const std::vector<NodeId>& nodes, int a, int b, NodeId extra) const {
    const auto inside = [&](NodeId id) { return island_[id] == a || island_[id] == b || id == extra; };
    std::vector<ValueId> inputs, constants;
    int outputs = 0;
    for (NodeId id : nodes) {
      for (ValueId input : graph_.nodes[id].inputs) {
        if (inside(graph_.values[input].node)) continue;
        auto& list = isScalarConstant(graph_, input) ? constants : inputs;
        if (std::find(list.begin(), list.end(), input) == list.end()) list.push_back(input);
      }
      bool open = kept_[graph_.nodes[id].first];
      for (NodeId user : users_[id]) open |= !inside(user);
      outputs += open;
    }
    return int(nodes.size()) <= kMaxInstructions && int(inputs.size()) <= kMaxInputs &&
           int(constants.size()) <= kMaxConstants && outputs <= kMaxOutputs;
  }

  void join(NodeId id, int island) {
    island_[id] = island;
    members_[size_t(island)].push_back(id);
    // What lies below the new member lies below everything that reaches the island.
    Bits added;
    for (NodeId user : users_[id]) {
      if (island_[user] == island) continue;
      added.add(below_[user]);
      if (island_[user] < 0) continue;
      added.set(island_[user]);
      added.add(belowIsland_[size_t(island_[user])]);
    }
    if (!belowIsland_[size_t(island)].add(added)) return;
    for (NodeId other = id; other < graph_.nodes.size(); ++other) {
      if (below_[other].has(island)) below_[other].add(added);
    }
    for (size_t other = 0; other < belowIsland_.size(); ++other) {
      if (belowIsland_[other].has(island)) belowIsland_[other].add(added);
    }
  }

  // An op that takes an epilogue joins the one island that reads its result, if that island ends in one value of that
  // shape.
  void attachProducers() {
    for (size_t island = 0; island < members_.size(); ++island) {
      NodeId best = 0;
      bool found = false;
      int open = 0;
      bool half = false;
      for (NodeId id : members_[island]) {
        bool leaves = kept_[graph_.nodes[id].first];
        for (NodeId user : users_[id]) leaves |= island_[user] != int(island);
        open += leaves;
        const DType dtype = graph_.type(graph_.nodes[id].first).dtype;
        if (leaves && dtype == DType::bf16) half = true;
        if (leaves && dtype != DType::f32 && dtype != DType::bf16) open += kMaxOutputs;
        for (ValueId input : graph_.nodes[id].inputs) {
          const NodeId producer = graph_.values[input].node;
          if (takes(producer, int(island)) && (!found || producer > best)) {
            best = producer;
            found = true;
          }
        }
      }
      if (!found || open != 1 || (half && !graph_.nodes[best].attrs.integer(kHalves, 0))) continue;
      island_[best] = int(island);
      members_[island].push_back(best);
    }
  }

  bool takes(NodeId producer, int island) const {
    const Node& node = graph_.nodes[producer];
    if (!node.op->takesEpilogue || !node.op->takesEpilogue(graph_, node) || island_[producer] >= 0 || kept_[node.first])
      return false;
    const ValueType& type = graph_.type(node.first);
    if (type.layout != Layout::rowMajor || !(type.shape == space(members_[size_t(island)][0]))) return false;
    for (NodeId user : users_[producer]) {
      if (island_[user] != island) return false;
    }
    return true;
  }

  const Graph& graph_;
  std::vector<std::vector<NodeId>> users_;
  std::vector<bool> kept_;  // outputs and updates
  std::vector<int> island_;
  std::vector<Bits> below_;
  std::vector<std::vector<NodeId>> members_;
  std::vector<Bits> belowIsland_;
};

// Kahn's algorithm over clusters, which keeps the traced order: of those that are ready, the one whose last node was
// traced first, or that such a one waits for. (An island of scalars may hold a metric's update beside what the first
// gradient needs: it must not come as late as the former.)
std::vector<int> topologicalOrder(const Graph& graph, const Clusters& clusters) {
  const size_t count = clusters.nodes.size();
  std::vector<std::vector<int>> followers(count);
  std::vector<int> waiting(count, 0);
  for (NodeId id = 0; id < graph.nodes.size(); ++id) {
    for (ValueId input : graph.nodes[id].inputs) {
      const int from = clusters.of[graph.values[input].node], to = clusters.of[id];
      if (from == to) continue;
      followers[size_t(from)].push_back(to);
      ++waiting[size_t(to)];
    }
  }
  // Walks all clusters, the ready one of the least turn first.
  const auto walk = [&](const std::vector<NodeId>& turn) {
    using Entry = std::pair<NodeId, int>;
    std::priority_queue<Entry, std::vector<Entry>, std::greater<Entry>> ready;
    std::vector<int> left = waiting, order;
    for (size_t i = 0; i < count; ++i) {
      if (left[i] == 0) ready.push({turn[i], int(i)});
    }
    while (!ready.empty()) {
      const int cluster = ready.top().second;
      ready.pop();
      order.push_back(cluster);
      for (int next : followers[size_t(cluster)]) {
        if (--left[size_t(next)] == 0) ready.push({turn[size_t(next)], next});
      }
    }
    if (order.size() != count) fail("INTERNAL", "fusion made a cycle");
    return order;
  };
  std::vector<NodeId> turn;
  for (const std::vector<NodeId>& nodes : clusters.nodes) turn.push_back(nodes.back());
  const std::vector<int> anyOrder = walk(turn);
  for (auto cluster = anyOrder.rbegin(); cluster != anyOrder.rend(); ++cluster) {
    for (int next : followers[size_t(*cluster)])
      turn[size_t(*cluster)] = std::min(turn[size_t(*cluster)], turn[size_t(next)]);
  }
  return walk(turn);
}

}  // namespace

Clusters clusterElementwise(const Graph& graph) {
  Clustering clustering(graph);
  clustering.run();
  Clusters clusters;
  clusters.of.assign(graph.nodes.size(), -1);
  for (const auto& members : clustering.members()) {
    if (members.empty()) continue;  // they went to another
    for (NodeId id : members) clusters.of[id] = int(clusters.nodes.size());
    clusters.nodes.push_back(members);
    std::sort(clusters.nodes.back().begin(), clusters.nodes.back().end());
  }
  for (NodeId id = 0; id < graph.nodes.size(); ++id) {
    if (clusters.of[id] >= 0) continue;
    clusters.of[id] = int(clusters.nodes.size());
    clusters.nodes.push_back({id});
  }
  clusters.order = topologicalOrder(graph, clusters);
  return clusters;
}

}  // namespace chainrule
