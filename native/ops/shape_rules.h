#pragma once

#include "ir/expr.h"
#include "plan/backend.h"

// Shape arithmetic that several ops share.
namespace chainrule::ops {

// Numpy broadcasting; N meets only N or 1.
Shape broadcast(std::span<const ValueType> in);

inline ValueType typeOf(DType dtype, Shape shape) { return {dtype, shape, Layout::rowMajor}; }

// The first input's type: for ops that keep shape and dtype.
inline std::vector<ValueType> sameAsFirst(const InferContext& c) { return {typeOf(c.in[0].dtype, c.in[0].shape)}; }

int axisAttr(const InferContext& c, const char* name, int rank);
Shape shapeAttr(const Attrs& attrs, const char* name);
void expectFactor(const InferContext& c, int input);  // of a product: float32, or bfloat16 where kHalves says so
DType productDType(const Attrs& attrs);               // float32, or bfloat16 where kHalfResult says so
void expectDType(const InferContext& c, int input, DType dtype);
void expectRank(const InferContext& c, int input, int rank);

}  // namespace chainrule::ops
