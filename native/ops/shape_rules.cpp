#include "ops/shape_rules.h"

namespace chainrule::ops {

Shape broadcast(std::span<const ValueType> in) {
  int rank = 0;
  for (const ValueType& type : in) rank = std::max(rank, type.shape.size());
  Shape shape(rank, Dim(1));
  for (const ValueType& type : in) {
    const int offset = rank - type.shape.size();
    for (int i = 0; i < type.shape.size(); ++i) {
      const Dim& dim = type.shape[i];
      Dim& target = shape[offset + i];
      if (dim == target || dim.isOne()) continue;
      if (!target.isOne()) {
        std::string shapes;
        for (const ValueType& each : in) shapes += (shapes.empty() ? "" : " and ") + toString(each.shape);
        fail("SHAPE", "shapes ", shapes, " do not broadcast: ", toString(target), " against ", toString(dim),
             " on axis ", offset + i, ". Dimensions must be equal, or one of them 1");
      }
      target = dim;
    }
  }
  return shape;
}

int axisAttr(const InferContext& c, const char* name, int rank) {
  const int64_t axis = c.attrs.integer(name, -1);
  if (axis < 0 || axis >= rank) fail("SHAPE", "axis ", axis, " is out of range for ", toString(c.in[0].shape));
  return int(axis);
}

Shape shapeAttr(const Attrs& attrs, const char* name) {
  Shape shape;
  for (int64_t code : attrs.integers(name)) shape.push(Dim::decoded(code));
  return shape;
}

void expectFactor(const InferContext& c, int input) {
  expectDType(c, input, c.attrs.integer(kHalves, 0) ? DType::bf16 : DType::f32);
}

DType productDType(const Attrs& attrs) { return attrs.integer(kHalfResult, 0) ? DType::bf16 : DType::f32; }

void expectDType(const InferContext& c, int input, DType dtype) {
  if (c.in[size_t(input)].dtype == dtype) return;
  fail("DTYPE", "input ", input, " must be ", dtypeName(dtype), ", got ", dtypeName(c.in[size_t(input)].dtype),
       ". Convert it with cast");
}

void expectRank(const InferContext& c, int input, int rank) {
  const Shape& shape = c.in[size_t(input)].shape;
  if (shape.size() != rank) {
    fail("SHAPE", "input ", input, " must have ", rank, " dimensions, got ", shape.size(), ": ", toString(shape));
  }
}

}  // namespace chainrule::ops
