#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <tuple>

#include "base/panels.h"
#include "ir/graph.h"

namespace chainrule {

namespace cpu {
struct KernelTable;
}

class Device;       // plan/device.h
class DeviceQueue;  // likewise

// A value with its sizes known.
struct TensorType {
  DType dtype = DType::f32;
  Dims dims;
  Layout layout = Layout::rowMajor;

  int64_t count() const { return elementCount(dims); }
  int64_t physicalCount() const {
    if (layout == Layout::rowMajor) return count();
    return dims.back() == 0 ? 0 : panelSize(dtype, count() / dims.back(), dims.back());
  }
  int64_t bytes() const { return physicalCount() * byteSize(dtype); }
};

// Of float32 products on devices: high may round the factors to 10 bits of mantissa (tf32), as TensorFlow does.
enum class MatmulPrecision : uint8_t { highest, high };

// What an op sees when a graph becomes a plan for one batch size.
struct LowerContext {
  const Graph& graph;
  const Node& node;
  int64_t batch;
  std::span<const TensorType> in;
  std::span<const TensorType> out;
  const cpu::KernelTable& kernels;
  std::span<const bool> used;  // parts of the output that somebody reads; the others have no memory
  MatmulPrecision precision = MatmulPrecision::highest;
  std::string_view autotune = {};  // the file of choices that were measured on devices; empty: nothing is measured
  Device* device = nullptr;        // that the plan is for; null: the CPU

  const Attrs& attrs() const { return node.attrs; }
  const Shape& outShape(int part = 0) const { return graph.type(node.first + ValueId(part)).shape; }
};

// Where a launch reports data it cannot compute with (an index out of range): the first position of the first step
// wins, on any team size.
class Fault {
 public:
  struct Place {
    size_t step = SIZE_MAX;  // of the walk
    int64_t position = 0;    // element of the indices
    int64_t value = 0;       // what stands there
    int64_t limit = 0;       // it must be below
    int64_t rowSize = 0;     // indices that make up a row of the batch; 0: their first axis is not the batch
  };
  void report(const Place& place) {
    const std::lock_guard guard(mutex_);
    if (std::tie(place.step, place.position) < std::tie(first_.step, first_.position)) first_ = place;
  }
  bool occurred() const { return first_.step != SIZE_MAX; }
  const Place& first() const { return first_; }

 private:
  std::mutex mutex_;
  Place first_;
};

struct Range {
  int64_t begin = 0;
  int64_t end = 0;
  bool empty() const { return begin >= end; }
};

// What a launch sees at run time: memory, and which member of the team it is. Every member calls every parallel launch.
struct StepArgs {
  void* const* slots = nullptr;
  const uint32_t* operands = nullptr;  // inputs, then outputs, as slot numbers
  int inputs = 0;
  std::byte* shared = nullptr;  // scratch that all members see
  std::byte* own = nullptr;     // scratch of this member
  int member = 0;
  int members = 1;
  void* team = nullptr;
  void (*meet)(void* team) = nullptr;
  Fault* fault = nullptr;
  size_t step = 0;               // number in the walk
  DeviceQueue* queue = nullptr;  // where a device's launch puts its kernels; then pointers are the device's
  const int64_t* deviceRowOffset = nullptr;
  uint64_t* deviceFault = nullptr;  // of this step
  int64_t rowOffset = 0;            // global index of row 0 of the batch, for random ops

  template <typename T>
  const T* in(int i) const {
    return static_cast<const T*>(slots[operands[i]]);
  }
  template <typename T>
  T* out(int i = 0) const {
    return static_cast<T*>(slots[operands[inputs + i]]);
  }
  void barrier() const {
    if (members > 1) meet(team);
  }
  // This member's share of `total` items, in multiples of `grain`.
  Range split(int64_t total, int64_t grain = 1) const {
    const int64_t blocks = (total + grain - 1) / grain;
    const int64_t begin = blocks * member / members * grain;
    const int64_t end = blocks * (member + 1) / members * grain;
    return {std::min(begin, total), std::min(end, total)};
  }
};

using Launch = std::function<void(const StepArgs&)>;

struct Lowering {
  Launch launch;
  double cost = 0;  // nanoseconds on one core, roughly; decides whether the team is worth waking
  size_t sharedScratch = 0;
  size_t memberScratch = 0;
  bool serial = false;  // only member 0 runs it
  double flop = 0;      // of its products, for the profile
  // On a device, of an op that picks rows by index: the first index beyond the limit leaves position << 32 | index in
  // the step's fault. rowSize as in Fault::Place.
  int64_t indexLimit = 0, indexRowSize = 0;
  std::string way;  // of several to compute it, the one that was measured as the fastest; empty: nothing was measured
};

}  // namespace chainrule
