#include "node/environment.h"

namespace chainrule::node {

JsQueue::JsQueue(Napi::Env env) : env_(env) {
  napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "chainrule"), 0, 1, nullptr, nullptr,
                                  nullptr, call, &function_);
  napi_unref_threadsafe_function(env, function_);
}

JsQueue::~JsQueue() { napi_release_threadsafe_function(function_, napi_tsfn_abort); }

void JsQueue::post(std::function<void(Napi::Env)> work) {
  auto* data = new std::function<void(Napi::Env)>(std::move(work));
  if (napi_call_threadsafe_function(function_, data, napi_tsfn_nonblocking) != napi_ok) delete data;
}

void JsQueue::hold() {
  if (held_++ == 0) napi_ref_threadsafe_function(env_, function_);
}

void JsQueue::letGo() {
  if (--held_ == 0) napi_unref_threadsafe_function(env_, function_);
}

void JsQueue::call(napi_env env, napi_value, void*, void* data) {
  const std::unique_ptr<std::function<void(Napi::Env)>> work(static_cast<std::function<void(Napi::Env)>*>(data));
  if (!env) return;  // the environment is being torn down
  try {
    const Napi::HandleScope scope(env);
    (*work)(Napi::Env(env));
  } catch (const Napi::Error& error) {
    // A callback of the user threw, or the environment is being terminated and takes no more calls.
    napi_value exception = error.IsEmpty() ? nullptr : napi_value(error.Value());
    if (exception) napi_fatal_exception(env, exception);
  }
}

Environment::Environment(Napi::Env env) : queue(std::make_shared<JsQueue>(env)) {
  // Before handles die: the lane stops at its next step boundary.
  env.AddCleanupHook([this] {
    lane_.reset();
    crew.dismiss();
  });
}

Environment::~Environment() = default;

Lane& Environment::lane() {
  if (!lane_) lane_ = std::make_unique<Lane>();
  return *lane_;
}

Napi::Error toJs(Napi::Env env, const std::exception& error) {
  const auto* own = dynamic_cast<const Error*>(&error);
  const bool memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr;
  const std::string code = "ERR_CHAINRULE_" + (own ? own->code() : memory ? "OOM" : "INTERNAL");
  Napi::FunctionReference& errorClass = Environment::of(env).errorClass;
  if (errorClass.IsEmpty()) {
    Napi::Error plain = Napi::Error::New(env, error.what());
    plain.Set("code", code);
    return plain;
  }
  const Napi::Object made = errorClass.New({Napi::String::New(env, code), Napi::String::New(env, error.what())});
  return Napi::Error(env, made);
}

Napi::Promise submit(Napi::Env env, std::shared_ptr<Job> job, std::function<Napi::Value(Napi::Env)> result) {
  Environment& environment = Environment::of(env);
  const auto deferred = std::make_shared<Napi::Promise::Deferred>(env);
  const Napi::Promise promise = deferred->Promise();
  environment.queue->hold();
  job->done = [queue = environment.queue, deferred, result = std::move(result)](std::exception_ptr error) {
    queue->post([queue, deferred, result, error](Napi::Env env) {
      queue->letGo();
      try {
        if (error) std::rethrow_exception(error);
        deferred->Resolve(result(env));
      } catch (const Napi::Error& failure) {
        deferred->Reject(failure.Value());
      } catch (const std::exception& failure) {
        deferred->Reject(toJs(env, failure).Value());
      }
    });
  };
  environment.lane().submit(std::move(job));
  return promise;
}

Napi::Object submitCancellable(Napi::Env env, std::shared_ptr<Job> job, std::function<Napi::Value(Napi::Env)> result) {
  Napi::Object handle = Napi::Object::New(env);
  const std::weak_ptr<Job> weak = job;
  handle.Set("promise", submit(env, std::move(job), std::move(result)));
  handle.Set("cancel", Napi::Function::New(env, [weak](const Napi::CallbackInfo&) {
               if (const auto running = weak.lock()) running->cancel();
             }));
  return handle;
}

std::shared_ptr<const void> pin(Napi::Object object) {
  auto* reference = new Napi::ObjectReference(Napi::Persistent(object));
  const std::shared_ptr<JsQueue> queue = Environment::of(object.Env()).queue;
  return std::shared_ptr<const void>(reference, [queue](const void* held) {
    auto* owned = static_cast<Napi::ObjectReference*>(const_cast<void*>(held));
    queue->post([owned](Napi::Env) { delete owned; });
  });
}

}  // namespace chainrule::node
