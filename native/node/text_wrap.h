#pragma once

#include <napi.h>

#include <memory>

#include "text/counter.h"
#include "text/vocabulary.h"

// What host layers do with strings; lib/native.ts says what the methods mean.
namespace chainrule::node {

class VocabularyWrap : public Napi::ObjectWrap<VocabularyWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit VocabularyWrap(const Napi::CallbackInfo& call);

 private:
  Napi::Value encode(const Napi::CallbackInfo& call);
  Napi::Value encodeSync(const Napi::CallbackInfo& call);
  Napi::Value encodeWith(const Napi::CallbackInfo& call, bool background);
  std::shared_ptr<const text::Vocabulary> vocabulary_;
};

class TokenCounterWrap : public Napi::ObjectWrap<TokenCounterWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit TokenCounterWrap(const Napi::CallbackInfo& call);

 private:
  Napi::Value add(const Napi::CallbackInfo& call);
  Napi::Value ranking(const Napi::CallbackInfo& call);
  std::shared_ptr<text::Counter> counter_;
};

// standardizeText, standardizeTextSync, crossHash, crossHashSync
void defineTextFunctions(Napi::Env env, Napi::Object exports);

}  // namespace chainrule::node
