#include "ops/registry.h"
#include "ops/shape_rules.h"

// Ops that only rename memory. The last two exist for autodiff and are gone after simplify.

namespace chainrule::ops {
namespace {

std::vector<ValueType> inferReshape(const InferContext& c) {
  const Shape& from = c.in[0].shape;
  Shape to = shapeAttr(c.attrs, "shape");
  const Dim total = product(from);
  if (const int64_t wildcard = c.attrs.integer("infer", -1); wildcard >= 0) {
    Dim& hole = to[int(wildcard)];
    hole = Dim(1);
    const Dim rest = product(to);
    const bool fits = rest.value != 0 && total.value % rest.value == 0 && (total.perBatch || !rest.perBatch);
    if (!fits) fail("SHAPE", toString(from), " does not divide into ", toString(to), " with one dimension to infer");
    hole = Dim(total.value / rest.value, total.perBatch && !rest.perBatch);
  }
  if (!(product(to) == total)) {
    fail("SHAPE", "cannot reshape ", toString(from), " (", toString(total), " elements) to ", toString(to), " (",
         toString(product(to)), " elements)");
  }
  return {typeOf(c.in[0].dtype, to)};
}

std::vector<ValueId> gradientOfReshape(GradientContext& c) { return {reshape(c.grad(), c.in(0).shape()).id}; }

const OpDef table[] = {
    {.name = "reshape",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = inferReshape,
     .gradient = gradientOfReshape,
     .view = true},
    {.name = "stopGradient",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = sameAsFirst,
     .view = true,
     .differentiable = false},
    // y, dy, x1..xn, dx1..dxn: the value y, whose gradients are the traced dx with dy replaced (see autodiff.cpp).
    {.name = "customGradient", .minInputs = 4, .maxInputs = 2 + 2 * 64, .infer = sameAsFirst, .view = true},
};

}  // namespace

std::span<const OpDef> viewOps() { return table; }

}  // namespace chainrule::ops
