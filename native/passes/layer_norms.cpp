#include <algorithm>

#include "ops/row_blocks.h"
#include "passes/passes.h"
#include "passes/rewrite.h"
#include "plan/normed_rows.h"

namespace chainrule {
namespace {

// Standardized rows with weights become one op, and its gradient another, which keep x instead of them: that is in
// memory anyway, so they need neither be written nor read.
class Norms {
 public:
  explicit Norms(const Graph& graph)
      : old_(graph), rewrite_(graph), uses_(useCounts(graph)), users_(graph.values.size()), done_(graph.nodes.size()) {
    for (NodeId id = 0; id < graph.nodes.size(); ++id) {
      for (ValueId input : graph.nodes[id].inputs) users_[input].push_back(id);
    }
  }

  Graph apply() {
    for (NodeId id = 0; id < old_.nodes.size(); ++id) {
      if (!done_[id] && !forward(id) && !backward(id)) rewrite_.copy(id);
    }
    return rewrite_.finish();
  }

 private:
  struct Norm {                                                     // what became of a standardize
    ValueId x = kNone, gamma = kNone, scale = kNone, mean = kNone;  // the weight in the old graph, the others made
  };

  const Shape& shape(ValueId value) const { return old_.type(value).shape; }

  // Whether `weight` has one number for each element of a row, and can be computed before the node `id`.
  bool isWeight(ValueId weight, ValueId rows, int64_t axes, NodeId id) const {
    const Shape &small = shape(weight), &all = shape(rows);
    for (int axis = 1; axis <= std::max(small.size(), int(axes)); ++axis) {
      const Dim size = axis <= small.size() ? small[small.size() - axis] : Dim(1);
      if (!(size == (axis <= axes ? all[all.size() - axis] : Dim(1)))) return false;
    }
    return small.size() <= all.size() && hoistable(weight, id, 4);
  }
  bool hoistable(ValueId value, NodeId id, int depth) const {
    const NodeId node = old_.values[value].node;
    if (node < id) return true;
    const std::vector<ValueId>& inputs = old_.nodes[node].inputs;
    return node != id && depth > 0 &&
           std::all_of(inputs.begin(), inputs.end(), [&](ValueId input) { return hoistable(input, id, depth - 1); });
  }
  ValueId hoisted(ValueId value) {
    const NodeId node = old_.values[value].node;
    if (!rewrite_.has(value)) {
      for (ValueId input : old_.nodes[node].inputs) hoisted(input);
      rewrite_.copy(node);
      done_[node] = true;
    }
    return rewrite_.mapped(value);
  }

  // The node `op` that joins `value` with a weight, and that weight.
  std::pair<NodeId, ValueId> weighted(std::string_view op, ValueId value, int64_t axes, NodeId id) const {
    for (NodeId user : users_[value]) {
      const Node& node = old_.nodes[user];
      if (node.op->name != op || !(old_.type(node.first) == old_.type(value))) continue;
      const ValueId other = node.inputs[node.inputs[0] == value ? 1 : 0];
      if (other != value && isWeight(other, value, axes, id)) return {user, other};
    }
    return {0, kNone};
  }

  bool forward(NodeId id) {
    const Node& node = old_.nodes[id];
    if (node.op->name != "standardize") return false;
    const int64_t axes = normedAxes(node.attrs);
    ValueId y = node.first, beta = kNone;
    Norm norm;
    if (const auto [product, gamma] = weighted("mul", y, axes, id); gamma != kNone) {
      done_[product] = true;
      norm.gamma = gamma;
      y = old_.nodes[product].first;
    }
    if (y == node.first || uses_[y] == 1) {
      if (const auto [sum, weight] = weighted("add", y, axes, id); weight != kNone) {
        done_[sum] = true;
        beta = weight;
        y = old_.nodes[sum].first;
      }
    }
    if (y == node.first) return false;
    norm.x = rewrite_.mapped(node.inputs[0]);
    std::vector<ValueId> inputs{norm.x};
    for (ValueId weight : {norm.gamma, beta}) {
      if (weight != kNone) inputs.push_back(hoisted(weight));
    }
    Attrs attrs = node.attrs;
    attrs.set("centred", node.attrs.integer("centred", 1));
    attrs.set("gamma", int64_t(norm.gamma != kNone));
    attrs.set("beta", int64_t(beta != kNone));
    const ValueId first = add("layerNorm", std::move(inputs), attrs, node.origin);
    norm.scale = first + 1;
    norm.mean = first + 2;
    rewrite_.map(y, first);
    rewrite_.map(node.first + 1, norm.scale);
    // For those who read the rows without weights; whoever reads x and a row's numbers computes them in passing.
    const bool centred = node.attrs.integer("centred", 1) != 0;
    const ValueId apart = centred ? add("sub", {norm.x, norm.mean}, {}, node.origin) : norm.x;
    rewrite_.map(node.first, add("mul", {apart, norm.scale}, {}, node.origin));
    for (NodeId user : users_[node.first]) {
      if (old_.nodes[user].op->name == "standardizeGradient") plan(user, node.first, norm);
    }
    return true;
  }

