#include "cpu/kernel_table.h"
#include "ops/registry.h"
#include "ops/shape_rules.h"

namespace chainrule::ops {
namespace {

std::vector<ValueType> infer(const InferContext& c) {
  if (c.in[0].dtype != DType::f32 && c.in[0].dtype != DType::i32) {
    fail("DTYPE", "needs float32 or int32, got ", dtypeName(c.in[0].dtype), ". Convert it with cast");
  }
  axisAttr(c, "axis", c.in[0].shape.size());
  return sameAsFirst(c);
}

std::vector<ValueId> gradientOfCumsum(GradientContext& c) {
  Attrs back = c.attrs();
  back.set("reverse", int64_t(c.attrs().integer("reverse", 0) == 0));
  return {apply("cumsum", {c.grad()}, back).id};
}

template <cpu::Reduce op>
Lowering lower(const LowerContext& c) {
  const AxisSplit split = splitAt(c.in[0].dims, int(c.attrs().integer("axis", 0)));
  const bool exclusive = c.attrs().integer("exclusive", 0) != 0, reverse = c.attrs().integer("reverse", 0) != 0;
  return {.launch =
              [=, dtype = c.in[0].dtype, kernel = c.kernels.cumulative](const StepArgs& args) {
                const Range lines = args.split(split.outer * split.inner);
                if (!lines.empty())
                  kernel(op, dtype, args.in<void>(0), split.n, split.inner, exclusive, reverse, args.out<void>(),
                         lines.begin, lines.end);
              },
          .cost = double(c.in[0].count()) * 1.2};
}

const OpDef table[] = {
    {.name = "cumsum",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = infer,
     .gradient = gradientOfCumsum,
     .lower = lower<cpu::Reduce::sum>},
    // Exists for the gradient of reduceProd.
    {.name = "cumprod", .minInputs = 1, .maxInputs = 1, .infer = infer, .lower = lower<cpu::Reduce::prod>},
};

}  // namespace

std::span<const OpDef> cumulativeOps() { return table; }

}  // namespace chainrule::ops
