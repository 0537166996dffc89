#include <map>
#include <set>

#include "ir/expr.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace chainrule {
namespace {

// What is bfloat16 and is cast to float32 to be computed with, perhaps under another shape, or kNone.
ValueId storedHalf(const Graph& graph, ValueId value) {
  const Node* node = &graph.nodeOf(value);
  while (node->op->view && node->inputs.size() == 1) node = &graph.nodeOf(node->inputs[0]);
  if (node->op->name != "cast" || graph.type(node->first).dtype != DType::f32) return kNone;
  return graph.type(node->inputs[0]).dtype == DType::bf16 ? node->inputs[0] : kNone;
}

class Halves {
 public:
  explicit Halves(const Graph& graph) : rewrite_(graph) {
    for (const Node& node : graph.nodes) {
      if (!node.origin.gradient && isProduct(node) && halvesOf(node) == 2) ofHalves_.insert(node.origin.traced);
      if (node.op->name == "cast" && graph.type(node.first).dtype == DType::bf16)
        roundings_.try_emplace(node.inputs[0], node.first);
    }
  }

  Graph apply() {
    const Graph& graph = rewrite_.old();
    for (NodeId id = 0; id < graph.nodes.size(); ++id) {
      const Node& node = graph.nodes[id];
      std::vector<ValueId> inputs = rewrite_.mappedInputs(node);
      if (!isOfHalves(node)) {
        if (node.op->name == "whenPositive") inputs[0] = ofSameSign(node);
        rewrite_.copyWith(id, std::move(inputs), node.attrs);
        continue;
      }
      for (size_t i : {0, 1}) inputs[i] = half(node.inputs[i], node.origin);
      Attrs attrs = node.attrs;
      attrs.set(std::string(kHalves), int64_t(1));
      rewrite_.copyWith(id, std::move(inputs), std::move(attrs));
    }
    return rewrite_.finish();
  }

 private:
  bool isProduct(const Node& node) const {
    return node.op->multipliesHalves && node.op->multipliesHalves(rewrite_.old(), node);
  }
  int halvesOf(const Node& node) const {
    int halves = 0;
    for (size_t i : {0, 1}) halves += storedHalf(rewrite_.old(), node.inputs[i]) != kNone;
    return halves;
  }
  // Both factors are, or it is a gradient of such a product: what arrives there is rounded, too. One factor alone (the
  // weights of a quantized model, the input of a float32 layer behind others) says nothing of the other.
  bool isOfHalves(const Node& node) const {
    if (!isProduct(node)) return false;
    const int halves = halvesOf(node);
    return halves == 2 || (halves == 1 && node.origin.gradient && ofHalves_.count(node.origin.traced) > 0);
  }

  // Rounding keeps the sign (of all that devices do not take for 0 anyway: denormal numbers), so that relu's gradient
  // need not keep what was rounded.
  ValueId ofSameSign(const Node& node) {
    const auto found = roundings_.find(node.inputs[0]);
    if (found == roundings_.end() || !rewrite_.has(found->second)) return rewrite_.mapped(node.inputs[0]);
    rewrite_.graph().origin = node.origin;
    return rewrite_.graph().addOne("cast", {rewrite_.mapped(found->second)},
                                   attrs({{"dtype", std::string("float32")}}));
  }

  // A value as bfloat16, in the new graph: as it was stored, or rounded once for all products that read it.
  ValueId half(ValueId value, const Origin& origin) {
    const auto [place, isNew] = made_.try_emplace(value, kNone);
    if (!isNew) return place->second;
    const Graph& old = rewrite_.old();
    const Node& node = old.nodeOf(value);
    Graph& graph = rewrite_.graph();
    graph.origin = origin;
    ValueId made;
    if (storedHalf(old, value) == kNone) {
      made = graph.addOne("cast", {rewrite_.mapped(value)}, attrs({{"dtype", std::string("bfloat16")}}));
    } else if (node.op->name == "cast") {
      made = rewrite_.mapped(node.inputs[0]);
    } else {
      made = graph.addOne(node.op->name, {half(node.inputs[0], origin)}, node.attrs);
    }
    return made_[value] = made;
  }

  Rewrite rewrite_;
  std::set<NodeId> ofHalves_;  // as traced
  std::map<ValueId, ValueId> made_;
  std::map<ValueId, ValueId> roundings_;  // of a value: what it is cast to as bfloat16
};

}  // namespace

Graph multiplyHalves(const Graph& graph) { return Halves(graph).apply(); }

}  // namespace chainrule
