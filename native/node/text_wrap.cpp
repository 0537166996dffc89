#include "node/text_wrap.h"

#include <cstring>

#include "node/convert.h"
#include "node/environment.h"
#include "text/cross.h"
#include "text/encode.h"

namespace chainrule::node {
namespace {

// Work in pieces: between two of them, other jobs of the lane get their turn.
class PieceJob : public Job {
 public:
  explicit PieceJob(std::function<bool()> piece) : piece_(std::move(piece)) {}
  bool usesTeam() override { return false; }
  bool step(Machine&) override { return piece_(); }

 private:
  std::function<bool()> piece_;
};

Napi::Value answer(Napi::Env env, bool background, std::function<bool()> piece,
                   std::function<Napi::Value(Napi::Env)> result) {
  if (background) return submit(env, std::make_shared<PieceJob>(std::move(piece)), std::move(result));
  while (piece())
    ;
  return result(env);
}

// The memory of a typed array for use on another thread: small arrays are copied, larger ones pinned.
template <typename T>
const T* memoryOf(const Napi::Value& value, const char* what, int64_t& count,
                  std::vector<std::shared_ptr<const void>>& owners) {
  const bool fits = value.IsTypedArray() && value.As<Napi::TypedArray>().ElementSize() == sizeof(T);
  if (!fits) fail("INPUT", "expected a typed array of ", sizeof(T), " bytes per element for ", what);
  const Napi::TypedArray array = value.As<Napi::TypedArray>();
  count = int64_t(array.ElementLength());
  const auto* data = reinterpret_cast<const char*>(array.ArrayBuffer().Data()) + array.ByteOffset();
  if (int64_t(array.ByteLength()) > kCopyLimit) {
    owners.push_back(pin(array));
    return reinterpret_cast<const T*>(data);
  }
  const auto copy = std::make_shared<Buffer>(array.ByteLength());
  if (array.ByteLength() > 0) std::memcpy(copy->data(), data, array.ByteLength());
  owners.push_back(copy);
  return reinterpret_cast<const T*>(copy->data());
}

// { bytes, offsets } or { numbers }, and rowSize or rowEnds.
text::Source sourceFrom(const Napi::Value& value) {
  const Napi::Object object = value.As<Napi::Object>();
  text::Source source;
  int64_t bytes = 0;
  if (object.Has("numbers")) {
    source.numbers = memoryOf<double>(object.Get("numbers"), "numbers", source.count, source.owners);
  } else {
    int64_t offsets = 0;
    source.strings.bytes = memoryOf<char>(object.Get("bytes"), "bytes", bytes, source.owners);
    source.strings.offsets = memoryOf<int32_t>(object.Get("offsets"), "offsets", offsets, source.owners);
    if (offsets < 1) fail("INPUT", "the offsets of strings are empty");
    source.count = source.strings.count = offsets - 1;
  }
  if (object.Get("rowEnds").IsTypedArray()) {
    source.rowEnds = memoryOf<int32_t>(object.Get("rowEnds"), "rowEnds", source.rows, source.owners);
  } else {
    source.rowSize = object.Get("rowSize").IsNumber() ? object.Get("rowSize").As<Napi::Number>().Int64Value() : 1;
    source.rows = source.rowSize > 0 ? source.count / source.rowSize : 0;
  }
  source.check(bytes);
  return source;
}

text::TokenSteps stepsFrom(const Napi::Object& options) {
  text::TokenSteps steps;
  steps.lower = options.Get("lower").ToBoolean();
  steps.stripPunctuation = options.Get("stripPunctuation").ToBoolean();
  const Napi::Value split = options.Get("split");
  const std::string how = split.IsString() ? split.As<Napi::String>().Utf8Value() : "";
  if (how == "whitespace") steps.split = text::TokenSteps::Split::whitespace;
  if (how == "character") steps.split = text::TokenSteps::Split::characters;
  if (options.Get("ngrams").IsArray())
    for (const uint32_t width : idsFrom(options.Get("ngrams"))) steps.ngrams.push_back(int(width));
  return steps;
}

text::IdRule ruleFrom(const Napi::Object& options, std::shared_ptr<const text::Vocabulary> vocabulary) {
  const auto number = [&](const char* name) {
    return options.Get(name).IsNumber() ? options.Get(name).As<Napi::Number>().Int32Value() : 0;
  };
  text::IdRule rule;
  rule.vocabulary = std::move(vocabulary);
  rule.firstToken = number("firstToken");
  rule.firstBucket = number("firstBucket");
  rule.buckets = number("buckets");
  if (options.Get("mask").IsString()) rule.mask = options.Get("mask").As<Napi::String>().Utf8Value();
  rule.maskId = number("maskId");
  rule.modulo = options.Get("modulo").ToBoolean();
  if (options.Get("salt").IsArray()) {
    const Napi::Array salt = options.Get("salt").As<Napi::Array>();
    const auto key = [&](uint32_t i) { return uint64_t(salt.Get(i).As<Napi::Number>().Int64Value()); };
    rule.salt = {key(0), key(1)};
  }
  return rule;
}

text::Encoding encodingFrom(const Napi::Object& options) {
  using Form = text::Encoding::Form;
  text::Encoding encoding;
  const std::string form = options.Get("form").ToString();
  if (form == "padded") encoding.form = Form::padded;
  if (form == "multiHot") encoding.form = Form::multiHot;
  if (form == "count") encoding.form = Form::count;
  if (form == "oneHot") encoding.form = Form::oneHot;
  if (options.Get("size").IsNumber()) encoding.size = options.Get("size").As<Napi::Number>().Int64Value();
  if (encoding.form != Form::ids && encoding.form != Form::padded && encoding.size < 0)
    fail("INPUT", "vectors need a size");
  if (options.Get("weights").IsTypedArray()) {
    const BoundArray weights = typedArrayFrom(options.Get("weights"));
    const auto* values = static_cast<const float*>(weights.array.data);
    encoding.weights.assign(values, values + weights.array.dims[0]);
    if (int64_t(encoding.weights.size()) != encoding.size) fail("INPUT", "there must be a weight per vector element");
  }
  return encoding;
}

template <typename T>
Napi::Value arrayOf(Napi::Env env, DType dtype, const std::vector<T>& values) {
  Buffer data(values.size() * sizeof(T));
  if (!values.empty()) std::memcpy(data.data(), values.data(), values.size() * sizeof(T));
  return typedArrayOf(env, dtype, std::move(data), int64_t(values.size()));
}

Napi::Object stringsOf(Napi::Env env, const text::Strings& strings) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("bytes", arrayOf(env, DType::u8, std::vector<uint8_t>(strings.bytes.begin(), strings.bytes.end())));
  object.Set("offsets", arrayOf(env, DType::i32, strings.offsets));
  return object;
}

Napi::Value standardize(const Napi::CallbackInfo& call, bool background) {
  return guarded(call.Env(), [&] {
    const auto source = std::make_shared<text::Source>(sourceFrom(call[0]));
    const auto tokenizer = std::make_shared<text::Tokenizer>(stepsFrom(call[1].As<Napi::Object>()));
    const auto result = std::make_shared<text::Strings>();
    return answer(
        call.Env(), background,
        [=] {
          std::string clean;
          for (int64_t n = 0; n < 1024 && result->count() < source->count; ++n) {
            clean.clear();
            tokenizer->standardize(source->strings.at(result->count()), clean);
            result->push(clean);
          }
          return result->count() < source->count;
        },
        [result](Napi::Env env) { return stringsOf(env, *result); });
  });
}

Napi::Value crossHash(const Napi::CallbackInfo& call, bool background) {
  return guarded(call.Env(), [&] {
    const Napi::Array list = call[0].As<Napi::Array>();
    const auto features = std::make_shared<std::vector<text::Source>>();
    for (uint32_t i = 0; i < list.Length(); ++i) {
      features->push_back(sourceFrom(list.Get(i)));
      if (features->back().count != features->front().count) fail("SHAPE", "crossed features must be equally many");
    }
    if (features->empty()) fail("INPUT", "there are no features to cross");
    const int64_t bins = call[1].As<Napi::Number>().Int64Value();
    const auto result = std::make_shared<std::vector<int32_t>>();
    return answer(
        call.Env(), background,
        [=] {
          *result = text::crossed(*features, bins);
          return false;
        },
        [result](Napi::Env env) { return arrayOf(env, DType::i32, *result); });
  });
}

}  // namespace

