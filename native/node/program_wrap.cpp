#include "node/classes.h"
#include "node/convert.h"

namespace chainrule::node {
namespace {

int64_t integerOption(const Napi::Object& options, const char* name, int64_t fallback) {
  const Napi::Value value = options.Get(name);
  return value.IsNumber() ? value.As<Napi::Number>().Int64Value() : fallback;
}

bool flag(const Napi::Object& options, const char* name) { return options.Get(name).ToBoolean().Value(); }

Napi::Object optionsAt(const Napi::CallbackInfo& call, size_t index) {
  return call[index].IsObject() ? call[index].As<Napi::Object>() : Napi::Object::New(call.Env());
}

EpochOptions epochOptions(const Napi::Object& options) {
  EpochOptions epoch;
  epoch.batchSize = integerOption(options, "batchSize", 32);
  epoch.begin = integerOption(options, "begin", 0);
  epoch.end = integerOption(options, "end", 0);
  epoch.shuffle = flag(options, "shuffle");
  epoch.seed = uint64_t(integerOption(options, "seed", 0));
  epoch.epoch = uint32_t(integerOption(options, "epoch", 0));
  epoch.firstStep = integerOption(options, "firstStep", 0);
  epoch.steps = integerOption(options, "steps", 0);
  epoch.collect = flag(options, "collect");
  epoch.again = flag(options, "again");
  return epoch;
}

}  // namespace

Napi::Function ProgramWrap::define(Napi::Env env) {
  return DefineClass(
      env, "NativeProgram",
      {InstanceAccessor<&ProgramWrap::inputNames>("inputNames"), InstanceAccessor<&ProgramWrap::device>("device"),
       InstanceMethod<&ProgramWrap::run>("run"), InstanceMethod<&ProgramWrap::runSync>("runSync"),
       InstanceMethod<&ProgramWrap::runRowSync>("runRowSync"), InstanceMethod<&ProgramWrap::epoch>("epoch"),
       InstanceMethod<&ProgramWrap::prepare>("prepare"), InstanceMethod<&ProgramWrap::describe>("describe"),
       InstanceMethod<&ProgramWrap::profile>("profile"), InstanceMethod<&ProgramWrap::counters>("counters")});
}

ProgramWrap::ProgramWrap(const Napi::CallbackInfo& call) : ObjectWrap(call) {
  program_ = *call[0].As<Napi::External<std::shared_ptr<Program>>>().Data();
}

Napi::Value ProgramWrap::wrap(Napi::Env env, std::shared_ptr<Program> program) {
  return Environment::of(env).programClass.New({Napi::External<std::shared_ptr<Program>>::New(env, &program)});
}

Napi::Value ProgramWrap::device(const Napi::CallbackInfo& call) {
  return Napi::String::New(call.Env(), program_->deviceId());
}

Napi::Value ProgramWrap::inputNames(const Napi::CallbackInfo& call) {
  Napi::Array names = Napi::Array::New(call.Env());
  for (const std::string& name : program_->graph().inputNames) names.Set(names.Length(), name);
  return names;
}

std::shared_ptr<RunJob> ProgramWrap::jobFor(const Napi::CallbackInfo& call) {
  const auto job = std::make_shared<RunJob>();
  job->program = program_;
  for (const BoundArray& bound : boundListFrom(call[0])) {
    Column column = columnFrom(bound, false);
    job->inputs.push_back(column.array);
    job->owners.push_back(std::move(column.owner));
  }
  program_->batchOf(job->inputs);  // so that bad shapes are thrown at the caller's own line
  const Napi::Object options = optionsAt(call, 1);
  job->rowOffset = integerOption(options, "rowOffset", 0);
  job->checkFinite = flag(options, "checkFinite");
  return job;
}

Napi::Value ProgramWrap::run(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    const std::shared_ptr<RunJob> job = jobFor(call);
    const std::vector<TensorType> types = program_->outputTypes(program_->batchOf(job->inputs));
    int64_t bytes = 0;
    for (const TensorType& type : types) bytes += type.bytes();
    // Large ones are the job's: V8 has limits, and takes what the machine doesn't have.
    if (bytes <= kCopied || bytes >= kMappedAlways) {
      return submitCancellable(call.Env(), job,
                               [job](Napi::Env env) { return boundListOf(env, std::move(job->results)); });
    }
    UnwrittenResults results = unwrittenResults(call.Env(), types);
    job->outputs = std::move(results.data);
    return submitCancellable(call.Env(), job, [held = pin(results.list)](Napi::Env) -> Napi::Value {
      return static_cast<const Napi::ObjectReference*>(held.get())->Value();
    });
  });
}

