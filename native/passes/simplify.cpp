#include <cmath>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "ir/expr.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace chainrule {
namespace {

// Nodes with equal keys compute equal values: every op is a function of its inputs, random ones of their seed.
std::string key(const Node& node, const std::vector<ValueId>& inputs) {
  std::string text(node.op->name);
  const auto add = [&](const void* data, size_t size) { text.append(static_cast<const char*>(data), size); };
  for (ValueId input : inputs) add(&input, sizeof input);
  for (const auto& [name, value] : node.attrs.entries()) {
    text += '|';
    text += name;
    if (const auto* number = std::get_if<int64_t>(&value)) add(number, sizeof *number);
    if (const auto* number = std::get_if<double>(&value)) add(number, sizeof *number);
    if (const auto* string = std::get_if<std::string>(&value)) text += *string;
    if (const auto* list = std::get_if<std::vector<int64_t>>(&value)) add(list->data(), list->size() * sizeof(int64_t));
    if (const auto* list = std::get_if<std::vector<double>>(&value)) add(list->data(), list->size() * sizeof(double));
  }
  return text;
}

std::optional<float> scalarConstant(const Graph& graph, ValueId value) {
  const Node& node = graph.nodeOf(value);
  if (node.op->name != "constant" || !graph.type(value).shape.empty()) return std::nullopt;
  const Constant& constant = graph.constants[size_t(node.attrs.integer("index", 0))];
  if (constant.type.dtype != DType::f32) return std::nullopt;
  float number;
  std::memcpy(&number, constant.data.data(), sizeof number);
  return number;
}

// The value that `node` equals without computing anything, or kNone. Exact for every float, NaN and -0 included.
ValueId identity(const Graph& graph, const Node& node, const std::vector<ValueId>& in) {
  const std::string_view op = node.op->name;
  if (op == "stopGradient" || op == "customGradient") return in[0];
  const auto is = [&](size_t i, float number) { return scalarConstant(graph, in[i]) == number; };
  const auto whole = [&](size_t i) { return in[i]; };
  if ((op == "mul" || op == "div") && is(1, 1)) return whole(0);
  if (op == "mul" && is(0, 1)) return whole(1);
  if (op == "sub" && is(1, 0) && !std::signbit(*scalarConstant(graph, in[1]))) return whole(0);
  if (op == "neg" && graph.nodeOf(in[0]).op->name == "neg") return graph.nodeOf(in[0]).inputs[0];
  return kNone;
}

// The value that `value` only stretches.
std::optional<ValueId> beforeBroadcast(const Graph& graph, ValueId value) {
  const Node& producer = graph.nodeOf(value);
  const bool stretches =
      producer.op->name == "broadcastTo" || (producer.op->name == "reshape" && addsOnes(graph, producer));
  return stretches ? std::optional(producer.inputs[0]) : std::nullopt;
}

// `value` without any broadcastTo and reshape that only stretch it.
ValueId unstretched(const Graph& graph, ValueId value) {
  while (const auto before = beforeBroadcast(graph, value)) value = *before;
  return value;
}

// `value` with leading axes of length 1 as `node` has it.
ValueId withOnes(Graph& made, ValueId value, const Node& node, const Shape& shape) {
  Attrs attrs;
  attrs.set("shape", encoded(shape));
  return made.nodes[made.addNode(*findOp("reshape"), {value}, std::move(attrs), node.origin)].first;
}

// An elementwise op whose result has leading axes of length 1 for nothing but its operands' being stretched: computed
// without them, or kNone. So that what is computed of vectors has one shape, whatever it is computed for.
ValueId withoutOnes(Rewrite& rewrite, const Node& node, const ValueType& type, std::vector<ValueId> inputs) {
  Graph& made = rewrite.graph();
  if (type.shape.empty() || !(type.shape[0] == Dim(1))) return kNone;
  std::vector<ValueType> types;
  for (ValueId& input : inputs) {
    input = unstretched(made, input);
    types.push_back(made.type(input));
  }
  const Shape narrow = node.op->infer({made, node.op->name, types, node.attrs})[0].shape;
  if (narrow.size() >= type.shape.size() || !addsOnes(narrow, type.shape)) return kNone;
  return withOnes(made, made.nodes[made.addNode(*node.op, inputs, node.attrs, node.origin)].first, node, type.shape);
}

}  // namespace

Graph simplify(const Graph& graph) {
  Rewrite rewrite(graph);
  Graph& made = rewrite.graph();
  const std::vector<bool> live = liveNodes(graph);
  std::unordered_map<std::string, ValueId> seen;
  for (NodeId id = 0; id < graph.nodes.size(); ++id) {
    const Node& node = graph.nodes[id];
    if (!live[id]) continue;
    std::vector<ValueId> inputs = rewrite.mappedInputs(node);
    const ValueType& type = graph.type(node.first);

    // An elementwise op broadcasts by itself: take the value before broadcastTo, or before a reshape that adds ones,
    // where the result keeps its shape.
    if (node.op->elementwise) {
      for (ValueId& input : inputs) {
        while (const auto before = beforeBroadcast(made, input)) {
          const ValueId wide = std::exchange(input, *before);
          std::vector<ValueType> types;
          for (ValueId value : inputs) types.push_back(made.type(value));
          if (node.op->infer({made, node.op->name, types, node.attrs})[0].shape == type.shape) continue;
          input = wide;
          break;
        }
      }
    }
    if (const ValueId same = identity(made, node, inputs); same != kNone && made.type(same) == type) {
      rewrite.map(node.first, same);
      continue;
    }
    if (const ValueId narrow = node.op->elementwise ? withoutOnes(rewrite, node, type, inputs) : kNone;
        narrow != kNone) {
      rewrite.map(node.first, narrow);
      continue;
    }
    if (node.op->name == "reshape") {
      while (made.nodeOf(inputs[0]).op->name == "reshape") inputs[0] = made.nodeOf(inputs[0]).inputs[0];
      if (made.type(inputs[0]) == type) {
        rewrite.map(node.first, inputs[0]);
        continue;
      }
    }
    const auto [entry, added] = seen.emplace(key(node, inputs), kNone);
    if (!added && node.op->name != "input") {
      for (int part = 0; part < node.parts; ++part)
        rewrite.map(node.first + ValueId(part), entry->second + ValueId(part));
      continue;
    }
    rewrite.copyWith(id, std::move(inputs), node.attrs);
    entry->second = rewrite.mapped(node.first);
  }
  return rewrite.finish();
}

}  // namespace chainrule
