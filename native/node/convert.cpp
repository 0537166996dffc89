#include "node/convert.h"

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "node/environment.h"

namespace chainrule::node {
namespace {

int64_t integerFrom(const Napi::Value& value, const char* what) {
  if (!value.IsNumber()) fail("INPUT", what, " must be an integer");
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(std::abs(number) <= 9007199254740991.0) || number != std::trunc(number))
    fail("INPUT", what, " must be an integer, got ", number);
  return int64_t(number);
}

DType dtypeOf(napi_typedarray_type type) {
  switch (type) {
    case napi_float32_array:
      return DType::f32;
    case napi_int32_array:
      return DType::i32;
    case napi_uint32_array:
      return DType::u32;
    case napi_uint8_array:
    case napi_uint8_clamped_array:
      return DType::u8;
    case napi_int8_array:
      return DType::i8;
    default:
      fail("DTYPE", "the engine takes Float32Array, Int32Array, Uint32Array, Uint8Array and Int8Array");
  }
}

Attrs::Value attrFrom(const Napi::Value& value) {
  if (value.IsBoolean()) return int64_t(value.As<Napi::Boolean>().Value());
  if (value.IsString()) return value.As<Napi::String>().Utf8Value();
  if (value.IsNumber()) {
    const double number = value.As<Napi::Number>().DoubleValue();
    if (std::abs(number) < 9e15 && number == double(int64_t(number)) && !(number == 0 && std::signbit(number)))
      return int64_t(number);
    return number;
  }
  if (!value.IsArray()) fail("INPUT", "an attribute must be a number, string, boolean or list of numbers");
  const Napi::Array list = value.As<Napi::Array>();
  std::vector<int64_t> integers;
  for (uint32_t i = 0; i < list.Length(); ++i)
    integers.push_back(integerFrom(list.Get(i), "an entry of an attribute list"));
  return integers;
}

Napi::Value viewOf(Napi::Env env, DType dtype, int64_t count, Napi::ArrayBuffer buffer, size_t offset) {
  switch (dtype) {
    case DType::f32:
      return Napi::Float32Array::New(env, size_t(count), buffer, offset);
    case DType::i32:
      return Napi::Int32Array::New(env, size_t(count), buffer, offset);
    case DType::u32:
      return Napi::Uint32Array::New(env, size_t(count), buffer, offset);
    case DType::i8:
      return Napi::Int8Array::New(env, size_t(count), buffer, offset);
    default:
      return Napi::Uint8Array::New(env, size_t(count), buffer, offset);
  }
}

constexpr int64_t kMapped = 1 << 17;  // bytes from which glibc maps what malloc asks for, until it learns better

// V8 frees results by the dozen, and glibc would unmap them and trim its heap: the next ones would fault in page after
// page, at about the speed at which a layer fills them. glibc raises its limits to the largest mapping (up to 32 MiB)
// that it has seen freed, unless the user has set them. One that nobody writes to costs no memory.
void keepFreedMemory() {
  static const bool done = [] {
    void* volatile block = std::malloc(size_t(kMappedAlways) - (1 << 16));
    std::free(block);
    return true;
  }();
  static_cast<void>(done);
}

}  // namespace

DType dtypeFrom(const Napi::Value& value) {
  const std::string name = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  const auto dtype = dtypeFromName(name);
  if (!dtype) fail("DTYPE", "there is no dtype \"", name, "\". Use float32, int32, uint8, bool or uint32");
  return *dtype;
}

Dims dimsFrom(const Napi::Value& value) {
  if (!value.IsArray()) fail("SHAPE", "a shape must be a list of sizes");
  const Napi::Array list = value.As<Napi::Array>();
  Dims dims;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    dims.push(integerFrom(list.Get(i), "a dimension"));
    if (dims.back() < 0) fail("SHAPE", "a dimension must not be negative, got ", dims.back());
  }
  if (elementCount(dims) > (int64_t(1) << 53)) fail("SHAPE", "a tensor of ", toString(dims), " has too many elements");
  return dims;
}

Shape shapeFrom(const Napi::Value& value) {
  if (!value.IsArray()) fail("SHAPE", "a shape must be a list of sizes");
  const Napi::Array list = value.As<Napi::Array>();
  Shape shape;
  for (uint32_t i = 0; i < list.Length(); ++i) shape.push(Dim::decoded(integerFrom(list.Get(i), "a dimension")));
  return shape;
}

std::vector<uint32_t> idsFrom(const Napi::Value& value) {
  if (!value.IsArray()) fail("INPUT", "expected a list of value ids");
  const Napi::Array list = value.As<Napi::Array>();
  std::vector<uint32_t> ids;
  for (uint32_t i = 0; i < list.Length(); ++i) ids.push_back(uint32_t(integerFrom(list.Get(i), "a value id")));
  return ids;
}

Attrs attrsFrom(const Napi::Value& value) {
  Attrs attrs;
  if (!value.IsObject()) return attrs;
  const Napi::Object object = value.As<Napi::Object>();
  const Napi::Array names = object.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const Napi::Value name = names.Get(i), entry = object.Get(name);
    if (!entry.IsUndefined()) attrs.set(name.As<Napi::String>().Utf8Value(), attrFrom(entry));
  }
  return attrs;
}

