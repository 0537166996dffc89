#pragma once

#include <string>
#include <vector>

#include "ir/op.h"

namespace chainrule {

// Ops that run as one, block by block of rows: each reads the result of the one before it, and its further inputs
// follow among the node's. As an attribute of that node: attrs.extra.
struct RowChain {
  static constexpr size_t kLongest = 4;
  struct Stage {
    const OpDef* op;
    Attrs attrs;
    int inputs;  // without the first
  };
  std::vector<Stage> stages;
};

inline const RowChain& rowChainAttr(const Attrs& attrs) { return *static_cast<const RowChain*>(attrs.extra.get()); }

}  // namespace chainrule
