#include <algorithm>
#include <cmath>

#include "ops/matrices.h"

// Householder QR and singular values by one-sided Jacobi, each matrix in float64.

namespace chainrule::ops {
namespace {

// Parts: Q with orthonormal columns [..., m, k] and R [..., k, n], k the smaller size; reflections give R's diagonal
// the sign opposite to the column's first element, as LAPACK does.
std::vector<ValueType> inferQr(const InferContext& c) {
  expectMatrices(c, 0, false);
  const Shape& in = c.in[0].shape;
  const Dim rows = in[in.size() - 2], columns = in[in.size() - 1], least(std::min(rows.value, columns.value));
  return {typeOf(DType::f32, outer(in, {rows, least})), typeOf(DType::f32, outer(in, {least, columns}))};
}
Lowering lowerQr(const LowerContext& c) {
  const Matrices a = matricesOf(c.in[0].dims);
  const int64_t m = a.rows, n = a.columns, k = std::min(m, n);
  const auto launch = [=, wantsQ = bool(c.used[0]), wantsR = bool(c.used[1])](const StepArgs& args) {
    double *const r = reinterpret_cast<double*>(args.own), *const q = r + m * n, *const scale = q + m * k;
    const Range range = args.split(a.count);
    for (int64_t at = range.begin; at < range.end; ++at) {
      std::copy_n(args.in<float>(0) + at * m * n, m * n, r);
      // Reflector j: 1 on row j and what is kept below it in column j; the diagonal goes to `diagonal`.
      double* const diagonal = scale + k;
      for (int64_t j = 0; j < k; ++j) {
        double norm = 0;
        for (int64_t i = j + 1; i < m; ++i) norm += r[i * n + j] * r[i * n + j];
        const double first = r[j * n + j];
        scale[j] = 0;
        diagonal[j] = first;
        if (norm == 0) continue;
        const double beta = first >= 0 ? -std::sqrt(first * first + norm) : std::sqrt(first * first + norm);
        scale[j] = (beta - first) / beta;
        diagonal[j] = beta;
        for (int64_t i = j + 1; i < m; ++i) r[i * n + j] /= first - beta;
        for (int64_t col = j + 1; col < n; ++col) {
          double dot = r[j * n + col];
          for (int64_t i = j + 1; i < m; ++i) dot += r[i * n + j] * r[i * n + col];
          dot *= scale[j];
          r[j * n + col] -= dot;
          for (int64_t i = j + 1; i < m; ++i) r[i * n + col] -= dot * r[i * n + j];
        }
      }
      if (wantsQ) {
        std::fill_n(q, m * k, 0.0);
        for (int64_t j = 0; j < k; ++j) q[j * k + j] = 1;
        for (int64_t j = k - 1; j >= 0; --j) {
          for (int64_t col = 0; col < k; ++col) {
            double dot = q[j * k + col];
            for (int64_t i = j + 1; i < m; ++i) dot += r[i * n + j] * q[i * k + col];
            dot *= scale[j];
            q[j * k + col] -= dot;
            for (int64_t i = j + 1; i < m; ++i) q[i * k + col] -= dot * r[i * n + j];
          }
        }
        std::copy_n(q, m * k, args.out<float>(0) + at * m * k);
      }
      if (!wantsR) continue;
      float* out = args.out<float>(1) + at * k * n;
      for (int64_t i = 0; i < k; ++i) {
        for (int64_t j = 0; j < n; ++j) out[i * n + j] = float(j < i ? 0 : j == i ? diagonal[i] : r[i * n + j]);
      }
    }
  };
  return {.launch = launch,
          .cost = double(a.count * m * n) * double(k) * 3,
          .memberScratch = size_t(m * n + m * k + 2 * k) * 8};
}

// Parts: singular values [..., k], largest first, U [..., m, k] and V [..., n, k].
std::vector<ValueType> inferSvd(const InferContext& c) {
  expectMatrices(c, 0, false);
  const Shape& in = c.in[0].shape;
  const Dim rows = in[in.size() - 2], columns = in[in.size() - 1], least(std::min(rows.value, columns.value));
  return {typeOf(DType::f32, outer(in, {least})), typeOf(DType::f32, outer(in, {rows, least})),
          typeOf(DType::f32, outer(in, {columns, least}))};
}

// Rotates pairs of columns (rows of `w`, [k][length]) until all are orthogonal; `v` [k][k] takes part.
void orthogonalise(double* w, int64_t k, int64_t length, double* v) {
  for (int sweep = 0; sweep < 60; ++sweep) {
    bool done = true;
    for (int64_t p = 0; p + 1 < k; ++p) {
      for (int64_t q = p + 1; q < k; ++q) {
        double *a = w + p * length, *b = w + q * length;
        double aa = 0, bb = 0, ab = 0;
        for (int64_t i = 0; i < length; ++i) {
          aa += a[i] * a[i];
          bb += b[i] * b[i];
          ab += a[i] * b[i];
        }
        if (std::fabs(ab) <= 1e-15 * std::sqrt(aa * bb)) continue;
        done = false;
        const double zeta = (bb - aa) / (2 * ab);
        const double t = (zeta >= 0 ? 1.0 : -1.0) / (std::fabs(zeta) + std::sqrt(1 + zeta * zeta));
        const double cosine = 1 / std::sqrt(1 + t * t), sine = cosine * t;
        const auto rotate = [&](double* x, double* y, int64_t count) {
          for (int64_t i = 0; i < count; ++i) {
            const double left = x[i];
            x[i] = cosine * left - sine * y[i];
            y[i] = sine * left + cosine * y[i];
          }
        };
        rotate(a, b, length);
        rotate(v + p * k, v + q * k, k);
      }
    }
    if (done) return;
  }
}

Lowering lowerSvd(const LowerContext& c) {
  const Matrices a = matricesOf(c.in[0].dims);
  const int64_t m = a.rows, n = a.columns, k = std::min(m, n), length = std::max(m, n);
  const bool tall = m >= n;
  const auto launch = [=, wantsS = bool(c.used[0]), wantsU = bool(c.used[1]),
                       wantsV = bool(c.used[2])](const StepArgs& args) {
    double *const w = reinterpret_cast<double*>(args.own), *const v = w + k * length, *const size = v + k * k;
    const Range range = args.split(a.count);
    for (int64_t at = range.begin; at < range.end; ++at) {
      // The short side's vectors as rows of w: columns of a tall matrix, rows of a wide one.
      const float* in = args.in<float>(0) + at * m * n;
      for (int64_t j = 0; j < k; ++j) {
        for (int64_t i = 0; i < length; ++i) w[j * length + i] = tall ? in[i * n + j] : in[j * n + i];
      }
      std::fill_n(v, k * k, 0.0);
      for (int64_t j = 0; j < k; ++j) v[j * k + j] = 1;
      orthogonalise(w, k, length, v);
      for (int64_t j = 0; j < k; ++j) {
        double sum = 0;
        for (int64_t i = 0; i < length; ++i) sum += w[j * length + i] * w[j * length + i];
        size[j] = std::sqrt(sum);
      }
      for (int64_t place = 0; place < k; ++place) {
        int64_t best = 0;
        for (int64_t j = 1; j < k; ++j) {
          if (size[j] > size[best]) best = j;
        }
        const double value = size[best];
        if (wantsS) args.out<float>(0)[at * k + place] = float(value);
        float *u = wantsU ? args.out<float>(1) + at * m * k : nullptr,
              *right = wantsV ? args.out<float>(2) + at * n * k : nullptr;
        float *longSide = tall ? u : right, *shortSide = tall ? right : u;
        for (int64_t i = 0; longSide && i < length; ++i)
          longSide[i * k + place] = float(value > 0 ? w[best * length + i] / value : 0);
        for (int64_t i = 0; shortSide && i < k; ++i) shortSide[i * k + place] = float(v[best * k + i]);
        size[best] = -1;
      }
    }
  };
  return {.launch = launch,
          .cost = double(a.count * k * k) * double(length) * 40,
          .memberScratch = size_t(k * length + k * k + k) * 8};
}

const OpDef table[] = {
    {.name = "qr", .minInputs = 1, .maxInputs = 1, .infer = inferQr, .lower = lowerQr},
    {.name = "svd", .minInputs = 1, .maxInputs = 1, .infer = inferSvd, .lower = lowerSvd},
};

}  // namespace

std::span<const OpDef> factorOps() { return table; }

}  // namespace chainrule::ops