BoundArray typedArrayFrom(const Napi::Value& value) {
  if (!value.IsTypedArray()) fail("INPUT", "expected a typed array");
  napi_typedarray_type type = napi_typedarray_type(-1);  // left as it is for kinds that Node doesn't know
  size_t length = 0;
  void* data = nullptr;
  napi_get_typedarray_info(value.Env(), value, &type, &length, &data, nullptr, nullptr);
  return {{data, dtypeOf(type), {int64_t(length)}}, value.As<Napi::TypedArray>()};
}

BoundArray boundFrom(const Napi::Value& value) {
  if (!value.IsObject()) fail("INPUT", "expected { data, shape }");
  const Napi::Object object = value.As<Napi::Object>();
  BoundArray bound = typedArrayFrom(object.Get("data"));
  const int64_t length = bound.array.dims[0];
  bound.array.dims = dimsFrom(object.Get("shape"));
  if (elementCount(bound.array.dims) != length) {
    fail("SHAPE", "shape ", toString(bound.array.dims), " does not match data of length ", length);
  }
  return bound;
}

std::vector<BoundArray> boundListFrom(const Napi::Value& value) {
  if (!value.IsArray()) fail("INPUT", "expected a list of arrays");
  const Napi::Array list = value.As<Napi::Array>();
  std::vector<BoundArray> bound;
  for (uint32_t i = 0; i < list.Length(); ++i) bound.push_back(boundFrom(list.Get(i)));
  return bound;
}

Column columnFrom(const BoundArray& bound, bool copy) {
  Column column{bound.array, nullptr};
  if (!copy && bound.bytes() > kCopyLimit) {
    column.owner = pin(bound.source);
    return column;
  }
  const auto memory = std::make_shared<Buffer>(size_t(bound.bytes()));
  if (bound.bytes() > 0) std::memcpy(memory->data(), bound.array.data, size_t(bound.bytes()));
  column.array.data = memory->data();
  column.owner = memory;
  return column;
}

Napi::Value typedArrayOf(Napi::Env env, DType dtype, Buffer data, int64_t count) {
  const size_t bytes = size_t(count * byteSize(dtype));
  Napi::ArrayBuffer buffer;
  if (bytes > size_t(kCopied)) {
    auto* owned = new Buffer(std::move(data));
    napi_value external = nullptr;
    const auto release = [](napi_env, void*, void* hint) { delete static_cast<Buffer*>(hint); };
    if (napi_create_external_arraybuffer(env, owned->data(), bytes, release, owned, &external) == napi_ok) {
      buffer = Napi::ArrayBuffer(env, external);
    } else {  // Electron refuses external memory
      data = std::move(*owned);
      delete owned;
    }
  }
  if (buffer.IsEmpty()) {
    buffer = Napi::ArrayBuffer::New(env, bytes);
    if (bytes > 0) std::memcpy(buffer.Data(), data.data(), bytes);
  }
  return viewOf(env, dtype, count, buffer, 0);
}

UnwrittenResults unwrittenResults(Napi::Env env, const std::vector<TensorType>& types) {
  UnwrittenResults results{Napi::Array::New(env, types.size()), {}};
  for (const TensorType& type : types) {
    if (type.bytes() >= kMapped) keepFreedMemory();
    void* data = nullptr;
    napi_value buffer = nullptr;  // Node zeroes other kinds
    if (napi_create_buffer(env, size_t(type.bytes()), &data, &buffer) != napi_ok) {
      napi_value error = nullptr;
      napi_get_and_clear_last_exception(env, &error);
      fail("OOM", "out of memory: JavaScript has no ", type.bytes(),
           " bytes for a result. Predict fewer rows at a time");
    }
    if (type.bytes() >= kMappedAlways) preferHugePages(data, size_t(type.bytes()));
    const Napi::Uint8Array view(env, buffer);
    const Napi::Value array = viewOf(env, type.dtype, type.count(), view.ArrayBuffer(), view.ByteOffset());
    results.list.Set(uint32_t(results.data.size()), boundOf(env, type, array));
    results.data.push_back(data);
  }
  return results;
}

Napi::Value boundOf(Napi::Env env, const TensorType& type, Napi::Value data) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("data", data);
  object.Set("shape", numbersOf(env, {type.dims.begin(), type.dims.end()}));
  object.Set("dtype", std::string(dtypeName(type.dtype)));
  return object;
}

Napi::Array boundListOf(Napi::Env env, std::vector<Result> results) {
  Napi::Array list = Napi::Array::New(env, results.size());
  for (uint32_t i = 0; i < results.size(); ++i) {
    const TensorType& type = results[i].type;
    list.Set(i, boundOf(env, type, typedArrayOf(env, type.dtype, std::move(results[i].data), type.count())));
  }
  return list;
}

Napi::Array numbersOf(Napi::Env env, const std::vector<double>& numbers) {
  Napi::Array list = Napi::Array::New(env, numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) list.Set(uint32_t(i), numbers[i]);
  return list;
}

}  // namespace chainrule::node
