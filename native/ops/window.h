#pragma once

#include "ops/shape_rules.h"

namespace chainrule::ops {

// A sliding window over the two spatial axes of NHWC, padding given in full: [top, bottom, left, right].
struct Window {
  int64_t size[2], stride[2], dilation[2], before[2], after[2];

  int64_t reach(int axis) const { return (size[axis] - 1) * dilation[axis] + 1; }
  // The elements of `length` under the window of output i.
  int64_t first(int axis, int64_t i) const { return std::max<int64_t>(0, i * stride[axis] - before[axis]); }
  int64_t end(int axis, int64_t i, int64_t length) const {
    return std::min(length, i * stride[axis] - before[axis] + reach(axis));
  }

  Dim outputs(int axis, const Dim& in) const {
    if (in.perBatch) fail("SHAPE", "a spatial axis cannot depend on the batch size");
    const int64_t room = in.value + before[axis] + after[axis] - reach(axis);
    if (room < 0) {
      fail("SHAPE", "a window of ", reach(axis), " does not fit into ", in.value, " plus padding ",
           before[axis] + after[axis], axis == 0 ? " (height)" : " (width)",
           ". Use a smaller kernel or padding \"same\"");
    }
    return Dim(room / stride[axis] + 1);
  }
};

inline Window windowOf(const InferContext& c, const std::vector<int64_t>& size) {
  const auto strides = c.attrs.integers("strides"), dilations = c.attrs.integers("dilations", {1, 1});
  const auto padding = c.attrs.integers("padding", {0, 0, 0, 0});
  if (size.size() != 2 || strides.size() != 2 || dilations.size() != 2 || padding.size() != 4) {
    fail("SHAPE", "size, strides and dilations need two entries, padding four");
  }
  Window window;
  for (size_t axis : {size_t(0), size_t(1)}) {
    window.size[axis] = size[axis];
    window.stride[axis] = strides[axis];
    window.dilation[axis] = dilations[axis];
    window.before[axis] = padding[2 * axis];
    window.after[axis] = padding[2 * axis + 1];
    if (size[axis] < 1 || strides[axis] < 1 || dilations[axis] < 1 || padding[2 * axis] < 0 ||
        padding[2 * axis + 1] < 0) {
      fail("SHAPE", "size, strides and dilations must be at least 1 and padding at least 0");
    }
  }
  return window;
}

}  // namespace chainrule::ops
