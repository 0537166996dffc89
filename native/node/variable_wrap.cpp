#include <algorithm>

#include "base/bfloat16.h"
#include "node/classes.h"
#include "node/convert.h"

namespace chainrule::node {
namespace {

const napi_type_tag kTag = {0x6368616972756c65, 0x7661726961626c65};

// JavaScript has no array of bfloat16: such numbers cross the border as float32.
DType borderDType(DType dtype) { return dtype == DType::bf16 ? DType::f32 : dtype; }

void checkArray(const Variable& variable, const ArrayRef& array) {
  const bool bytes = byteSize(array.dtype) == 1 && byteSize(variable.dtype) == 1;
  const DType want = borderDType(variable.dtype);
  if (array.dtype != want && !bytes) {
    fail("DTYPE", "variable \"", variable.name, "\" is ", dtypeName(want), ", got ", dtypeName(array.dtype));
  }
  if (elementCount(array.dims) != elementCount(variable.dims)) {
    fail("SHAPE", "variable \"", variable.name, "\" has shape ", toString(variable.dims), " = ",
         elementCount(variable.dims), " values, got ", elementCount(array.dims));
  }
}

Buffer copyOf(const Variable& variable) {
  Buffer data(size_t(elementCount(variable.dims) * byteSize(variable.dtype)));
  const auto lock = lockExclusive(variable);
  if (data.size() > 0) variable.read(data.data());
  if (variable.dtype != DType::bf16) return data;
  const int64_t count = elementCount(variable.dims);
  Buffer wide(size_t(count) * sizeof(float));
  const auto* halves = reinterpret_cast<const uint16_t*>(data.data());
  std::transform(halves, halves + count, reinterpret_cast<float*>(wide.data()), widenBfloat16);
  return wide;
}

// `data` is of the border's dtype and checked.
void writeTo(Variable& variable, const void* data) {
  Buffer narrow;
  if (variable.dtype == DType::bf16) {
    const int64_t count = elementCount(variable.dims);
    narrow = Buffer(size_t(count) * sizeof(uint16_t));
    const auto* numbers = static_cast<const float*>(data);
    std::transform(numbers, numbers + count, reinterpret_cast<uint16_t*>(narrow.data()), roundToBfloat16);
    data = narrow.data();
  }
  const auto lock = lockExclusive(variable);
  variable.write(static_cast<const std::byte*>(data));
}

// V8 collects sooner when it knows what its small handles hold. Fails while an environment goes away, which is no
// matter.
void tellMemory(napi_env env, int64_t change) {
  int64_t total = 0;
  napi_adjust_external_memory(env, change, &total);
}

}  // namespace

Napi::Function VariableWrap::define(Napi::Env env) {
  return DefineClass(
      env, "NativeVariable",
      {StaticMethod<&VariableWrap::attach>("attach"), InstanceAccessor<&VariableWrap::name>("name"),
       InstanceAccessor<&VariableWrap::dtype>("dtype"), InstanceAccessor<&VariableWrap::shape>("shape"),
       InstanceMethod<&VariableWrap::read>("read"), InstanceMethod<&VariableWrap::write>("write"),
       InstanceMethod<&VariableWrap::readSync>("readSync"), InstanceMethod<&VariableWrap::writeSync>("writeSync"),
       InstanceMethod<&VariableWrap::compact>("compact"), InstanceMethod<&VariableWrap::share>("share")});
}

// new Variable(name, dtype, shape, fill), or internally new Variable(External<shared_ptr>).
VariableWrap::VariableWrap(const Napi::CallbackInfo& call) : ObjectWrap(call) {
  guarded(call.Env(), [&] {
    if (call[0].IsExternal()) {
      variable_ = *call[0].As<Napi::External<std::shared_ptr<Variable>>>().Data();
    } else {
      const double fill = call[3].IsNumber() ? call[3].As<Napi::Number>().DoubleValue() : 0;
      variable_ = std::make_shared<Variable>(call[0].As<Napi::String>(), dtypeFrom(call[1]), dimsFrom(call[2]), fill);
    }
    call.This().As<Napi::Object>().TypeTag(&kTag);
    tellMemory(call.Env(), variable_->bytes());
  });
}

VariableWrap::~VariableWrap() {
  if (variable_) tellMemory(Env(), -variable_->bytes());
}

std::shared_ptr<Variable> VariableWrap::from(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTag)) fail("INPUT", "expected a variable");
  return Unwrap(value.As<Napi::Object>())->variable_;
}

std::vector<std::shared_ptr<Variable>> VariableWrap::listFrom(const Napi::Value& value) {
  if (!value.IsArray()) fail("INPUT", "expected a list of variables");
  std::vector<std::shared_ptr<Variable>> list;
  const Napi::Array array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) list.push_back(from(array.Get(i)));
  return list;
}

Napi::Value VariableWrap::attach(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&]() -> Napi::Value {
    std::shared_ptr<Variable> variable = attachVariable(call[0].As<Napi::Number>().Int64Value());
    return Environment::of(call.Env())
        .variableClass.New({Napi::External<std::shared_ptr<Variable>>::New(call.Env(), &variable)});
  });
}

Napi::Value VariableWrap::name(const Napi::CallbackInfo& call) {
  return Napi::String::New(call.Env(), variable_->name);
}
Napi::Value VariableWrap::dtype(const Napi::CallbackInfo& call) {
  return Napi::String::New(call.Env(), std::string(dtypeName(variable_->dtype)));
}
Napi::Value VariableWrap::shape(const Napi::CallbackInfo& call) {
  return numbersOf(call.Env(), {variable_->dims.begin(), variable_->dims.end()});
}

Napi::Value VariableWrap::read(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    const auto data = std::make_shared<Buffer>();
    auto work = [variable = variable_, data] { *data = copyOf(*variable); };
    return submit(call.Env(), task(std::move(work)), [variable = variable_, data](Napi::Env env) {
      return typedArrayOf(env, borderDType(variable->dtype), std::move(*data), elementCount(variable->dims));
    });
  });
}

Napi::Value VariableWrap::write(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    const Column column = columnFrom(typedArrayFrom(call[0]), false);
    checkArray(*variable_, column.array);
    auto work = [variable = variable_, column] { writeTo(*variable, column.array.data); };
    return submit(call.Env(), task(std::move(work)), [](Napi::Env env) { return env.Undefined(); });
  });
}

Napi::Value VariableWrap::compact(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    auto work = [variable = variable_] {
      const auto lock = lockExclusive(*variable);
      variable->compact();
    };
    return submit(call.Env(), task(std::move(work)), [](Napi::Env env) { return env.Undefined(); });
  });
}

Napi::Value VariableWrap::readSync(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    return typedArrayOf(call.Env(), borderDType(variable_->dtype), copyOf(*variable_), elementCount(variable_->dims));
  });
}

Napi::Value VariableWrap::writeSync(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    const BoundArray bound = typedArrayFrom(call[0]);
    checkArray(*variable_, bound.array);
    writeTo(*variable_, bound.array.data);
    return call.Env().Undefined();
  });
}

Napi::Value VariableWrap::share(const Napi::CallbackInfo& call) {
  return Napi::Number::New(call.Env(), double(shareVariable(variable_)));
}

}  // namespace chainrule::node
