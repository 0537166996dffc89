#include <cstring>

#include "node/classes.h"
#include "node/convert.h"

namespace chainrule::node {

Napi::Function GraphWrap::define(Napi::Env env) {
  return DefineClass(env, "NativeGraph",
                     {InstanceMethod<&GraphWrap::input>("input"),
                      InstanceMethod<&GraphWrap::constant>("constant"),
                      InstanceMethod<&GraphWrap::scalar>("scalar"),
                      InstanceMethod<&GraphWrap::op>("op"),
                      InstanceMethod<&GraphWrap::dtype>("dtype"),
                      InstanceMethod<&GraphWrap::shape>("shape"),
                      InstanceMethod<&GraphWrap::read>("read"),
                      InstanceMethod<&GraphWrap::update>("update"),
                      InstanceMethod<&GraphWrap::readGroup>("readGroup"),
                      InstanceMethod<&GraphWrap::packGroup>("packGroup"),
                      InstanceMethod<&GraphWrap::updateGroup>("updateGroup"),
                      InstanceMethod<&GraphWrap::gradients>("gradients"),
                      InstanceMethod<&GraphWrap::setScope>("setScope"),
                      InstanceMethod<&GraphWrap::setSegment>("setSegment"),
                      InstanceMethod<&GraphWrap::dissolveSegment>("dissolveSegment"),
                      InstanceMethod<&GraphWrap::setMemoryBudget>("setMemoryBudget"),
                      InstanceMethod<&GraphWrap::compile>("compile"),
                      InstanceMethod<&GraphWrap::compileSync>("compileSync"),
                      InstanceMethod<&GraphWrap::describe>("describe"),
                      InstanceMethod<&GraphWrap::toJSON>("toJSON")});
}

Graph& GraphWrap::open() {
  if (finished_) fail("INTERNAL", "this graph is compiled; nothing can be added to it");
  return graph_;
}

ValueId GraphWrap::value(const Napi::Value& value) {
  const int64_t id = value.IsNumber() ? value.As<Napi::Number>().Int64Value() : -1;
  if (id < 0 || size_t(id) >= graph_.values.size()) fail("INTERNAL", "value ", id, " is not in this graph");
  return ValueId(id);
}

int GraphWrap::variable(const std::shared_ptr<Variable>& variable) {
  if (const auto found = indices_.find(variable.get()); found != indices_.end()) return found->second;
  Shape shape;
  for (int64_t dim : variable->dims) shape.push(Dim(dim));
  const int index = open().addVariable(variable->name, {variable->dtype, shape, Layout::rowMajor}, false);
  variables_.push_back(variable);
  indices_[variable.get()] = index;
  return index;
}

int GraphWrap::group(const Napi::Value& variables) {
  std::vector<int> members;
  for (const auto& each : VariableWrap::listFrom(variables)) {
    if (each->dtype != DType::f32)
      fail("DTYPE", "a group holds float32 variables, \"", each->name, "\" is ", dtypeName(each->dtype));
    members.push_back(variable(each));
  }
  if (members.empty()) fail("INPUT", "a group needs at least one variable");
  return open().addGroup(std::move(members));
}

Napi::Value GraphWrap::input(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    return Napi::Number::New(call.Env(), open().input(call[0].As<Napi::String>(),
                                                      {dtypeFrom(call[1]), shapeFrom(call[2]), Layout::rowMajor}));
  });
}

Napi::Value GraphWrap::constant(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    const BoundArray array = typedArrayFrom(call[0]);
    const DType dtype = dtypeFrom(call[1]);
    const Shape shape = shapeFrom(call[2]);
    const int64_t count = product(shape).value;
    if (hasBatch(shape)) fail("SHAPE", "a constant has fixed dimensions");
    if (byteSize(array.array.dtype) != byteSize(dtype))
      fail("DTYPE", "the data of a ", dtypeName(dtype), " constant has another dtype");
    if (array.array.dims[0] != count)
      fail("SHAPE", "shape ", toString(shape), " does not match data of length ", array.array.dims[0]);
    Constant constant{{dtype, shape, Layout::rowMajor}, std::vector<std::byte>(size_t(array.bytes()))};
    if (count > 0) std::memcpy(constant.data.data(), array.array.data, constant.data.size());
    return Napi::Number::New(call.Env(), open().constant(std::move(constant)));
  });
}

Napi::Value GraphWrap::scalar(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    return Napi::Number::New(call.Env(), open().scalar(call[0].As<Napi::Number>().DoubleValue(), dtypeFrom(call[1])));
  });
}