Napi::Function VocabularyWrap::define(Napi::Env env) {
  return DefineClass(
      env, "NativeVocabulary",
      {InstanceMethod<&VocabularyWrap::encode>("encode"), InstanceMethod<&VocabularyWrap::encodeSync>("encodeSync")});
}

VocabularyWrap::VocabularyWrap(const Napi::CallbackInfo& call) : ObjectWrap(call) {
  guarded(call.Env(), [&] {
    const text::Source source = sourceFrom(call[0]);
    text::Strings tokens;
    for (int64_t i = 0; i < source.count; ++i) tokens.push(source.strings.at(i));
    vocabulary_ = std::make_shared<text::Vocabulary>(std::move(tokens));
  });
}

Napi::Value VocabularyWrap::encode(const Napi::CallbackInfo& call) { return encodeWith(call, true); }

Napi::Value VocabularyWrap::encodeSync(const Napi::CallbackInfo& call) { return encodeWith(call, false); }

Napi::Value VocabularyWrap::encodeWith(const Napi::CallbackInfo& call, bool background) {
  return guarded(call.Env(), [&] {
    const Napi::Object options = call[1].As<Napi::Object>();
    const auto encoder = std::make_shared<text::Encoder>(sourceFrom(call[0]), stepsFrom(options),
                                                         ruleFrom(options, vocabulary_), encodingFrom(options));
    const auto output = std::make_shared<text::Encoder::Output>();
    return answer(
        call.Env(), background,
        [=] {
          const bool more = encoder->step();
          if (!more) *output = encoder->take();
          return more;
        },
        [output](Napi::Env env) -> Napi::Value {
          Napi::Object result = Napi::Object::New(env);
          result.Set("width", double(output->width));
          const DType dtype = output->integers ? DType::i32 : DType::f32;
          result.Set("data", typedArrayOf(env, dtype, std::move(output->data), output->count));
          return result;
        });
  });
}

