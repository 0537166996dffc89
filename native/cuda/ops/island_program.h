#pragma once

#include <cstdint>

#include "cuda/island.h"
#include "plan/backend.h"
#include "plan/island.h"

namespace chainrule::cuda {

// An elementwise program for the interpreter, all but its pointers. The kernel has its inputs and outputs in another
// order than the graph: inputFrom[i] and outputFrom[i] are the graph's.
struct IslandProgram {
  DeviceIsland island = {};
  uint8_t inputFrom[kIslandInputs] = {}, outputFrom[kIslandOutputs] = {};
  int temporaries = 0;  // registers besides those of the inputs
};

// `in`: types of the inputs that aren't constants, in order.
IslandProgram islandProgram(const IslandCode& code, const Dims& space, std::span<const TensorType> in);

}  // namespace chainrule::cuda
