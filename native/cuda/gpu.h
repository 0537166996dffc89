#pragma once

#include <vector>

#include "cuda/devices.h"
#include "cuda/driver.h"

namespace chainrule::cuda {

constexpr unsigned kUntimed = 2;  // flag of an event

inline CuPointer address(const void* memory) { return CuPointer(reinterpret_cast<uintptr_t>(memory)); }

// What all that works on a GPU shares: the driver, its context, its streams.
struct Gpu {
  const Driver& driver = driverState().driver;
  CuStream stream = nullptr, copies = nullptr;  // `copies`: what goes over beside the steps
  std::vector<CuModule> modules;
  int mostShared = 0;
  CuContext context = nullptr;
  mutable Outcome lost;  // what the driver said when it lost the context: no call after that would mean anything

  Outcome outcome(CuResult result, const char* call) const {
    Outcome found = outcomeOf(driver, result, call);
    if (found.code == "DEVICE_LOST" && !lost.failed()) lost = found;
    return found;
  }
  void check(CuResult result, const char* call) const { outcome(result, call).orThrow(); }
  // Before the calls of any thread.
  void enter() const {
    lost.orThrow();
    driver.ctxSetCurrent(context);
  }
  // Runs `body`, which calls the driver; what it throws becomes an outcome.
  template <typename Body>
  Outcome calling(Body body) const {
    return outcomeFrom([&] {
      enter();
      body();
    });
  }
  // The same for what gives something back: there is nobody to tell.
  template <typename Body>
  void returning(Body body) const {
    if (lost.failed()) return;
    driver.ctxSetCurrent(context);
    body();
  }
};

// An event that is destroyed whatever happens.
class Event {
 public:
  Event(const Gpu& gpu, unsigned flags) : gpu_(gpu) {
    gpu_.check(gpu_.driver.eventCreate(&event_, flags), "cuEventCreate");
  }
  ~Event() {
    gpu_.returning([&] { gpu_.driver.eventDestroy(event_); });
  }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  operator CuEvent() const { return event_; }

 private:
  const Gpu& gpu_;
  CuEvent event_ = nullptr;
};

}  // namespace chainrule::cuda
