#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "cuda/emulation.h"
#include "plan/device.h"

namespace chainrule::cuda {

using CuStream = struct CuStreamRecord*;  // as in cuda/driver.h

struct Extent {
  int64_t x = 1, y = 1, z = 1;
};
struct LaunchSize {
  Extent grid, block;
  int64_t sharedBytes = 0;  // dynamic
};

// A kernel by its name in the device's code, and its body for the emulated grid.
template <typename... P>
struct Kernel {
  const char* name;
  void (*body)(P...);
};
template <typename... P>
constexpr Kernel<P...> kernelOf(const char* name, void (*body)(P...)) {
  return {name, body};
}
#define KERNEL(name) ::chainrule::cuda::kernelOf(#name, name)

// Where launches go: a stream of a GPU, or the emulated grid. What fails throws.
class Queue : public DeviceQueue {
 public:
  template <typename... P>
  void launch(const Kernel<P...>& kernel, const LaunchSize& size, std::type_identity_t<P>... arguments) {
    void* pointers[] = {const_cast<void*>(static_cast<const void*>(&arguments))...};
    if (size.grid.x * size.grid.y * size.grid.z == 0) return;
    start(kernel.name, &call<P...>, reinterpret_cast<void (*)()>(kernel.body), pointers, size);
  }
  virtual int64_t mostShared() const = 0;  // bytes that a block can have
  virtual CuStream stream() = 0;           // for work that a library puts there itself, after all that came before
  virtual void fill(void* memory, uint32_t word, int64_t words) = 0;
  virtual void upload(void* to, const void* from, int64_t bytes) = 0;    // host memory from allocateHost
  virtual void download(void* to, const void* from, int64_t bytes) = 0;  // likewise

 private:
  template <typename... P>
  static void call(void (*body)(), void** arguments) {
    callWith<P...>(reinterpret_cast<void (*)(P...)>(body), arguments, std::index_sequence_for<P...>{});
  }
  template <typename... P, size_t... i>
  static void callWith(void (*body)(P...), void** arguments, std::index_sequence<i...>) {
    body(*static_cast<std::remove_reference_t<P>*>(arguments[i])...);
  }
  virtual void start(const char* name, emulation::Call call, void (*body)(), void** arguments,
                     const LaunchSize& size) = 0;
};

inline Queue& queueOf(const StepArgs& args) { return *static_cast<Queue*>(args.queue); }

// One thread for each of `count` items, in blocks of `threads`.
inline LaunchSize threadsFor(int64_t count, int64_t threads = 256) {
  return {{(count + threads - 1) / threads}, {threads}};
}

// The launches of one file of cuda/ops; registry.cpp joins them.
struct Launcher {
  std::string_view op;
  Lowering (*lower)(const LowerContext&);
};
using Launchers = std::span<const Launcher>;

Launchers attentionLaunchers();
Launchers convLaunchers();
Launchers factorLaunchers();
Launchers gatherLaunchers();
Launchers islandLaunchers();
Launchers joinLaunchers();
Launchers lineLaunchers();
Launchers matmulLaunchers();
Launchers momentsLaunchers();
Launchers moveLaunchers();
Launchers poolLaunchers();
Launchers randomLaunchers();
Launchers recurrentLaunchers();
Launchers reduceLaunchers();
Launchers layerNormLaunchers();
Launchers rowLaunchers();
Launchers solveLaunchers();
Launchers sortLaunchers();

// Null where there is none.
const Launcher* findLauncher(std::string_view op);

}  // namespace chainrule::cuda
