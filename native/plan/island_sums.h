#pragma once

#include <memory>
#include <vector>

#include "plan/island.h"

namespace chainrule {

// An island and sums or means of its outputs over leading axes. The node's parts are the outputs that something else
// reads, then the sums. As an attribute of a node: attrs.extra.
struct IslandSums {
  struct Sum {
    size_t output;  // of the island
    const OpDef* op;
    Attrs attrs;
  };
  std::shared_ptr<const IslandCode> code;
  std::vector<size_t> kept;  // outputs
  std::vector<Sum> sums;
};

inline const IslandSums& islandSumsAttr(const Attrs& attrs) {
  return *static_cast<const IslandSums*>(attrs.extra.get());
}

}  // namespace chainrule
