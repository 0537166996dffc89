#include <cstring>

#include "ops/registry.h"
#include "ops/shape_rules.h"

namespace chainrule::ops {
namespace {

std::vector<ValueType> infer(const InferContext& c) {
  Shape out = c.in[0].shape;
  const int axis = axisAttr(c, "axis", out.size());
  for (size_t i = 1; i < c.in.size(); ++i) {
    const Shape& shape = c.in[i].shape;
    if (c.in[i].dtype != c.in[0].dtype) {
      fail("DTYPE", "inputs have different dtypes: ", dtypeName(c.in[0].dtype), " and ", dtypeName(c.in[i].dtype));
    }
    bool fits = shape.size() == out.size();
    for (int d = 0; fits && d < out.size(); ++d)
      fits = d == axis ? shape[d].perBatch == out[d].perBatch : shape[d] == out[d];
    if (!fits) {
      fail("SHAPE", "inputs must agree in all axes but axis ", axis, ": ", toString(c.in[0].shape), " against ",
           toString(shape));
    }
    out[axis].value += shape[axis].value;
  }
  return {typeOf(c.in[0].dtype, out)};
}

std::vector<ValueId> gradient(GradientContext& c) {
  const int64_t axis = c.attrs().integer("axis", 0);
  std::vector<ValueId> result;
  Dim begin(0);
  for (int i = 0; i < c.inputCount(); ++i) {
    const Dim size = c.in(i).shape()[int(axis)];
    begin.perBatch = size.perBatch && begin.value > 0;
    const Attrs cut = attrs({{"axes", std::vector<int64_t>{axis}},
                             {"begin", std::vector<int64_t>{begin.encoded()}},
                             {"size", std::vector<int64_t>{size.encoded()}}});
    result.push_back(apply("slice", {c.grad()}, cut).id);
    begin.value += size.value;
  }
  return result;
}

Lowering lower(const LowerContext& c) {
  const int axis = int(c.attrs().integer("axis", 0));
  const AxisSplit out = splitAt(c.out[0].dims, axis);
  const int64_t width = byteSize(c.out[0].dtype), rowBytes = out.n * out.inner * width;
  std::vector<int64_t> pieces;
  for (const TensorType& in : c.in) pieces.push_back(splitAt(in.dims, axis).n * out.inner * width);
  return {.launch =
              [=](const StepArgs& args) {
                const Range rows = args.split(out.outer);
                int64_t offset = 0;
                for (size_t i = 0; i < pieces.size(); ++i) {
                  if (pieces[i] == 0) continue;  // an empty input has no memory
                  const std::byte* in = args.in<std::byte>(int(i));
                  for (int64_t row = rows.begin; row < rows.end; ++row) {
                    std::memcpy(args.out<std::byte>() + row * rowBytes + offset, in + row * pieces[i],
                                size_t(pieces[i]));
                  }
                  offset += pieces[i];
                }
              },
          .cost = double(c.out[0].count()) * 0.2 + double(out.outer) * double(pieces.size()) * 4};
}

const OpDef table[] = {
    {.name = "concat", .minInputs = 1, .maxInputs = 1 << 16, .infer = infer, .gradient = gradient, .lower = lower}};

}  // namespace

std::span<const OpDef> joinOps() { return table; }

}  // namespace chainrule::ops
