#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ir/op.h"

namespace chainrule {

// Where a node comes from; passes hand it on to what replaces the node.
struct Origin {
  std::string scope;      // the layer that was being traced, for messages and print-outs
  uint32_t segment = 0;   // within one, gradients compute values again instead of keeping them (rematerialize); 0: none
  bool gradient = false;  // appended by autodiff
  NodeId traced = 0;      // the node in the graph as traced, or the one that this is the gradient of
};

struct Node {
  const OpDef* op = nullptr;
  std::vector<ValueId> inputs;
  Attrs attrs;
  ValueId first = 0;  // id of part 0
  uint16_t parts = 1;
  Origin origin;
};

struct ValueInfo {
  ValueType type;
  NodeId node = 0;
  uint16_t part = 0;
};

// What the graph knows of a variable; the storage behind it belongs to the runtime.
struct VariableInfo {
  std::string name;
  ValueType type;
  bool layoutFixed = false;
  Layout fixedLayout = Layout::rowMajor;  // what it is fixed to; chooseLayouts puts it into the type
  ValueId initial = kNone;                // the node that reads the value from before the step
  ValueId current = kNone;                // the value in program order
};

// A run of variables that lie one after the other in memory, each padded to 16 elements; see ops/group.cpp.
struct VariableGroup {
  std::vector<int> variables;
};

struct Commit {
  bool group = false;  // target is a group rather than a variable
  int target = 0;
  ValueId value = kNone;
};

struct Constant {
  ValueType type;
  std::vector<std::byte> data;
};

// Append-only: an input's id is smaller than its user's, so a pass is one loop in id order.
class Graph {
 public:
  // Appends a node and infers its parts; throws Error with both shapes when inputs don't fit.
  std::vector<ValueId> add(std::string_view op, std::vector<ValueId> inputs, Attrs attrs = {});
  ValueId addOne(std::string_view op, std::vector<ValueId> inputs, Attrs attrs = {});
  NodeId addNode(const OpDef& op, std::vector<ValueId> inputs, Attrs attrs, Origin origin);

  ValueId input(std::string name, ValueType type);
  ValueId constant(Constant data);
  ValueId scalar(double value, DType dtype = DType::f32);  // one node per distinct number

  int addVariable(std::string name, ValueType type, bool layoutFixed);
  ValueId read(int variable);
  void update(int variable, ValueId value);
  int addGroup(std::vector<int> variables);
  ValueId readGroup(int group);
  ValueId packGroup(int group, std::vector<ValueId> values);
  void updateGroup(int group, ValueId value);

  const Node& nodeOf(ValueId value) const { return nodes[values[value].node]; }
  const ValueType& type(ValueId value) const { return values[value].type; }
  std::string describeValue(ValueId value) const;  // "float32 [N, 64]"

  std::vector<Node> nodes;
  std::vector<ValueInfo> values;
  std::vector<ValueId> inputs;
  std::vector<ValueType> inputTypes;
  std::vector<std::string> inputNames;
  std::vector<Constant> constants;
  std::vector<VariableInfo> variables;
  std::vector<VariableGroup> groups;
  std::vector<Commit> commits;
  std::vector<ValueId> outputs;
  int64_t memoryBudget = 0;  // bytes that the arena of a plan may have; 0: any
  Origin origin;             // copied into every node appended from now on

 private:
  std::vector<std::pair<std::pair<double, DType>, ValueId>> scalars_;
};

// Elements that a value takes in memory, padding of its layout included.
Dim physicalSize(const ValueType& type);

// The elements of a group and where each member starts (in elements, multiples of 16).
struct GroupLayout {
  std::vector<int64_t> offsets;
  int64_t size = 0;
};
GroupLayout groupLayout(const Graph& graph, int group);

// Reverse-mode gradients of `output` towards `wrt`, appended to the graph (autodiff.cpp). kNone where unconnected.
std::vector<ValueId> gradients(Graph& graph, ValueId output, const std::vector<ValueId>& wrt, ValueId seed = kNone);

void verify(const Graph& graph);           // throws Error("INTERNAL") on a malformed graph
std::string describe(const Graph& graph);  // a line per node, for people
std::string toJSON(const Graph& graph);    // for programs

}  // namespace chainrule
