#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "runtime/crew.h"
#include "runtime/lane.h"

namespace chainrule::node {

// Work that goes from other threads to the environment's JavaScript thread.
class JsQueue {
 public:
  explicit JsQueue(Napi::Env env);
  ~JsQueue();
  // From any thread. Dropped if the environment is going away.
  void post(std::function<void(Napi::Env)> work);
  // On the JavaScript thread: pending work keeps the event loop alive, an idle queue does not.
  void hold();
  void letGo();

 private:
  static void call(napi_env env, napi_value, void*, void* data);
  napi_env env_;
  napi_threadsafe_function function_ = nullptr;
  int held_ = 0;
};

// What belongs to one JavaScript environment (main thread or worker).
struct Environment {
  explicit Environment(Napi::Env env);
  ~Environment();
  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

  Lane& lane();  // started at first use

  std::shared_ptr<JsQueue> queue;
  Machine inlineMachine;  // for runs on the JavaScript thread
  Crew crew{inlineMachine};
  Napi::FunctionReference errorClass, graphClass, variableClass, programClass, datasetClass;

 private:
  std::unique_ptr<Lane> lane_;
};

// The JavaScript error for a native one.
Napi::Error toJs(Napi::Env env, const std::exception& error);

// Runs a method's body; whatever it throws becomes a ChainruleError.
template <typename Body>
auto guarded(Napi::Env env, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::exception& error) {
    throw toJs(env, error);
  }
}

// A promise for a job: `result` makes the JavaScript value, on the JavaScript thread, when the job is done.
Napi::Promise submit(Napi::Env env, std::shared_ptr<Job> job, std::function<Napi::Value(Napi::Env)> result);
// The same with a way to stop it: { promise, cancel() }.
Napi::Object submitCancellable(Napi::Env env, std::shared_ptr<Job> job, std::function<Napi::Value(Napi::Env)> result);

// Keeps a JavaScript object alive from any thread; the reference itself dies on the JavaScript thread.
std::shared_ptr<const void> pin(Napi::Object object);

}  // namespace chainrule::node
