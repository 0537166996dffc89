#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plan/backend.h"

namespace chainrule::cuda {

// The ways to compute a node. A name is all that a file says of a way: "64x64", or with data for whoever makes it,
// "cuBLASLt-1:0123abcd".
struct Ways {
  std::string key;      // what is computed: all that times depend on, but for the machine
  std::string library;  // what is there beside the kernels here, with its version: "cuBLASLt 13.1.2", "no cuDNN"
  std::function<std::vector<std::string>()> names;
  std::function<std::optional<Lowering>(std::string_view name)> make;  // nothing: there is no such way here
  std::function<Lowering()> byRule;                                    // what the shape alone says, measuring nothing
};

// By the way that the node's autotune file names or, where it names none that there is here, by the one that is the
// fastest when all are measured now, which the file then names. By rule where there is no memory to measure in. The
// device must do nothing else meanwhile.
Lowering lowerFastest(const LowerContext& node, const Ways& ways);

}  // namespace chainrule::cuda
