#pragma once

#include <string>
#include <vector>

#include "ir/op.h"

namespace chainrule {

// Ops over NHWC that run as one, block by block of rows: a gradient's elementwise part, the convolutions that read it
// and the sums over their results, say. As an attribute of that node: attrs.extra.
struct RowGraph {
  static constexpr size_t kStages = 16;
  struct Operand {
    int stage = -1;    // whose result it is, or -1: an input of the node
    size_t index = 0;  // which part of it, or which input
    bool operator==(const Operand&) const = default;
  };
  struct Stage {
    const OpDef* op;
    Attrs attrs;
    std::vector<Operand> inputs;
  };
  std::vector<Stage> stages;  // each behind those that it reads
  std::vector<Operand> results;
};

inline const RowGraph& rowGraphAttr(const Attrs& attrs) { return *static_cast<const RowGraph*>(attrs.extra.get()); }

}  // namespace chainrule
