#pragma once

#include <memory>
#include <vector>

#include "plan/backend.h"
#include "plan/island.h"

namespace chainrule::ops {

// The one-instruction program of an elementwise node.
IslandCode islandOf(std::string_view op, std::span<const ValueType> in, const ValueType& out);

// Runs `code` over flat elements [begin, end) of its space; inputs that aren't constants, then outputs, in order.
using IslandRun =
    std::function<void(void* const* in, void* const* out, int64_t begin, int64_t end, std::byte* scratch)>;
struct LoweredIsland {
  IslandRun run;
  int64_t elements = 0;
  double cost = 0;
  size_t scratch = 0;
};
// readFromCache: what it writes is read again while it is there.
LoweredIsland lowerIsland(const IslandCode& code, const Dims& space, std::span<const TensorType> in,
                          const cpu::KernelTable& kernels, bool readFromCache = true);
double instructionCost(std::string_view name);  // rough nanoseconds per element
// Likewise of a write that fetches the line first and a read, 12 bytes where memory gives a core about 10 GB/s. That is
// an exp or erf and a few cheap ops.
constexpr double kMemoryCost = 1.2;
// An elementwise node as an island of one instruction.
Node islandNode(const Graph& graph, const Node& node);
Lowering lowerElementwise(const LowerContext& c);  // of a single elementwise node

}  // namespace chainrule::ops
