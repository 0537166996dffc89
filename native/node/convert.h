#pragma once

#include <napi.h>

#include "ir/graph.h"
#include "runtime/jobs.h"

// Between JavaScript values and the engine's, with checks.
namespace chainrule::node {

struct BoundArray {
  ArrayRef array;
  Napi::TypedArray source;
  int64_t bytes() const { return elementCount(array.dims) * byteSize(array.dtype); }
};

DType dtypeFrom(const Napi::Value& value);
Dims dimsFrom(const Napi::Value& value);
Shape shapeFrom(const Napi::Value& value);  // -k stands for k·N
std::vector<uint32_t> idsFrom(const Napi::Value& value);
Attrs attrsFrom(const Napi::Value& value);

// A typed array that lies still; its memory is only valid while JavaScript doesn't run, unless pinned.
BoundArray typedArrayFrom(const Napi::Value& value);
// { data, shape }; the length must be the product of the shape.
BoundArray boundFrom(const Napi::Value& value);
std::vector<BoundArray> boundListFrom(const Napi::Value& value);

// The array for use on another thread: small ones are copied, larger ones pinned (don't write to them before the
// promise settles).
Column columnFrom(const BoundArray& bound, bool copy);
constexpr int64_t kCopyLimit = 1 << 17;     // ten microseconds of the calling thread
constexpr int64_t kCopied = 1 << 16;        // bytes of a result up to which a copy is cheaper than memory of its own
constexpr int64_t kMappedAlways = 1 << 25;  // bytes from which glibc maps all that malloc asks for

Napi::Value typedArrayOf(Napi::Env env, DType dtype, Buffer data, int64_t count);
// A list of { data, shape, dtype } in memory of JavaScript, still to be written. It is free as soon as it is collected;
// a Buffer's waits for the event loop, which gets no turn between synchronous calls, and V8 collects for it less often.
struct UnwrittenResults {
  Napi::Array list;
  std::vector<void*> data;
};
UnwrittenResults unwrittenResults(Napi::Env env, const std::vector<TensorType>& types);
Napi::Value boundOf(Napi::Env env, const TensorType& type, Napi::Value data);
Napi::Array boundListOf(Napi::Env env, std::vector<Result> results);
Napi::Array numbersOf(Napi::Env env, const std::vector<double>& numbers);

}  // namespace chainrule::node