Napi::Value ProgramWrap::runSync(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    const std::vector<BoundArray> bound = boundListFrom(call[0]);
    const Napi::Object options = optionsAt(call, 1);
    std::vector<ArrayRef> inputs;
    std::vector<const void*> in;
    for (const BoundArray& array : bound) {
      inputs.push_back(array.array);
      in.push_back(array.array.data);
    }
    const int64_t batch = program_->batchOf(inputs);
    Environment& environment = Environment::of(call.Env());
    if (flag(options, "checkFinite")) program_->expectFinite(inputs, environment.inlineMachine);
    const UnwrittenResults results = unwrittenResults(call.Env(), program_->outputTypes(batch));
    program_->run(environment.inlineMachine,
                  {batch, in, results.data, integerOption(options, "rowOffset", 0), &environment.crew, false});
    return results.list;
  });
}

Napi::Value ProgramWrap::runRowSync(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    const BoundArray row = typedArrayFrom(call[0]), out = typedArrayFrom(call[1]);
    const auto [rowLength, outLength] = program_->rowLengths();
    if (row.array.dtype != DType::f32 || out.array.dtype != DType::f32 || row.array.dims[0] != rowLength ||
        out.array.dims[0] != outLength) {
      fail("SHAPE", "takes a Float32Array of ", rowLength, " features and one of ", outLength, " results, got ",
           row.array.dims[0], " and ", out.array.dims[0]);
    }
    const void* in[] = {row.array.data};
    void* results[] = {const_cast<void*>(out.array.data)};
    Environment& environment = Environment::of(call.Env());
    program_->run(environment.inlineMachine, {1, in, results, 0, &environment.crew, false});
    return call.Env().Undefined();
  });
}

Napi::Value ProgramWrap::epoch(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    const Napi::Object options = optionsAt(call, 1);
    const auto job = std::make_shared<EpochJob>(program_, DatasetWrap::from(call[0]), epochOptions(options));
    if (options.Get("onProgress").IsFunction()) {
      const std::shared_ptr<const void> held = pin(options.Get("onProgress").As<Napi::Object>());
      job->onProgress = [queue = Environment::of(call.Env()).queue, held](int64_t steps) {
        queue->post([held, steps](Napi::Env env) {
          const auto* callback = static_cast<const Napi::ObjectReference*>(held.get());
          callback->Value().As<Napi::Function>().Call({Napi::Number::New(env, double(steps))});
        });
      };
    }
    return submitCancellable(call.Env(), job, [job](Napi::Env env) {
      Napi::Object result = Napi::Object::New(env);
      result.Set("steps", Napi::Number::New(env, double(job->stepsDone())));
      result.Set("outputs", boundListOf(env, std::move(job->results)));
      return result;
    });
  });
}

Napi::Value ProgramWrap::prepare(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    std::vector<uint32_t> sizes = idsFrom(call[0]);
    auto work = [program = program_, sizes] {
      for (uint32_t size : sizes) program->prepare(size);
    };
    return submit(call.Env(), task(std::move(work)), [](Napi::Env env) { return env.Undefined(); });
  });
}

Napi::Value ProgramWrap::describe(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    const int64_t batch = call[0].IsNumber() ? call[0].As<Napi::Number>().Int64Value() : 0;
    return Napi::String::New(call.Env(), program_->describe(batch));
  });
}

Napi::Value ProgramWrap::profile(const Napi::CallbackInfo& call) {
  return guarded(call.Env(), [&] {
    const std::shared_ptr<RunJob> job = jobFor(call);
    const Napi::Object options = optionsAt(call, 1);
    job->timedRepeats = int(std::clamp<int64_t>(integerOption(options, "repeats", 10), 1, 1 << 20));
    const Napi::Object measured = options.Get("floor").As<Napi::Object>();
    const auto number = [&](const char* name) { return measured.Get(name).As<Napi::Number>().DoubleValue(); };
    const Floor floor{number("gflops"), number("streamGBs")};
    const int64_t batch = program_->batchOf(job->inputs);
    return submit(call.Env(), job, [job, batch, floor](Napi::Env env) {
      return Napi::String::New(env, job->program->profileText(batch, floor));
    });
  });
}

Napi::Value ProgramWrap::counters(const Napi::CallbackInfo& call) {
  Napi::Object counters = Napi::Object::New(call.Env());
  counters.Set("plans", Napi::Number::New(call.Env(), double(program_->counters().plans)));
  return counters;
}

}  // namespace chainrule::node
