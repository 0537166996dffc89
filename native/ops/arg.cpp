#include "cpu/kernel_table.h"
#include "ops/registry.h"
#include "ops/shape_rules.h"

namespace chainrule::ops {
namespace {

std::vector<ValueType> infer(const InferContext& c) {
  if (c.in[0].dtype != DType::f32 && c.in[0].dtype != DType::i32) {
    fail("DTYPE", "needs float32 or int32, got ", dtypeName(c.in[0].dtype), ". Convert it with cast");
  }
  Shape shape = c.in[0].shape;
  const int axis = axisAttr(c, "axis", shape.size());
  if (shape[axis].value == 0) fail("SHAPE", "axis ", axis, " of ", toString(shape), " is empty and has no extreme");
  if (c.attrs.integer("keepDims", 0)) {
    shape[axis] = Dim(1);
  } else {
    shape.erase(axis);
  }
  return {typeOf(DType::i32, shape)};
}

template <bool maximum>
Lowering lower(const LowerContext& c) {
  const AxisSplit split = splitAt(c.in[0].dims, int(c.attrs().integer("axis", 0)));
  return {.launch =
              [=, dtype = c.in[0].dtype, kernel = c.kernels.argReduce](const StepArgs& args) {
                const Range range = args.split(split.outer * split.inner);
                if (!range.empty())
                  kernel(maximum, dtype, args.in<void>(0), split.n, split.inner, args.out<int32_t>(), range.begin,
                         range.end);
              },
          .cost = double(c.in[0].count()) * 0.5};
}

const OpDef table[] = {
    {.name = "argmax", .minInputs = 1, .maxInputs = 1, .infer = infer, .lower = lower<true>, .differentiable = false},
    {.name = "argmin", .minInputs = 1, .maxInputs = 1, .infer = infer, .lower = lower<false>, .differentiable = false},
};

}  // namespace

std::span<const OpDef> argOps() { return table; }

}  // namespace chainrule::ops
