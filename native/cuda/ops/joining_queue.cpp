#include "cuda/ops/joining_queue.h"

#include <algorithm>
#include <string_view>

#include "cuda/kernels/island.cuh"

namespace chainrule::cuda {
namespace {

constexpr int64_t kThreads = 128;
constexpr int64_t kMostTiles = 4;  // that one block goes through instead of several

}  // namespace

void JoiningQueue::start(const char* name, emulation::Call call, void (*body)(), void** arguments,
                         const LaunchSize& size) {
  const bool joins =
      std::string_view(name) == KERNEL(islandSmall).name && size.grid.x <= kMostTiles && size.block.x == kThreads;
  if (!joins) {
    flush();
    to_.start(name, call, body, arguments, size);
    return;
  }
  if (waiting_.count == 0) first_ = size;
  sharedBytes_ = std::max(sharedBytes_, size.sharedBytes);
  waiting_.islands[waiting_.count++] = *static_cast<const SmallDeviceIsland*>(arguments[0]);
  if (waiting_.count == SeveralDeviceIslands::limit) flush();
}

void JoiningQueue::flush() {
  if (waiting_.count == 1) {
    to_.launch(KERNEL(islandSmall), first_, waiting_.islands[0]);
  } else if (waiting_.count > 1) {
    to_.launch(KERNEL(islandSeveral), LaunchSize{{}, {kThreads}, sharedBytes_}, waiting_);
  }
  waiting_.count = 0;
  sharedBytes_ = 0;
}

}  // namespace chainrule::cuda
