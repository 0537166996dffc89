#include <algorithm>

#include "passes/passes.h"
#include "passes/rewrite.h"

namespace chainrule {
namespace {

constexpr int64_t kSmall = 16;  // a value of at most 1/kSmall of what it is computed from is kept: statistics of rows
constexpr int64_t kWeightLike = 8;  // at most so much larger than the weights it is computed from: filters transformed

// Whether a has at most `ratio` times as many elements as b, for every batch size.
bool atMost(const Dim& a, int64_t times, const Dim& b) {
  return (!a.perBatch || b.perBatch) && a.value <= times * b.value;
}

// Gradients of a segment read copies of its values, computed just before from what enters the segment, so that the
// values themselves live no longer than the forward pass needs them. Every op is a function of its inputs, random ones
// of their seed, so the numbers stay the same. No pass behind this one may merge equal nodes.
class Rematerializing {
 public:
  Rematerializing(const Graph& graph, const SegmentOf& segmentOf)
      : old_(graph),
        rewrite_(graph),
        fixed_(fixedNodes(graph)),
        fromWeights_(graph.nodes.size(), false),
        late_(graph.values.size(), false),
        wanted_(graph.values.size(), false),
        copied_(graph.nodes.size(), false),
        copies_(graph.values.size(), kNone) {
    for (const Node& node : graph.nodes) segment_.push_back(segmentOf(node.origin));
    for (NodeId id = 0; id < graph.nodes.size(); ++id) {
      const Node& node = graph.nodes[id];
      bool all = node.op->name != "input" && node.op->name != "placeholder";
      for (ValueId input : node.inputs) all &= fromWeights_[graph.values[input].node];
      fromWeights_[id] = all;
    }
    decide();
  }

  Graph apply() {
    for (NodeId id = 0; id < old_.nodes.size(); ++id) {
      const Node& node = old_.nodes[id];
      std::vector<ValueId> inputs;
      for (ValueId input : node.inputs)
        inputs.push_back(wants(id, input) && copied_[old_.values[input].node] ? copyOf(input) : rewrite_.mapped(input));
      rewrite_.copyWith(id, std::move(inputs), node.attrs);
    }
    return withoutDeadNodes(rewrite_.finish());
  }

 private:
  bool isForward(NodeId id) const { return segment_[id] != 0 && !old_.nodes[id].origin.gradient; }
  // Whether a gradient of the segment that computes `value` reads it here.
  bool wants(NodeId user, ValueId value) const {
    const NodeId producer = old_.values[value].node;
    return old_.nodes[user].origin.gradient && isForward(producer) && segment_[user] == segment_[producer];
  }

  // From the last node to the first: all that is read late is known before the value is met.
  void decide() {
    NodeId firstGradient = 0;
    while (firstGradient < old_.nodes.size() && !old_.nodes[firstGradient].origin.gradient) ++firstGradient;
    std::vector<bool> read(old_.values.size(), false);  // as they are, by something that is needed
    const auto keep = [&](ValueId value) { read[value] = late_[value] = true; };
    for (ValueId value : old_.outputs) keep(value);
    for (const Commit& commit : old_.commits) keep(commit.value);
    for (NodeId id = NodeId(old_.nodes.size()); id-- > 0;) {
      const Node& node = old_.nodes[id];
      bool wanted = false, again = false, kept = false, needed = false;
      for (ValueId part = node.first; part < node.first + node.parts; ++part) {
        wanted |= wanted_[part];
        again |= wanted_[part] && !late_[part];
        kept |= late_[part];
        needed |= read[part];
      }
      copied_[id] = again && isForward(id) && !staysInMemory(id);
      needed |= wanted && !copied_[id];
      for (ValueId input : node.inputs) {
        const NodeId producer = old_.values[input].node;
        if (copied_[id]) {
          if (isForward(producer) && segment_[producer] == segment_[id])
            wanted_[input] = true;
          else
            keep(input);
        }
        if (!needed) continue;
        if (wants(id, input)) {
          wanted_[input] = true;
          continue;
        }
        read[input] = true;
        if (id > firstGradient || (kept && node.op->view)) late_[input] = true;
      }
    }
  }

  bool staysInMemory(NodeId id) const {
    const Node& node = old_.nodes[id];
    if (node.op->source || fixed_[id]) return true;
    if (node.inputs.empty() || node.op->view) return false;
    Dim largest(0);
    for (ValueId input : node.inputs) {
      const Dim size = product(old_.type(input).shape);
      if (!atMost(size, 1, largest)) largest = size;
    }
    const Dim size = product(old_.type(node.first).shape);
    return fromWeights_[id] ? atMost(size, kWeightLike, largest)
                            : atMost(Dim(size.value * kSmall, size.perBatch), 1, largest);
  }

  // Copies the value with all that it takes from its segment and is not copied yet.
  ValueId copyOf(ValueId value) {
    if (copies_[value] != kNone) return copies_[value];
    std::vector<NodeId> missing, stack{old_.values[value].node};
    std::vector<NodeId> seen = stack;
    while (!stack.empty()) {
      const NodeId id = stack.back();
      stack.pop_back();
      missing.push_back(id);
      for (ValueId input : old_.nodes[id].inputs) {
        const NodeId producer = old_.values[input].node;
        if (!isCopiedFor(id, input) || copies_[input] != kNone) continue;
        if (std::find(seen.begin(), seen.end(), producer) != seen.end()) continue;
        seen.push_back(producer);
        stack.push_back(producer);
      }
    }
    std::sort(missing.begin(), missing.end());
    for (NodeId id : missing) {
      const Node& node = old_.nodes[id];
      std::vector<ValueId> inputs;
      for (ValueId input : node.inputs)
        inputs.push_back(isCopiedFor(id, input) ? copies_[input] : rewrite_.mapped(input));
      Graph& made = rewrite_.graph();
      Origin origin = node.origin;
      origin.gradient = true;  // the time at which it is computed
      const ValueId first = made.nodes[made.addNode(*node.op, std::move(inputs), node.attrs, std::move(origin))].first;
      for (int part = 0; part < node.parts; ++part) copies_[node.first + ValueId(part)] = first + ValueId(part);
    }
    return copies_[value];
  }
  bool isCopiedFor(NodeId user, ValueId input) const {
    const NodeId producer = old_.values[input].node;
    return copied_[producer] && segment_[producer] == segment_[user];
  }

  static Graph withoutDeadNodes(Graph graph) {
    const std::vector<bool> live = liveNodes(graph);
    Rewrite rewrite(graph);
    for (NodeId id = 0; id < graph.nodes.size(); ++id) {
      if (live[id]) rewrite.copy(id);
    }
    return rewrite.finish();
  }

  const Graph& old_;
  Rewrite rewrite_;
  const std::vector<bool> fixed_;
  std::vector<bool> fromWeights_;  // by node: depends on no input
  std::vector<uint32_t> segment_;  // by node
  std::vector<bool> late_;         // values that are in memory after the forward pass anyway
  std::vector<bool> wanted_;       // values that gradients of their segment read
  std::vector<bool> copied_;       // by node
  std::vector<ValueId> copies_;    // by value
};

}  // namespace

Graph rematerialize(const Graph& graph, const SegmentOf& segmentOf) {
  const bool none = std::none_of(graph.nodes.begin(), graph.nodes.end(),
                                 [&](const Node& node) { return segmentOf(node.origin) != 0; });
  return none ? graph : Rematerializing(graph, segmentOf).apply();
}

}  // namespace chainrule