Napi::Value GraphWrap::op(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    const std::string name = call[0].As<Napi::String>();
    const std::vector<ValueId> parts = open().add(name, idsFrom(call[1]), attrsFrom(call[2]));
    return numbersOf(call.Env(), {parts.begin(), parts.end()});
  });
}

Napi::Value GraphWrap::dtype(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    return Napi::String::New(call.Env(), std::string(dtypeName(graph_.type(value(call[0])).dtype)));
  });
}

Napi::Value GraphWrap::shape(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    std::vector<double> dims;
    for (const Dim& dim : graph_.type(value(call[0])).shape) dims.push_back(double(dim.encoded()));
    return numbersOf(call.Env(), dims);
  });
}

Napi::Value GraphWrap::read(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    const int index = variable(VariableWrap::from(call[0]));
    return Napi::Number::New(call.Env(), open().read(index));
  });
}

Napi::Value GraphWrap::update(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    const int index = variable(VariableWrap::from(call[0]));
    open().update(index, value(call[1]));
    return call.Env().Undefined();
  });
}

Napi::Value GraphWrap::readGroup(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] { return Napi::Number::New(call.Env(), graph_.readGroup(group(call[0]))); });
}

Napi::Value GraphWrap::packGroup(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    const int index = group(call[0]);
    return Napi::Number::New(call.Env(), open().packGroup(index, idsFrom(call[1])));
  });
}

Napi::Value GraphWrap::updateGroup(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    const int index = group(call[0]);
    open().updateGroup(index, value(call[1]));
    return call.Env().Undefined();
  });
}

Napi::Value GraphWrap::gradients(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    std::vector<ValueId> wrt;
    for (uint32_t id : idsFrom(call[1])) {
      if (id >= open().values.size()) fail("INTERNAL", "value ", id, " is not in this graph");
      wrt.push_back(id);
    }
    const ValueId seed = call[2].IsNumber() ? value(call[2]) : kNone;
    std::vector<double> ids;
    for (ValueId id : chainrule::gradients(open(), value(call[0]), wrt, seed))
      ids.push_back(id == kNone ? -1 : double(id));
    return numbersOf(call.Env(), ids);
  });
}

Napi::Value GraphWrap::setScope(const Napi::CallbackInfo& call) {
  graph_.origin.scope = call[0].As<Napi::String>().Utf8Value();
  return call.Env().Undefined();
}

Napi::Value GraphWrap::setSegment(const Napi::CallbackInfo& call) {
  graph_.origin.segment = call[0].As<Napi::Number>().Uint32Value();
  return call.Env().Undefined();
}

Napi::Value GraphWrap::dissolveSegment(const Napi::CallbackInfo& call) {
  const uint32_t segment = call[0].As<Napi::Number>().Uint32Value();
  for (Node& node : graph_.nodes) {
    if (node.origin.segment == segment) node.origin.segment = 0;
  }
  return call.Env().Undefined();
}

Napi::Value GraphWrap::setMemoryBudget(const Napi::CallbackInfo& call) {
  graph_.memoryBudget = call[0].As<Napi::Number>().Int64Value();
  return call.Env().Undefined();
}

Graph GraphWrap::finish(const Napi::Value& outputs) {
  std::vector<ValueId> ids;
  for (uint32_t id : idsFrom(outputs)) {
    if (id >= open().values.size()) fail("INTERNAL", "output ", id, " is not in this graph");
    ids.push_back(id);
  }
  graph_.outputs = std::move(ids);
  finished_ = true;
  return graph_;
}

static std::string deviceFrom(const Napi::Value& value) {
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : "cpu";
}

Napi::Value GraphWrap::compile(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    const auto graph = std::make_shared<Graph>(finish(call[0]));
    const auto program = std::make_shared<std::shared_ptr<Program>>();
    auto work = [graph, program, variables = variables_, device = deviceFrom(call[1])] {
      *program = std::make_shared<Program>(std::move(*graph), variables, openDevice(device));
    };
    return submit(call.Env(), task(std::move(work)),
                  [program](Napi::Env env) { return ProgramWrap::wrap(env, *program); });
  });
}

Napi::Value GraphWrap::compileSync(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    OpenDevice* const device = openDevice(deviceFrom(call[1]));
    return ProgramWrap::wrap(call.Env(), std::make_shared<Program>(finish(call[0]), variables_, device));
  });
}

Napi::Value GraphWrap::describe(const Napi::CallbackInfo& call) {
  return Napi::String::New(call.Env(), chainrule::describe(graph_));
}
Napi::Value GraphWrap::toJSON(const Napi::CallbackInfo& call) {
  return Napi::String::New(call.Env(), chainrule::toJSON(graph_));
}

}  // namespace chainrule::node
