#include "ir/graph.h"

#include <algorithm>
#include <cstring>

#include "ir/expr.h"

namespace chainrule {
namespace {

void checkStored(const Graph& graph, const Node& node, const std::vector<ValueType>& types) {
  for (size_t i = 0; i < types.size(); ++i) {
    if (types[i].dtype != DType::bf16 || node.op->view || node.attrs.extra ||
        (node.op->widens && node.op->widens(graph, node, int(i))) || (i < 2 && node.attrs.integer(kHalves, 0)))
      continue;
    fail("DTYPE", "input ", i, " has the dtype bfloat16, which numbers are stored in. Convert it to float32 with cast");
  }
}

}  // namespace

std::vector<ValueId> Graph::add(std::string_view opName, std::vector<ValueId> inputIds, Attrs attributes) {
  const OpDef* op = findOp(opName);
  if (!op) fail("INTERNAL", "there is no op named \"", std::string(opName), "\"");
  Origin from = origin;
  if (!from.gradient) from.traced = NodeId(nodes.size());
  const NodeId node = addNode(*op, std::move(inputIds), std::move(attributes), std::move(from));
  std::vector<ValueId> parts(nodes[node].parts);
  for (size_t i = 0; i < parts.size(); ++i) parts[i] = nodes[node].first + ValueId(i);
  return parts;
}

ValueId Graph::addOne(std::string_view opName, std::vector<ValueId> inputIds, Attrs attributes) {
  return add(opName, std::move(inputIds), std::move(attributes))[0];
}

NodeId Graph::addNode(const OpDef& op, std::vector<ValueId> inputIds, Attrs attributes, Origin from) {
  const int count = int(inputIds.size());
  if (count < op.minInputs || count > op.maxInputs) {
    fail("INTERNAL", std::string(op.name), ": takes ", op.minInputs, " to ", op.maxInputs, " inputs, got ", count);
  }
  std::vector<ValueType> types;
  for (ValueId id : inputIds) {
    if (id >= values.size()) fail("INTERNAL", std::string(op.name), ": value ", id, " is not in this graph");
    types.push_back(values[id].type);
  }
  Node node{&op, std::move(inputIds), std::move(attributes), ValueId(values.size()), 0, std::move(from)};
  std::vector<ValueType> parts;
  try {
    checkStored(*this, node, types);
    parts = op.infer({*this, op.name, types, node.attrs});
  } catch (const Error& error) {
    const std::string place = node.origin.scope.empty() ? "" : ", in layer \"" + node.origin.scope + "\"";
    throw Error(error.code(), std::string(op.name) + ": " + error.what() + place);
  }
  node.parts = uint16_t(parts.size());
  const NodeId id = NodeId(nodes.size());
  nodes.push_back(std::move(node));
  for (size_t part = 0; part < parts.size(); ++part) values.push_back({parts[part], id, uint16_t(part)});
  return id;
}

ValueId Graph::input(std::string name, ValueType type) {
  const int64_t index = int64_t(inputs.size());
  inputTypes.push_back(type);
  inputNames.push_back(std::move(name));
  inputs.push_back(addOne("input", {}, attrs({{"index", index}})));
  return inputs.back();
}

ValueId Graph::constant(Constant data) {
  constants.push_back(std::move(data));
  return addOne("constant", {}, attrs({{"index", int64_t(constants.size()) - 1}}));
}

ValueId Graph::scalar(double value, DType dtype) {
  if (dtype == DType::bf16) fail("DTYPE", "a number is float32 before it is stored as bfloat16. Convert it with cast");
  for (const auto& [key, id] : scalars_) {
    // Compared by bits, so that -0 and NaN are numbers of their own.
    if (key.second == dtype && std::memcmp(&key.first, &value, sizeof value) == 0) return id;
  }
  Constant data{{dtype, {}}, std::vector<std::byte>(size_t(byteSize(dtype)))};
  const float f32 = float(value);
  const int32_t i32 = int32_t(dtype == DType::u32 ? int64_t(value) : dtype == DType::f32 ? 0 : int64_t(value));
  const uint8_t u8 = dtype == DType::boolean ? uint8_t(value != 0) : uint8_t(i32);
  if (byteSize(dtype) == 1) {
    std::memcpy(data.data.data(), &u8, 1);
  } else {
    std::memcpy(data.data.data(), dtype == DType::f32 ? static_cast<const void*>(&f32) : &i32, 4);
  }
  Origin outer = std::exchange(origin, {});
  const ValueId id = constant(std::move(data));
  origin = std::move(outer);
  scalars_.push_back({{value, dtype}, id});
  return id;
}

int Graph::addVariable(std::string name, ValueType type, bool layoutFixed) {
  variables.push_back({std::move(name), type, layoutFixed, type.layout, kNone, kNone});
  return int(variables.size()) - 1;
}

ValueId Graph::read(int variable) {
  VariableInfo& info = variables[size_t(variable)];
  if (info.current == kNone) {
    const ValueId id = addOne("variable", {}, attrs({{"index", int64_t(variable)}}));
    variables[size_t(variable)].initial = variables[size_t(variable)].current = id;
  }
  return variables[size_t(variable)].current;
}

void Graph::update(int variable, ValueId value) {
  const VariableInfo& info = variables[size_t(variable)];
  const ValueType& type = values[value].type;
  if (type.dtype != info.type.dtype || !(type.shape == info.type.shape)) {
    fail("SHAPE", "variable \"", info.name, "\" is ", std::string(dtypeName(info.type.dtype)), " ",
         toString(info.type.shape), " and cannot take ", describeValue(value));
  }
  read(variable);  // so that passes see the old value, too
  variables[size_t(variable)].current = value;
  commits.push_back({false, variable, value});
}

int Graph::addGroup(std::vector<int> members) {
  for (size_t i = 0; i < groups.size(); ++i) {
    if (groups[i].variables == members) return int(i);
  }
  groups.push_back({std::move(members)});
  return int(groups.size()) - 1;
}

ValueId Graph::readGroup(int group) {
  bool untouched = true;
  std::vector<ValueId> current;
  for (int variable : groups[size_t(group)].variables) {
    current.push_back(read(variable));
    untouched &= variables[size_t(variable)].current == variables[size_t(variable)].initial;
  }
  const Attrs attributes = attrs({{"group", int64_t(group)}});
  return untouched ? addOne("group", {}, attributes) : packGroup(group, std::move(current));
}

ValueId Graph::packGroup(int group, std::vector<ValueId> members) {
  const auto& variableIds = groups[size_t(group)].variables;
  if (members.size() != variableIds.size()) fail("INTERNAL", "packGroup: one value for each variable of the group");
  for (size_t i = 0; i < members.size(); ++i) {
    const VariableInfo& info = variables[size_t(variableIds[i])];
    if (!(type(members[i]).shape == info.type.shape)) {
      fail("SHAPE", "the gradient of \"", info.name, "\" has shape ", toString(type(members[i]).shape),
           ", the variable ", toString(info.type.shape));
    }
  }
  return addOne("pack", std::move(members), attrs({{"group", int64_t(group)}}));
}

void Graph::updateGroup(int group, ValueId value) {
  commits.push_back({true, group, value});
  for (size_t i = 0; i < groups[size_t(group)].variables.size(); ++i) {
    const int variable = groups[size_t(group)].variables[i];
    const ValueId slice = addOne("groupSlice", {value}, attrs({{"group", int64_t(group)}, {"member", int64_t(i)}}));
    variables[size_t(variable)].current = slice;
  }
}

std::string Graph::describeValue(ValueId value) const {
  return std::string(dtypeName(type(value).dtype)) + " " + toString(type(value).shape);
}

Dim physicalSize(const ValueType& type) {
  if (type.layout == Layout::rowMajor) return product(type.shape);
  Shape padded = type.shape;
  padded.back() = Dim((padded.back().value + 15) / 16 * 16);
  return product(padded);
}

GroupLayout groupLayout(const Graph& graph, int group) {
  GroupLayout layout;
  for (int variable : graph.groups[size_t(group)].variables) {
    layout.offsets.push_back(layout.size);
    layout.size += (physicalSize(graph.variables[size_t(variable)].type).value + 15) / 16 * 16;
  }
  return layout;
}

Expr unbroadcast(Expr gradient, Shape shape) {
  if (gradient.shape() == shape) return gradient;
  const int extra = gradient.shape().size() - shape.size();
  std::vector<int64_t> axes;
  for (int i = 0; i < gradient.shape().size(); ++i) {
    if (i < extra || (shape[i - extra].isOne() && !gradient.shape()[i].isOne())) axes.push_back(i);
  }
  if (!axes.empty()) gradient = reduce("reduceSum", gradient, axes, true);
  return reshape(gradient, shape);
}

}  // namespace chainrule
