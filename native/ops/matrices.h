#pragma once

#include "ops/registry.h"
#include "ops/shape_rules.h"

// What the ops on small matrices [..., rows, columns] share.
namespace chainrule::ops {

inline void expectMatrices(const InferContext& c, int input, bool square) {
  expectDType(c, input, DType::f32);
  const Shape& shape = c.in[size_t(input)].shape;
  const int rank = shape.size();
  if (rank < 2 || shape[rank - 1].perBatch || shape[rank - 2].perBatch)
    fail("SHAPE", "matrices are expected, got ", toString(shape));
  if (square && !(shape[rank - 1] == shape[rank - 2]))
    fail("SHAPE", "square matrices are expected, got ", toString(shape));
}

// The axes before the matrix, and what follows in its stead.
inline Shape outer(const Shape& shape, std::initializer_list<Dim> more = {}) {
  Shape result = shape;
  result.pop();
  result.pop();
  for (const Dim& dim : more) result.push(dim);
  return result;
}

// The two last sizes and how many matrices there are.
struct Matrices {
  int64_t count, rows, columns;
};
inline Matrices matricesOf(const Dims& dims) {
  const int rank = dims.size();
  Matrices m{1, dims[rank - 2], dims[rank - 1]};
  for (int i = 0; i + 2 < rank; ++i) m.count *= dims[i];
  return m;
}

}  // namespace chainrule::ops
