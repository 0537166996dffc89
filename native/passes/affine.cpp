#include <optional>

#include "passes/passes.h"
#include "passes/rewrite.h"

namespace chainrule {
namespace {

// A batch norm behind a convolution or product, in programs that don't train it: x * w and then, by column of the
// result, additions and factors that depend on weights alone. They become x * (w * factor) + offset, and what stands in
// brackets is the plan's prologue.
class Folding {
 public:
  explicit Folding(const Graph& graph)
      : old_(graph), rewrite_(graph), made_(rewrite_.graph()), fixed_(fixedNodes(graph)), uses_(useCounts(graph)) {
    users_.resize(graph.values.size());
    for (NodeId id = 0; id < graph.nodes.size(); ++id) {
      for (ValueId input : graph.nodes[id].inputs) users_[input].push_back(id);
    }
  }

  Graph apply() {
    std::vector<std::optional<Chain>> endsAt(old_.nodes.size());
    std::vector<bool> replaced(old_.nodes.size(), false);
    for (NodeId id = 0; id < old_.nodes.size(); ++id) {
      auto chain = chainBehind(id);
      if (!chain) continue;
      replaced[id] = true;
      for (NodeId step : chain->steps) replaced[step] = true;
      const NodeId end = chain->steps.back();
      endsAt[end] = std::move(chain);
    }
    for (NodeId id = 0; id < old_.nodes.size(); ++id) {
      if (endsAt[id])
        rewrite_.map(old_.nodes[id].first, folded(*endsAt[id]));
      else if (!replaced[id])
        rewrite_.copy(id);
    }
    return rewrite_.finish();
  }

 private:
  struct Chain {
    NodeId head = 0;
    std::vector<NodeId> steps;
  };

  bool isFixed(ValueId value) const { return fixed_[old_.values[value].node]; }

  // One number for all columns, or one for each.
  bool isRow(ValueId value, const Dim& columns) const {
    const Shape& shape = old_.type(value).shape;
    for (int axis = 0; axis < shape.size(); ++axis) {
      if (!(shape[axis] == Dim(1)) && !(axis == shape.size() - 1 && shape[axis] == columns)) return false;
    }
    return isFixed(value) && old_.type(value).dtype == DType::f32;
  }
  bool isFactor(ValueId value, const Dim& columns) const {
    const Shape& shape = old_.type(value).shape;
    return isRow(value, columns) && !shape.empty() && shape.back() == columns &&
           old_.nodeOf(value).op->name != "constant";
  }

  // The number or row that an elementwise node joins with `value`, or kNone.
  ValueId otherOperand(const Node& node, ValueId value, const Dim& columns) const {
    const std::string_view op = node.op->name;
    if (op != "add" && op != "sub" && op != "mul") return kNone;
    const bool first = node.inputs[0] == value;
    if (!first && op == "sub") return kNone;
    const ValueId other = node.inputs[first ? 1 : 0];
    return op == "mul" ? (isFactor(other, columns) ? other : kNone) : (isRow(other, columns) ? other : kNone);
  }

  std::optional<Chain> chainBehind(NodeId id) const {
    const Node& head = old_.nodes[id];
    if (!head.op->columnsInput || fixed_[id]) return std::nullopt;
    const int weights = head.op->columnsInput(old_, head);
    if (weights < 0 || !isFixed(head.inputs[size_t(weights)])) return std::nullopt;
    Chain chain{id, {}};
    const Dim columns = old_.type(head.first).shape.back();
    bool scaled = false;
    for (ValueId value = head.first; uses_[value] == 1 && users_[value].size() == 1;) {
      const Node& user = old_.nodes[users_[value][0]];
      if (otherOperand(user, value, columns) == kNone || !(old_.type(user.first) == old_.type(value))) break;
      scaled |= user.op->name == "mul";
      chain.steps.push_back(users_[value][0]);
      value = user.first;
    }
    return scaled ? std::optional(chain) : std::nullopt;
  }

  ValueId folded(const Chain& chain) {
    const Node& head = old_.nodes[chain.head];
    const Shape row{old_.type(head.first).shape.back()};
    ValueId value = head.first, factor = kNone, offset = kNone;
    Origin origin;
    for (NodeId id : chain.steps) {
      const Node& step = old_.nodes[id];
      const ValueId other = rewrite_.mapped(otherOperand(step, value, row[0]));
      origin = step.origin;
      if (step.op->name == "mul") {
        factor = factor == kNone ? other : add("mul", {factor, other}, origin);
        offset = offset == kNone ? kNone : add("mul", {offset, other}, origin);
      } else if (offset == kNone) {
        offset = step.op->name == "add" ? other : add("neg", {other}, origin);
      } else {
        offset = add(step.op->name, {offset, other}, origin);
      }
      value = step.first;
    }
    std::vector<ValueId> inputs = rewrite_.mappedInputs(head);
    const size_t weights = size_t(head.op->columnsInput(old_, head));
    const bool panels = head.op->panelInput == int(weights) && head.op->takesPanel(old_, head);
    inputs[weights] = add(panels ? "scalePanels" : "mul", {inputs[weights], reshaped(factor, row)}, origin);
    const NodeId made = made_.addNode(*head.op, inputs, head.attrs, head.origin);
    const ValueId product = made_.nodes[made].first;
    return offset == kNone ? product : add("add", {product, flat(offset, row)}, origin);
  }

  // Without the leading axes of length 1, so that the sum can be an epilogue in registers.
  ValueId flat(ValueId value, const Shape& row) {
    const Shape& shape = made_.type(value).shape;
    return !shape.empty() && shape.back() == row[0] ? reshaped(value, row) : value;
  }
  ValueId reshaped(ValueId value, const Shape& row) {
    if (made_.type(value).shape == row) return value;
    Attrs target;
    target.set("shape", std::vector<int64_t>{row[0].encoded()});
    const NodeId id = made_.addNode(*findOp("reshape"), {value}, std::move(target), {});
    return made_.nodes[id].first;
  }
  ValueId add(std::string_view op, std::vector<ValueId> inputs, const Origin& origin) {
    const NodeId id = made_.addNode(*findOp(op), std::move(inputs), {}, origin);
    return made_.nodes[id].first;
  }

  const Graph& old_;
  Rewrite rewrite_;
  Graph& made_;
  const std::vector<bool> fixed_;
  const std::vector<int> uses_;
  std::vector<std::vector<NodeId>> users_;
};

}  // namespace

Graph foldAffine(const Graph& graph) { return Folding(graph).apply(); }

}  // namespace chainrule