  // A gradient and the sums that its launch can make, computed where the first of them stood.
  struct Backward {
    NodeId gradient = 0;
    Norm norm;
    ValueId dy = kNone;
    bool scaled = false;  // dy comes before gamma
    NodeId sums[2];       // for gamma and beta; the gradient itself: none
  };

  void plan(NodeId gradient, ValueId standardized, const Norm& norm) {
    const Node& node = old_.nodes[gradient];
    if (node.inputs[1] != standardized || node.inputs[2] != standardized + 1 || node.inputs[0] == standardized) return;
    Backward plan{gradient, norm, node.inputs[0], false, {gradient, gradient}};
    const Node& product = old_.nodeOf(plan.dy);
    for (size_t side = 0; side < 2 && norm.gamma != kNone && product.op->name == "mul"; ++side) {
      const ValueId other = product.inputs[1 - side];
      if (product.inputs[side] != norm.gamma || !(old_.type(other) == old_.type(plan.dy))) continue;
      if (uses_[plan.dy] == 1) done_[old_.values[plan.dy].node] = true;
      plan.dy = other;
      plan.scaled = true;
      break;
    }
    const int64_t axes = normedAxes(node.attrs);
    const NodeId forward = old_.values[standardized].node;
    for (NodeId user : users_[plan.dy]) {
      const Node& reader = old_.nodes[user];
      if (plan.sums[1] == gradient && user > forward && sumsRows(reader, axes)) {
        plan.sums[1] = user;
      } else if (plan.sums[0] == gradient && reader.op->name == "mul" && uses_[reader.first] == 1 &&
                 reader.inputs[reader.inputs[0] == plan.dy ? 1 : 0] == standardized) {
        const NodeId sum = users_[reader.first].empty() ? gradient : users_[reader.first][0];
        if (sumsRows(old_.nodes[sum], axes)) plan.sums[0] = sum, done_[user] = true;
      }
    }
    plans_.push_back(plan);
  }

  bool sumsRows(const Node& node, int64_t axes) const {
    if (node.op->name != "reduceSum") return false;
    const Shape& all = shape(node.inputs[0]);
    std::vector<int64_t> over = node.attrs.integers("axes");
    std::sort(over.begin(), over.end());
    if (int64_t(over.size()) != all.size() - axes) return false;
    int64_t columns = 1;
    for (size_t i = 0; i < over.size(); ++i) {
      if (over[i] != int64_t(i)) return false;
    }
    for (int axis = int(over.size()); axis < all.size(); ++axis) columns *= all[axis].value;
    return columns <= ops::RowBlocks::kBlock;
  }

  bool backward(NodeId id) {
    const auto found = std::find_if(plans_.begin(), plans_.end(), [&](const Backward& plan) {
      return plan.gradient == id || plan.sums[0] == id || plan.sums[1] == id;
    });
    if (found == plans_.end()) return false;
    const Backward plan = *found;
    const Node& node = old_.nodes[plan.gradient];
    Attrs attrs = node.attrs;
    const bool centred = node.attrs.integer("centred", 1) != 0;
    attrs.set("centred", int64_t(centred));
    attrs.set("gamma", int64_t(plan.scaled));
    std::vector<ValueId> inputs{rewrite_.mapped(plan.dy), plan.norm.x, plan.norm.scale};
    if (centred) inputs.push_back(plan.norm.mean);
    if (plan.scaled) inputs.push_back(rewrite_.mapped(plan.norm.gamma));
    const ValueId first = add("layerNormGradient", std::move(inputs), attrs, node.origin);
    rewrite_.map(node.first, first);
    done_[plan.gradient] = true;
    for (int i = 0; i < 2; ++i) {
      if (plan.sums[i] == plan.gradient) continue;
      const Node& sum = old_.nodes[plan.sums[i]];
      Attrs target;
      std::vector<int64_t> codes;
      for (const Dim& dim : shape(sum.first)) codes.push_back(dim.encoded());
      target.set("shape", codes);
      const ValueId weight = first + 1 + ValueId(i);
      const bool same = rewrite_.graph().type(weight).shape == shape(sum.first);
      rewrite_.map(sum.first, same ? weight : add("reshape", {weight}, target, sum.origin));
      done_[plan.sums[i]] = true;
    }
    return true;
  }

  ValueId add(std::string_view op, std::vector<ValueId> inputs, Attrs attrs, const Origin& origin) {
    const NodeId id = rewrite_.graph().addNode(*findOp(op), std::move(inputs), std::move(attrs), origin);
    return rewrite_.graph().nodes[id].first;
  }

  const Graph& old_;
  Rewrite rewrite_;
  const std::vector<int> uses_;
  std::vector<std::vector<NodeId>> users_;
  std::vector<bool> done_;  // nodes that something made already stands for
  std::vector<Backward> plans_;
};

}  // namespace

Graph joinLayerNorms(const Graph& graph) { return Norms(graph).apply(); }

}  // namespace chainrule
