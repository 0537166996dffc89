#pragma once

#include <functional>
#include <vector>

#include "ir/graph.h"

namespace chainrule {

// Builds the new graph of a pass: copy nodes in order, or map a value to something else.
class Rewrite {
 public:
  explicit Rewrite(const Graph& old);

  Graph& graph() { return made_; }
  const Graph& old() const { return old_; }
  ValueId mapped(ValueId old) const { return map_[old]; }
  bool has(ValueId old) const { return map_[old] != kNone; }
  std::vector<ValueId> mappedInputs(const Node& node) const;
  void map(ValueId old, ValueId made) { map_[old] = made; }

  void copy(NodeId old);  // same op and attributes over the mapped inputs
  void copyWith(NodeId old, std::vector<ValueId> inputs, Attrs attrs);
  Graph finish();  // maps outputs and commits

 private:
  const Graph& old_;
  Graph made_;
  std::vector<ValueId> map_;
};

// Nodes that outputs, updates or inputs need.
std::vector<bool> liveNodes(const Graph& graph);
// Nodes that depend on nothing but weights which this program doesn't change, and constants.
std::vector<bool> fixedNodes(const Graph& graph);
// Whether a reshape only puts axes of length 1 before the others.
bool addsOnes(const Graph& graph, const Node& reshape);
bool addsOnes(const Shape& from, const Shape& to);
// The mean of `x` over `axes`, its leading ones, whose deviations `apart` = x - mean holds; kNone if it is another
// value.
ValueId meanOfDeviations(const Graph& graph, const Node& apart, const std::vector<int64_t>& axes);
std::vector<int> useCounts(const Graph& graph);  // of values; outputs and updates count as uses

}  // namespace chainrule
