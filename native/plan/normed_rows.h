#pragma once

#include "plan/backend.h"

namespace chainrule {

// Over how many of the last axes rows are normalized.
inline int64_t normedAxes(const Attrs& attrs) { return attrs.integer("axes", 1); }

struct NormedRows {
  int64_t count = 1, n = 1;

  explicit NormedRows(const LowerContext& c) {
    const Dims& dims = c.in[0].dims;
    for (int i = 0; i < dims.size(); ++i) (i < dims.size() - normedAxes(c.attrs()) ? count : n) *= dims[i];
  }
};

}  // namespace chainrule
