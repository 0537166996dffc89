#include "cpu/kernel_table.h"
#include "cpu/split.h"
#include "ops/registry.h"
#include "ops/shape_rules.h"
#include "plan/normed_rows.h"

// Rows to mean 0 and variance 1 over the last `axes` axes, the core of layer normalization
// (https://arxiv.org/abs/1607.06450); centred = 0 leaves the mean out (https://arxiv.org/abs/1910.07467). Parts: the
// rows y, and what they were multiplied by.

namespace chainrule::ops {
namespace {

bool centred(const Attrs& attrs) { return attrs.integer("centred", 1) != 0; }

std::vector<ValueType> infer(const InferContext& c) {
  expectDType(c, 0, DType::f32);
  const Shape& x = c.in[0].shape;
  const int64_t axes = normedAxes(c.attrs);
  if (axes < 1 || axes > x.size()) fail("SHAPE", "cannot take the last ", axes, " axes of ", toString(x));
  Shape scale = x;
  for (int i = x.size() - int(axes); i < x.size(); ++i) {
    if (x[i].perBatch) fail("SHAPE", "the batch of ", toString(x), " cannot be one of the axes");
    scale[i] = Dim(1);
  }
  return {typeOf(DType::f32, x), typeOf(DType::f32, scale)};
}

std::vector<ValueType> inferGradient(const InferContext& c) {
  for (int i = 0; i < 3; ++i) expectDType(c, i, DType::f32);
  return sameAsFirst(c);
}

// reduceSum or reduceMean over the axes, kept as ones.
Expr overRows(std::string_view op, GradientContext& c, Expr x) {
  std::vector<int64_t> last;
  for (int64_t i = x.shape().size() - normedAxes(c.attrs()); i < x.shape().size(); ++i) last.push_back(i);
  return reduce(op, x, last, true);
}

std::vector<ValueId> gradient(GradientContext& c) {
  const Expr y = c.out(0), scale = c.out(1);
  const ValueId toRows = c.outGradients[0], toScale = c.outGradients[1];
  Expr dx{&c.graph, kNone};
  if (toRows != kNone) dx = apply("standardizeGradient", {Expr{&c.graph, toRows}, y, scale}, c.attrs());
  if (toScale != kNone) {  // d scale / dx = -scale^2 y / n
    int64_t n = 1;
    for (int64_t i = y.shape().size() - normedAxes(c.attrs()); i < y.shape().size(); ++i) n *= y.shape()[int(i)].value;
    const Expr more = -(Expr{&c.graph, toScale} * (scale * scale) * y / number(y, double(n)));
    dx = dx.id == kNone ? more : dx + more;
  }
  return {dx.id};
}

// dx = s (g - m(g) - y m(g y)), linear in g with a symmetric matrix.
std::vector<ValueId> gradientOfGradient(GradientContext& c) {
  const Expr g = c.in(0), y = c.in(1), scale = c.in(2), h = c.grad();
  const Expr dg = apply("standardizeGradient", {h, y, scale}, c.attrs());
  const Expr dy = -(scale * (h * overRows("reduceMean", c, g * y) + g * overRows("reduceMean", c, h * y)));
  const Expr dScale = overRows("reduceSum", c, h * c.out(0)) / scale;
  return {dg.id, dy.id, dScale.id};
}

Lowering lower(const LowerContext& c) {
  const NormedRows rows(c);
  cpu::LayerNorm norm{.n = rows.n, .epsilon = float(c.attrs().real("epsilon", 0)), .centred = centred(c.attrs())};
  return {.launch =
              [=, run = c.kernels.layerNorm, wantsScale = bool(c.used[1]),
               large = cpu::outgrowsCache(c.out[0].bytes())](const StepArgs& args) {
                cpu::LayerNorm own = norm;
                own.x = args.in<float>(0);
                own.y = args.out<float>(0);
                own.streams = large && own.y != own.x;
                if (wantsScale) own.scale = args.out<float>(1);
                const Range part = args.split(rows.count);
                run(own, part.begin, part.end);
              },
          .cost = double(c.in[0].count()) * 0.25 + double(rows.count) * 5};
}

Lowering lowerGradient(const LowerContext& c) {
  const NormedRows rows(c);
  const cpu::LayerNormGradient norm{.n = rows.n, .centred = centred(c.attrs()), .standardized = true};
  return {
      .launch =
          [=, run = c.kernels.layerNormBackward, large = cpu::outgrowsCache(c.out[0].bytes())](const StepArgs& args) {
            cpu::LayerNormGradient own = norm;
            own.dy = args.in<float>(0);
            own.x = args.in<float>(1);
            own.scale = args.in<float>(2);
            own.dx = args.out<float>();
            own.streams = large && own.dx != own.dy && own.dx != own.x;
            const Range part = args.split(rows.count);
            run(own, part.begin, part.end);
          },
      .cost = double(c.in[0].count()) * 0.3 + double(rows.count) * 5};
}

const OpDef table[] = {
    {.name = "standardize", .minInputs = 1, .maxInputs = 1, .infer = infer, .gradient = gradient, .lower = lower},
    {.name = "standardizeGradient",
     .minInputs = 3,
     .maxInputs = 3,
     .infer = inferGradient,
     .gradient = gradientOfGradient,
     .lower = lowerGradient,
     .inPlaceParts = 1},
};

}  // namespace

std::span<const OpDef> standardizeOps() { return table; }

}  // namespace chainrule::ops
