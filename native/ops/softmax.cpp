#include "cpu/kernel_table.h"
#include "cpu/split.h"
#include "ops/registry.h"
#include "ops/shape_rules.h"

// Softmax and log-softmax along an axis, with fused gradients. An inner axis is transposed to the end and back.

namespace chainrule::ops {
namespace {

std::vector<ValueType> infer(const InferContext& c) {
  for (size_t i = 0; i < c.in.size(); ++i) expectDType(c, int(i), DType::f32);
  axisAttr(c, "axis", c.in[0].shape.size());
  return sameAsFirst(c);
}

std::vector<ValueId> gradientOfSoftmax(GradientContext& c) {
  return {apply("softmaxGradient", {c.out(), c.grad()}, c.attrs()).id};
}
std::vector<ValueId> gradientOfLogSoftmax(GradientContext& c) {
  return {apply("logSoftmaxGradient", {c.out(), c.grad()}, c.attrs()).id};
}

std::vector<int64_t> lastAxis(GradientContext& c) { return {c.attrs().integer("axis", 0)}; }

// d = y * (g - s), s = sum(g * y)
std::vector<ValueId> gradientOfSoftmaxGradient(GradientContext& c) {
  const Expr y = c.in(0), g = c.in(1), h = c.grad();
  const Expr s = reduce("reduceSum", g * y, lastAxis(c), true), t = reduce("reduceSum", h * y, lastAxis(c), true);
  return {(h * (g - s) - t * g).id, (y * (h - t)).id};
}

// d = g - exp(y) * s, s = sum(g)
std::vector<ValueId> gradientOfLogSoftmaxGradient(GradientContext& c) {
  const Expr y = c.in(0), g = c.in(1), h = c.grad(), p = apply("exp", {y});
  const Expr s = reduce("reduceSum", g, lastAxis(c), true), t = reduce("reduceSum", h * p, lastAxis(c), true);
  return {(-(h * p * s)).id, (h - t).id};
}

struct Rows {
  int64_t rows = 0, n = 0;
  bool transpose = false;
  cpu::StridedSpace space;  // the tensor read with the axis last
};

Rows rowsOf(const LowerContext& c) {
  const AxisSplit split = splitAt(c.out[0].dims, int(c.attrs().integer("axis", 0)));
  Rows rows{split.outer * split.inner, split.n, split.inner != 1, {}};
  rows.space.rank = 3;
  const int64_t dims[3] = {split.outer, split.inner, split.n}, strides[3] = {split.n * split.inner, 1, split.inner};
  std::copy_n(dims, 3, rows.space.dims);
  std::copy_n(strides, 3, rows.space.strides);
  return rows;
}

// Runs `body(in, out, n, streams, row range)` over rows, through transposed copies in shared scratch where the axis
// isn't the last.
template <int inputs, typename Body>
Lowering lowerRows(const LowerContext& c, double costPerElement, Body body) {
  const Rows rows = rowsOf(c);
  const int64_t count = c.out[0].count();
  const bool streams = cpu::outgrowsCache(c.out[0].bytes());
  const auto launch = [=, copy = c.kernels.copyStrided, scatter = c.kernels.scatterStrided](const StepArgs& args) {
    const float* in[inputs];
    for (int i = 0; i < inputs; ++i) in[i] = args.in<float>(i);
    float* out = args.out<float>();
    const Range own = args.split(rows.rows);
    if (!rows.transpose) {
      if (!own.empty()) body(in, out, rows.n, streams, own);
      return;
    }
    float* moved = reinterpret_cast<float*>(args.shared);
    if (own.empty()) return;
    for (int i = 0; i < inputs; ++i) {
      copy(rows.space, 4, in[i], moved + i * count, own.begin * rows.n, own.end * rows.n);
      in[i] = moved + i * count;
    }
    body(in, moved + inputs * count, rows.n, false, own);
    // scatterStrided counts from the source's element 0, so each member hands over its own rows only.
    scatter(rows.space, 4, moved + inputs * count, out, own.begin * rows.n, own.end * rows.n);
  };
  return {.launch = launch,
          .cost = double(count) * costPerElement,
          .sharedScratch = rows.transpose ? size_t(count) * 4 * (inputs + 1) : 0};
}

Lowering lowerSoftmax(const LowerContext& c) {
  return lowerRows<1>(c, 0.8, [f = c.kernels.softmax](const float** in, float* out, int64_t n, bool streams, Range r) {
    f(in[0], out, n, streams, r.begin, r.end);
  });
}
Lowering lowerLogSoftmax(const LowerContext& c) {
  return lowerRows<1>(c, 0.8,
                      [f = c.kernels.logSoftmax](const float** in, float* out, int64_t n, bool streams, Range r) {
                        f(in[0], out, n, streams, r.begin, r.end);
                      });
}
Lowering lowerSoftmaxGradient(const LowerContext& c) {
  return lowerRows<2>(c, 0.4,
                      [f = c.kernels.softmaxBackward](const float** in, float* out, int64_t n, bool streams, Range r) {
                        f(in[0], in[1], out, n, streams, r.begin, r.end);
                      });
}
Lowering lowerLogSoftmaxGradient(const LowerContext& c) {
  return lowerRows<2>(
      c, 0.8, [f = c.kernels.logSoftmaxBackward](const float** in, float* out, int64_t n, bool streams, Range r) {
        f(in[0], in[1], out, n, streams, r.begin, r.end);
      });
}

const OpDef table[] = {
    {.name = "softmax",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = infer,
     .gradient = gradientOfSoftmax,
     .lower = lowerSoftmax},
    {.name = "logSoftmax",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = infer,
     .gradient = gradientOfLogSoftmax,
     .lower = lowerLogSoftmax},
    {.name = "softmaxGradient",
     .minInputs = 2,
     .maxInputs = 2,
     .infer = infer,
     .gradient = gradientOfSoftmaxGradient,
     .lower = lowerSoftmaxGradient},
    {.name = "logSoftmaxGradient",
     .minInputs = 2,
     .maxInputs = 2,
     .infer = infer,
     .gradient = gradientOfLogSoftmaxGradient,
     .lower = lowerLogSoftmaxGradient},
};

}  // namespace

std::span<const OpDef> softmaxOps() { return table; }

}  // namespace chainrule::ops
