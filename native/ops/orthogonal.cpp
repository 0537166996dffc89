#include <cmath>

#include "cpu/kernel_table.h"
#include "ops/registry.h"
#include "ops/shape_rules.h"

// A random orthogonal matrix: Gram-Schmidt (twice, in float64) over normal columns. R's diagonal comes out positive,
// which is the sign rule of Keras's Orthogonal initializer.

namespace chainrule::ops {
namespace {

std::vector<ValueType> infer(const InferContext& c) {
  return {typeOf(DType::f32, {Dim(c.attrs.integer("rows", 0)), Dim(c.attrs.integer("columns", 0))})};
}

void orthonormalise(std::vector<double>& columns, int64_t count, int64_t length) {
  for (int64_t j = 0; j < count; ++j) {
    double* own = &columns[size_t(j * length)];
    for (int pass = 0; pass < 2; ++pass) {
      for (int64_t i = 0; i < j; ++i) {
        const double* other = &columns[size_t(i * length)];
        double dot = 0;
        for (int64_t k = 0; k < length; ++k) dot += own[k] * other[k];
        for (int64_t k = 0; k < length; ++k) own[k] -= dot * other[k];
      }
    }
    double norm = 0;
    for (int64_t k = 0; k < length; ++k) norm += own[k] * own[k];
    norm = std::sqrt(norm);
    for (int64_t k = 0; k < length; ++k) own[k] /= norm;
  }
}

Lowering lower(const LowerContext& c) {
  const int64_t rows = c.out[0].dims[0], columns = c.out[0].dims[1];
  const int64_t count = std::min(rows, columns), length = std::max(rows, columns);
  const float gain = float(c.attrs().real("gain", 1));
  const auto launch = [=, normal = c.kernels.randomNormal](const StepArgs& args) {
    const uint32_t* seed = args.in<uint32_t>(0);
    std::vector<float> drawn(size_t(count * length));
    normal({seed[0], seed[1], seed[2], 0, length}, 0, 1, drawn.data(), 0, count);
    std::vector<double> vectors(drawn.begin(), drawn.end());
    orthonormalise(vectors, count, length);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        const double value = rows >= columns ? vectors[size_t(j * length + i)] : vectors[size_t(i * length + j)];
        args.out<float>()[i * columns + j] = float(value * gain);
      }
    }
  };
  return {.launch = launch, .cost = double(count) * double(count) * double(length) * 2, .serial = true};
}

const OpDef table[] = {
    {.name = "orthogonal", .minInputs = 1, .maxInputs = 1, .infer = infer, .lower = lower, .differentiable = false}};

}  // namespace

std::span<const OpDef> orthogonalOps() { return table; }

}  // namespace chainrule::ops
