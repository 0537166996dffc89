#include "cpu/winograd.h"

#include <map>

#include "passes/passes.h"
#include "passes/rewrite.h"
#include "plan/conv_shape.h"

namespace chainrule {
namespace {

// Measured with kernel_bench: from here on it is faster on every instruction set, also where a last tile is half empty.
bool pays(const ConvShape& s) { return s.cin >= 32 && s.cout >= 32 && s.oh >= 6 && s.ow >= 6; }

class Winograd {
 public:
  Winograd(const Graph& graph, ConvAlgorithm algorithm) : rewrite_(graph), algorithm_(algorithm) {}

  Graph apply() {
    const Graph& graph = rewrite_.old();
    for (NodeId id = 0; id < graph.nodes.size(); ++id) {
      const Node& node = graph.nodes[id];
      const ValueId made = replaced(node);
      if (made == kNone)
        rewrite_.copy(id);
      else
        rewrite_.map(node.first, made);
    }
    return rewrite_.finish();
  }

 private:
  ValueId replaced(const Node& node) {
    const Graph& graph = rewrite_.old();
    const bool back = node.op->name == "conv2dInput", gradient = node.op->name == "conv2dFilter";
    if (!back && !gradient && node.op->name != "conv2d") return kNone;
    // The batch size is no part of the choice: a row's result must not depend on it.
    const auto dims = [&](ValueId value) { return concrete(graph.type(value).shape, 1); };
    const ConvShape shape = gradient
                                ? convShape(node.attrs, dims(node.inputs[0]), dims(node.first), dims(node.inputs[1]))
                                : convShape(node.attrs, dims(node.inputs[0]), dims(node.inputs[1]), dims(node.first));
    if (!cpu::winogradTakes(shape) || (algorithm_ == ConvAlgorithm::automatic && !pays(shape))) return kNone;
    if (gradient) return add("conv2dFilterWinograd", rewrite_.mappedInputs(node), node.attrs, node.origin);
    // Gradients of inputs are a convolution, too: of those of outputs, with the filter turned and its channels
    // exchanged.
    std::vector<int64_t> padding = node.attrs.integers("padding", {0, 0, 0, 0});
    for (int64_t& side : padding) {
      if (back) side = 2 - side;
      if (side < 0) return kNone;
    }
    Attrs attrs;
    attrs.set("strides", std::vector<int64_t>{1, 1});
    attrs.set("padding", padding);
    attrs.set("filters", graph.type(node.first).shape.back().value);
    return add("conv2dWinograd", {rewrite_.mapped(node.inputs[0]), filterOf(node, back)}, attrs, node.origin);
  }

  ValueId filterOf(const Node& node, bool transposed) {
    const auto [place, isNew] = filters_.try_emplace({node.inputs[1], transposed}, kNone);
    if (isNew) {
      Attrs attrs;
      attrs.set("transposed", int64_t(transposed));
      place->second = add("winogradFilter", {rewrite_.mapped(node.inputs[1])}, attrs, node.origin);
    }
    return place->second;
  }

  ValueId add(std::string_view op, std::vector<ValueId> inputs, Attrs attrs, const Origin& origin) {
    Graph& made = rewrite_.graph();
    return made.nodes[made.addNode(*findOp(op), std::move(inputs), std::move(attrs), origin)].first;
  }

  Rewrite rewrite_;
  const ConvAlgorithm algorithm_;
  std::map<std::pair<ValueId, bool>, ValueId> filters_;  // transformed, by filter of the old graph
};

}  // namespace

Graph chooseConvAlgorithms(const Graph& graph, ConvAlgorithm algorithm) {
  return algorithm == ConvAlgorithm::direct ? graph : Winograd(graph, algorithm).apply();
}

}  // namespace chainrule
