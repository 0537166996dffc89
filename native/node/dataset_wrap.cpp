#include "node/classes.h"
#include "node/convert.h"

namespace chainrule::node {
namespace {
const napi_type_tag kTag = {0x6368616972756c65, 0x6461746173657400};
}

Napi::Function DatasetWrap::define(Napi::Env env) {
  return DefineClass(env, "NativeDataset",
                     {InstanceAccessor<&DatasetWrap::rows>("rows"), InstanceMethod<&DatasetWrap::firstBad>("firstBad"),
                      InstanceMethod<&DatasetWrap::release>("release")});
}

DatasetWrap::DatasetWrap(const Napi::CallbackInfo& call) : ObjectWrap(call) {
  guarded(call.Env(), [&] {
    std::vector<Column> columns;
    for (const BoundArray& bound : boundListFrom(call[0])) columns.push_back(columnFrom(bound, call[1].ToBoolean()));
    dataset_ = std::make_shared<Dataset>(std::move(columns));
    call.This().As<Napi::Object>().TypeTag(&kTag);
  });
}

std::shared_ptr<Dataset> DatasetWrap::from(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTag)) fail("INPUT", "expected a dataset");
  const auto dataset = Unwrap(value.As<Napi::Object>())->dataset_;
  if (!dataset) fail("STATE", "the dataset was released");
  return dataset;
}

Napi::Value DatasetWrap::rows(const Napi::CallbackInfo& call) {
  return Napi::Number::New(call.Env(), dataset_ ? double(dataset_->rows()) : 0);
}

Napi::Value DatasetWrap::firstBad(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    const auto dataset = from(call.This());
    const Napi::Object options = call[1].As<Napi::Object>();
    Dataset::Check check;
    check.finite = options.Get("finite").ToBoolean();
    check.bounded = options.Get("low").IsNumber() && options.Get("high").IsNumber();
    if (check.bounded) {
      check.low = options.Get("low").As<Napi::Number>();
      check.high = options.Get("high").As<Napi::Number>();
    }
    const size_t column = size_t(call[0].As<Napi::Number>().Int64Value());
    const auto found = std::make_shared<int64_t>(-1);
    auto work = [=](Machine& machine) { *found = dataset->firstBad(column, check, machine); };
    return submit(call.Env(), sharedTask(std::move(work), dataset->isLarge(column)),
                  [found](Napi::Env env) { return Napi::Number::New(env, double(*found)); });
  });
}

Napi::Value DatasetWrap::release(const Napi::CallbackInfo& call) {
  dataset_ = nullptr;
  return call.Env().Undefined();
}

}  // namespace chainrule::node
