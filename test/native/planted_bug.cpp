// A bug on purpose, compiled into sanitizer builds only: `npm run sanitize` first shows that it is caught. A sanitizer
// run that reports nothing proves something only if the sanitizer was really there.
#include <napi.h>

#include <cstdlib>
#include <limits>
#include <string>
#include <thread>

namespace chainrule {

static int heapOverflow(volatile int& size) {  // volatile: the compiler must not see the size, or UBSan reports first
  volatile char* bytes = new char[size];
  bytes[size] = 1;
  const int value = bytes[size];
  delete[] bytes;
  return value;
}

static int dataRace() {
  int counter = 0;
  std::thread other([&] {
    for (int i = 0; i < 100000; ++i) ++counter;
  });
  for (int i = 0; i < 100000; ++i) ++counter;
  other.join();
  return counter;
}

static Napi::Value run(const Napi::CallbackInfo& call) {
  const std::string kind = call[0].As<Napi::String>();
  volatile int size = 16;
  int value = 0;
  if (kind == "heap-overflow") value = heapOverflow(size);
  if (kind == "signed-overflow") value = std::numeric_limits<int>::max() + call[1].As<Napi::Number>().Int32Value();
  if (kind == "data-race") value = dataRace();
  return Napi::Number::New(call.Env(), value);
}

void plantBug(Napi::Env env, Napi::Object exports) {
  if (std::getenv("CHAINRULE_PLANT_BUG")) exports.Set("plantedBug", Napi::Function::New(env, run, "plantedBug"));
}

}  // namespace chainrule
