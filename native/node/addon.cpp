// The addon's entry: builds the exports object and nothing else.
#include <napi.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "build_info.h"
#include "cpu/kernel_table.h"
#include "node/classes.h"
#include "node/environment.h"
#include "node/text_wrap.h"
#include "runtime/cores.h"
#include "runtime/devices.h"
#include "runtime/floor.h"

namespace chainrule::node {

#ifdef CHAINRULE_SANITIZE
}
namespace chainrule {
void plantBug(Napi::Env env, Napi::Object exports);  // test/native, only in sanitizer builds
}
namespace chainrule::node {
#endif

static Napi::Value info(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  Napi::Object out = Napi::Object::New(env);
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
  out.Set("isa", std::string(cpu::isaName()));
  out.Set("isaReason", std::string(cpu::isaReason()));
  Napi::Array available = Napi::Array::New(env);
  for (const char* isa : {"scalar", "avx2", "avxvnni", "avx512vnni", "avx512", "neon"}) {
    if (cpu::tableFor(isa)) available.Set(available.Length(), isa);
  }
  out.Set("isaAvailable", available);
  const ThreadLimit limit = threadLimit();
  out.Set("threads", limit.threads);
  out.Set("threadsReason", limit.reason);
  const MemoryCounters counters = memoryCounters();
  Napi::Object memory = Napi::Object::New(env);
  memory.Set("liveBytes", double(counters.liveBytes));
  memory.Set("allocations", double(counters.allocations));
  out.Set("memory", memory);
  return out;
}

static Napi::Value deviceList(Napi::Env env, const std::map<std::string, ListedMemory>& memory) {
  const DeviceList& list = listDevices();
  Napi::Array rows = Napi::Array::New(env);
  for (const DeviceDescription& device : list.devices) {
    Napi::Object row = Napi::Object::New(env);
    row.Set("id", device.id);
    row.Set("name", device.name);
    row.Set("computeCapability", std::to_string(device.major) + "." + std::to_string(device.minor));
    row.Set("memoryBytes", double(device.memoryBytes));
    if (const auto found = memory.find(device.id); found != memory.end()) {
      const auto& [use, open, limit] = found->second;
      if (use.free >= 0) row.Set("freeBytes", double(use.free));
      if (open) row.Set("usedBytes", double(use.used));
      if (open) row.Set("heldBytes", double(use.held));
      if (limit > 0) row.Set("limitBytes", double(limit));
    }
    row.Set("multiprocessors", device.multiprocessors);
    row.Set("driver", device.driver);
    rows.Set(rows.Length(), row);
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("devices", rows);
  out.Set("reason", list.reason);
  return out;
}

// The driver takes a while to start: off the main thread.
static Napi::Value devices(const Napi::CallbackInfo& call) {
  const auto memory = std::make_shared<std::map<std::string, ListedMemory>>();
  auto work = [memory] {
    listDevices();
    *memory = deviceMemory();
  };
  return submit(call.Env(), task(std::move(work)), [memory](Napi::Env env) { return deviceList(env, *memory); });
}
static Napi::Value devicesSync(const Napi::CallbackInfo& call) { return deviceList(call.Env(), {}); }

static Napi::Value releaseMemory(const Napi::CallbackInfo& call) {
  return submit(call.Env(), task([] { releaseDeviceMemory(); }), [](Napi::Env env) { return env.Undefined(); });
}

// Opens the first device, and what it finds is large.
static Napi::Value deviceLibraries(const Napi::CallbackInfo& call) {
  const auto found = std::make_shared<std::vector<LibraryDescription>>();
  const auto look = [found] {
    if (OpenDevice* const device = openDevice("auto")) device->device->libraries(*found).orThrow();
  };
  return submit(call.Env(), task(look), [found](Napi::Env env) {
    Napi::Object out = Napi::Object::New(env);
    for (const LibraryDescription& library : *found) out.Set(library.name, library.text);
    return out;
  });
}

static Napi::Value setErrorClass(const Napi::CallbackInfo& call) {
  Environment::of(call.Env()).errorClass = Napi::Persistent(call[0].As<Napi::Function>());
  return call.Env().Undefined();
}

static Napi::Value configure(const Napi::CallbackInfo& call) {
  const Napi::Object options = call[0].As<Napi::Object>();
  if (options.Get("threads").IsNumber()) setThreadLimit(options.Get("threads").As<Napi::Number>().Int32Value());
  if (options.Get("parallelThreshold").IsNumber())
    setParallelThreshold(options.Get("parallelThreshold").As<Napi::Number>());
  if (options.Get("matmulPrecision").IsString()) {
    const bool high = options.Get("matmulPrecision").As<Napi::String>().Utf8Value() == "high";
    setMatmulPrecision(high ? MatmulPrecision::high : MatmulPrecision::highest);
  }
  if (options.Get("convAlgorithm").IsString()) {
    const std::string name = options.Get("convAlgorithm").As<Napi::String>();
    setConvAlgorithm(name == "direct"     ? ConvAlgorithm::direct
                     : name == "winograd" ? ConvAlgorithm::winograd
                                          : ConvAlgorithm::automatic);
  }
  if (options.Get("autotune").IsString()) setAutotune(options.Get("autotune").As<Napi::String>());
  if (options.Get("deviceLibrary").IsString())
    setDeviceLibrary(options.Get("deviceLibrary").As<Napi::String>().Utf8Value());
  if (options.Get("memoryLimit").IsNumber()) {
    setDeviceMemoryLimit(options.Get("memoryLimitDevice").As<Napi::String>().Utf8Value(),
                         options.Get("memoryLimit").As<Napi::Number>().DoubleValue());
  }
  return call.Env().Undefined();
}

static Napi::Value floorOf(const Napi::CallbackInfo& call) {
  const int threads = std::clamp(call[0].As<Napi::Number>().Int32Value(), 1, 256);
  const auto floor = std::make_shared<Floor>();
  return submit(call.Env(), task([floor, threads] { *floor = measureFloor(threads); }), [floor](Napi::Env env) {
    Napi::Object out = Napi::Object::New(env);
    out.Set("gflops", floor->gflops);
    out.Set("streamGBs", floor->streamGBs);
    out.Set("cacheGBs", floor->cacheGBs);
    return out;
  });
}

static Napi::Value listOps(const Napi::CallbackInfo& call) {
  Napi::Array names = Napi::Array::New(call.Env());
  for (std::string_view name : opNames()) names.Set(names.Length(), std::string(name));
  return names;
}

static Napi::Value elementwiseOps(const Napi::CallbackInfo& call) {
  Napi::Array rows = Napi::Array::New(call.Env());
  for (std::string_view name : opNames()) {
    const OpDef* op = findOp(name);
    if (!op->elementwise) continue;
    Napi::Object row = Napi::Object::New(call.Env());
    row.Set("name", std::string(name));
    row.Set("arity", op->minInputs);
    row.Set("differentiable", op->differentiable);
    rows.Set(rows.Length(), row);
  }
  return rows;
}

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* environment = new Environment(env);
  env.SetInstanceData(environment);
  const auto add = [&](const char* name, Napi::Function constructor, Napi::FunctionReference& kept) {
    kept = Napi::Persistent(constructor);
    exports.Set(name, constructor);
  };
  add("Graph", GraphWrap::define(env), environment->graphClass);
  add("Variable", VariableWrap::define(env), environment->variableClass);
  add("Dataset", DatasetWrap::define(env), environment->datasetClass);
  exports.Set("Vocabulary", VocabularyWrap::define(env));
  exports.Set("TokenCounter", TokenCounterWrap::define(env));
  defineTextFunctions(env, exports);
  environment->programClass = Napi::Persistent(ProgramWrap::define(env));
  exports.Set("info", Napi::Function::New(env, info, "info"));
  exports.Set("setErrorClass", Napi::Function::New(env, setErrorClass, "setErrorClass"));
  exports.Set("configure", Napi::Function::New(env, configure, "configure"));
  exports.Set("measureFloor", Napi::Function::New(env, floorOf, "measureFloor"));
  exports.Set("devices", Napi::Function::New(env, devices, "devices"));
  exports.Set("releaseDeviceMemory", Napi::Function::New(env, releaseMemory, "releaseDeviceMemory"));
  exports.Set("deviceLibraries", Napi::Function::New(env, deviceLibraries, "deviceLibraries"));
  exports.Set("devicesSync", Napi::Function::New(env, devicesSync, "devicesSync"));
  exports.Set("opNames", Napi::Function::New(env, listOps, "opNames"));
  exports.Set("elementwiseOps", Napi::Function::New(env, elementwiseOps, "elementwiseOps"));
#ifdef CHAINRULE_SANITIZE
  plantBug(env, exports);
#endif
  return exports;
}

}  // namespace chainrule::node

static Napi::Object Init(Napi::Env env, Napi::Object exports) { return chainrule::node::init(env, exports); }
NODE_API_MODULE(chainrule, Init)
