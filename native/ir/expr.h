#pragma once

#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace chainrule {

// A value that can be written with as in a formula; gradients are made of these.
struct Expr {
  Graph* graph = nullptr;
  ValueId id = kNone;

  Shape shape() const { return graph->type(id).shape; }  // a copy: appending to the graph moves its values
  DType dtype() const { return graph->type(id).dtype; }
  bool valid() const { return id != kNone; }
};

inline Expr apply(std::string_view op, std::vector<Expr> inputs, Attrs attrs = {}) {
  std::vector<ValueId> ids;
  for (const Expr& input : inputs) ids.push_back(input.id);
  return {inputs[0].graph, inputs[0].graph->addOne(op, std::move(ids), std::move(attrs))};
}
inline Expr number(const Expr& like, double value) { return {like.graph, like.graph->scalar(value, like.dtype())}; }

inline Expr operator+(Expr a, Expr b) { return apply("add", {a, b}); }
inline Expr operator-(Expr a, Expr b) { return apply("sub", {a, b}); }
inline Expr operator*(Expr a, Expr b) { return apply("mul", {a, b}); }
inline Expr operator/(Expr a, Expr b) { return apply("div", {a, b}); }
inline Expr operator-(Expr a) { return apply("neg", {a}); }
inline Expr operator+(Expr a, double b) { return a + number(a, b); }
inline Expr operator-(Expr a, double b) { return a - number(a, b); }
inline Expr operator*(Expr a, double b) { return a * number(a, b); }
inline Expr operator/(Expr a, double b) { return a / number(a, b); }
inline Expr operator+(double a, Expr b) { return number(b, a) + b; }
inline Expr operator-(double a, Expr b) { return number(b, a) - b; }
inline Expr operator*(double a, Expr b) { return number(b, a) * b; }
inline Expr operator/(double a, Expr b) { return number(b, a) / b; }

// Attribute lists in one line: attrs({{"axis", 1}}).
inline Attrs attrs(std::initializer_list<std::pair<std::string, Attrs::Value>> entries) {
  Attrs result;
  for (const auto& entry : entries) result.set(entry.first, entry.second);
  return result;
}

// The attribute form of a shape: -k stands for k·N.
inline std::vector<int64_t> encoded(const Shape& shape) {
  std::vector<int64_t> codes;
  for (const Dim& dim : shape) codes.push_back(dim.encoded());
  return codes;
}

inline Expr reshape(Expr a, const Shape& shape) {
  return a.shape() == shape ? a : apply("reshape", {a}, attrs({{"shape", encoded(shape)}}));
}
inline Expr cast(Expr a, DType dtype) {
  return a.dtype() == dtype ? a : apply("cast", {a}, attrs({{"dtype", std::string(dtypeName(dtype))}}));
}
inline Expr reduce(std::string_view op, Expr a, std::vector<int64_t> axes, bool keepDims = false) {
  return apply(op, {a}, attrs({{"axes", std::move(axes)}, {"keepDims", int64_t(keepDims)}}));
}
inline Expr broadcastTo(Expr a, const Shape& shape) {
  return a.shape() == shape ? a : apply("broadcastTo", {a}, attrs({{"shape", encoded(shape)}}));
}

// What a gradient rule sees: the node it differentiates and the gradients that arrived at its parts.
struct GradientContext {
  Graph& graph;
  NodeId node;
  std::vector<ValueId> outGradients;  // kNone for a part that nothing depends on

  const Attrs& attrs() const { return graph.nodes[node].attrs; }
  int inputCount() const { return int(graph.nodes[node].inputs.size()); }
  Expr in(int i) { return {&graph, graph.nodes[node].inputs[i]}; }
  Expr out(int part = 0) { return {&graph, graph.nodes[node].first + part}; }
  Expr grad(int part = 0) { return {&graph, outGradients[part]}; }
};

// Sums `gradient` over the axes that broadcasting added or stretched, so that it has the operand's shape.
Expr unbroadcast(Expr gradient, Shape shape);

}  // namespace chainrule