Napi::Function TokenCounterWrap::define(Napi::Env env) {
  return DefineClass(
      env, "NativeTokenCounter",
      {InstanceMethod<&TokenCounterWrap::add>("add"), InstanceMethod<&TokenCounterWrap::ranking>("ranking")});
}

TokenCounterWrap::TokenCounterWrap(const Napi::CallbackInfo& call)
    : ObjectWrap(call), counter_(std::make_shared<text::Counter>()) {}

Napi::Value TokenCounterWrap::add(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    const auto source = std::make_shared<text::Source>(sourceFrom(call[0]));
    const auto elements = std::make_shared<text::Elements>(*source);
    const auto tokenizer = std::make_shared<text::Tokenizer>(stepsFrom(call[1].As<Napi::Object>()));
    const auto next = std::make_shared<int64_t>(0);
    return answer(
        call.Env(), true,
        [=, counter = counter_] {
          *next = counter->add(*source, *elements, *tokenizer, *next);
          return *next < source->rows;
        },
        [](Napi::Env env) { return env.Undefined(); });
  });
}

Napi::Value TokenCounterWrap::ranking(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    const int64_t limit = call[0].As<Napi::Number>().Int64Value();
    const Napi::Array list = call[1].As<Napi::Array>();
    std::vector<std::string> without;
    for (uint32_t i = 0; i < list.Length(); ++i) without.push_back(list.Get(i).As<Napi::String>().Utf8Value());
    const bool integers = call[2].ToBoolean();
    const auto ranking = std::make_shared<text::Counter::Ranking>();
    return answer(
        call.Env(), true,
        [=, counter = counter_] {
          *ranking = counter->ranking(limit, without, integers);
          return false;
        },
        [ranking, counter = counter_](Napi::Env env) {
          Napi::Object result = stringsOf(env, ranking->tokens);
          result.Set("documents", arrayOf(env, DType::i32, ranking->documents));
          result.Set("documentCount", double(counter->documents()));
          return result;
        });
  });
}

void defineTextFunctions(Napi::Env env, Napi::Object exports) {
  const auto add = [&](const char* name, Napi::Value (*body)(const Napi::CallbackInfo&, bool), bool background) {
    const auto callback = [body, background](const Napi::CallbackInfo& call) { return body(call, background); };
    exports.Set(name, Napi::Function::New(env, callback, name));
  };
  add("standardizeText", standardize, true);
  add("standardizeTextSync", standardize, false);
  add("crossHash", crossHash, true);
  add("crossHashSync", crossHash, false);
}

}  // namespace chainrule::node
