// The addon's entry: builds the exports object and nothing else.
#include <napi.h>

#include "build_info.h"

namespace chainrule {

#ifdef CHAINRULE_SANITIZE
void plantBug(Napi::Env env, Napi::Object exports);  // test/native, only in sanitizer builds
#endif

static Napi::Value info(const Napi::CallbackInfo& call) {
  Napi::Object out = Napi::Object::New(call.Env());
  out.Set("version", CHAINRULE_VERSION);
  out.Set("sources", CHAINRULE_SOURCES);
#if defined(__clang__)
  out.Set("compiler", "clang " __clang_version__);
#else
  out.Set("compiler", "gcc " __VERSION__);
#endif
#ifdef CHAINRULE_TEAM_STDTHREAD
  out.Set("team", "std::thread");
#else
  out.Set("team", "openmp");
#endif
  return out;
}

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("info", Napi::Function::New(env, info, "info"));
#ifdef CHAINRULE_SANITIZE
  plantBug(env, exports);
#endif
  return exports;
}

}  // namespace chainrule

static Napi::Object Init(Napi::Env env, Napi::Object exports) { return chainrule::init(env, exports); }
NODE_API_MODULE(chainrule, Init)
