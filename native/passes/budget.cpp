#include <algorithm>
#include <cmath>

#include "passes/passes.h"
#include "passes/rewrite.h"
#include "passes/storage.h"

namespace chainrule {
namespace {

// Where a training step may be cut into segments: between any two nodes of its forward pass.
class Cuts {
 public:
  Cuts(const Graph& graph, int64_t batch) {
    const std::vector<bool> fixed = fixedNodes(graph);
    const auto bytes = [&](ValueId value) { return double(concreteType(graph.type(value), batch).bytes()); };
    std::vector<size_t> lastReader(graph.values.size(), 0);  // of the forward pass
    std::vector<bool> saved(graph.values.size(), false);
    std::vector<NodeId> nodes;
    for (NodeId id = 0; id < graph.nodes.size(); ++id) {
      const Node& node = graph.nodes[id];
      if (node.op->source || fixed[id]) continue;
      if (!node.origin.gradient) nodes.push_back(id);
      for (ValueId input : node.inputs) {
        if (node.origin.gradient)
          saved[input] = true;
        else
          lastReader[input] = nodes.size() - 1;
      }
    }
    crossing_.assign(nodes.size() + 1, 0);
    for (size_t i = 0; i < nodes.size(); ++i) {
      const Node& node = graph.nodes[nodes[i]];
      traced_.push_back(node.origin.traced);
      sum_.push_back(sum_.empty() ? 0 : sum_.back());
      if (node.op->view) continue;
      for (ValueId part = node.first; part < node.first + node.parts; ++part) {
        if (saved[part]) {
          sum_.back() += bytes(part);
          ++saves_;
        }
        if (lastReader[part] <= i) continue;
        crossing_[i] += bytes(part);
        crossing_[lastReader[part]] -= bytes(part);
      }
    }
    for (size_t i = 1; i < crossing_.size(); ++i) crossing_[i] += crossing_[i - 1];
  }

  int saves() const { return saves_; }  // values that gradients read

  // The first nodes, as traced, of segments 2 to `count`, which save about equally much; each where least is alive.
  std::vector<NodeId> into(int count) const {
    std::vector<NodeId> starts;
    if (sum_.empty()) return starts;
    size_t from = 0;
    for (int i = 1; i < count; ++i) {
      const double share = sum_.back() / count;
      const size_t first = std::max(from, indexOf((i - 0.3) * share)), last = indexOf((i + 0.3) * share);
      size_t best = first;
      for (size_t at = first; at <= last && at + 1 < traced_.size(); ++at) {
        if (crossing_[at] < crossing_[best]) best = at;
      }
      if (best + 1 >= traced_.size()) break;
      starts.push_back(traced_[best + 1]);
      from = best + 1;
    }
    std::sort(starts.begin(), starts.end());  // nodes that passes added may have been traced anywhere
    return starts;
  }

 private:
  size_t indexOf(double sum) const { return size_t(std::lower_bound(sum_.begin(), sum_.end(), sum) - sum_.begin()); }

  std::vector<NodeId> traced_;    // of the nodes of the forward pass
  std::vector<double> sum_;       // bytes saved up to a node
  std::vector<double> crossing_;  // bytes alive behind a node for the rest of the forward pass
  int saves_ = 0;
};

constexpr uint32_t kOwnSegments = 1u << 31;

}  // namespace

// Of about as many segments as their values number at most (Chen et al. 2016: sqrt(n)), as few are computed again as
// the budget allows: the first ones, whose values would wait longest.
Plan lowerWithin(int64_t budget, const Graph& graph, const Target& target, int64_t batch,
                 const CompileOptions& options) {
  Plan plan = lower(optimizeSteps(graph, target), batch, options);
  if (plan.arenaBytes <= budget) return plan;
  int64_t least = plan.arenaBytes;
  const Cuts cuts(graph, batch);
  const auto planFor = [&](const std::vector<NodeId>& starts, size_t again) {
    const auto segmentOf = [&](const Origin& origin) {
      const size_t segment = size_t(std::upper_bound(starts.begin(), starts.end(), origin.traced) - starts.begin());
      return origin.segment ? origin.segment : segment < again ? kOwnSegments + uint32_t(segment) : 0;
    };
    Plan made = lower(optimizeSteps(graph, target, segmentOf), batch, options);
    made.prologueOfAny = false;  // plans of other batch sizes may keep other values
    least = std::min(least, made.arenaBytes);
    return made;
  };
  const int usual = std::max(2, int(std::sqrt(double(cuts.saves()))));
  for (const int count : {usual, 2 * usual, std::max(2, usual / 2)}) {
    const std::vector<NodeId> starts = cuts.into(count);
    size_t enough = starts.size();  // not the last one: its gradients come right after it
    Plan best = planFor(starts, enough);
    if (best.arenaBytes > budget) continue;
    for (size_t tooFew = 0; tooFew + 1 < enough;) {
      const size_t middle = (tooFew + enough) / 2;
      Plan tried = planFor(starts, middle);
      if (tried.arenaBytes <= budget) {
        enough = middle;
        best = std::move(tried);
      } else {
        tooFew = middle;
      }
    }
    return best;
  }
  fail("OOM", "a training step on ", batch, " rows needs at least ", least,
       " bytes beside weights and data, even where gradients compute values again, but the memoryBudget is ", budget,
       ". Use a smaller batch or a larger budget");
}

}  // namespace chainrule
