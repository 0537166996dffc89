#pragma once

#include <cstddef>
#include <cstdint>

// A grid on one thread of the host: every thread of a block is a fiber that yields at barriers. Blocks run one after
// the other in order. Slow and exact: it judges the index logic of kernels where there is no GPU.
namespace chainrule::cuda::emulation {

struct Index {
  uint32_t x = 1, y = 1, z = 1;
};
extern Index gridDim, blockDim, blockIdx, threadIdx;  // of the fiber that runs

void syncBlock();
void syncWarp();
// The value that the given lane of this warp hands over.
uint64_t exchange(uint64_t value, int lane);
// The values of all lanes of this warp: valid until the caller's next syncWarp.
const uint64_t* exchangeAll(uint64_t value);
void* dynamicShared();

// `call(body, arguments)` for every thread. Throws Error("INTERNAL") if threads wait for others that have ended.
using Call = void (*)(void (*body)(), void** arguments);
void runGrid(const char* name, Call call, void (*body)(), void** arguments, Index grid, Index block,
             size_t sharedBytes);

}  // namespace chainrule::cuda::emulation
