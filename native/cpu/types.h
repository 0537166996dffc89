#pragma once

#include <cstdint>
#include <limits>

#include "base/conv_shape.h"
#include "base/dtype.h"

// The arguments of the kernels: plain structs of sizes and pointers.
namespace chainrule::cpu {

constexpr int64_t kPanel = 16;  // columns of a packed panel
constexpr int64_t panelCount(int64_t columns) { return (columns + kPanel - 1) / kPanel; }

// What a kernel does to a result in registers: nothing, or relu and the smaller of that and a ceiling above 0.
struct Activation {
  bool relu = false;
  float ceiling = std::numeric_limits<float>::infinity();
};
// What it does with another array that lies as the result does: adds it, or lets the result be 0 where it isn't
// positive.
enum class Combine : uint8_t { none, add, whenPositive };
// All of that: activation(result + bias, combined with other).
struct Finish {
  const float* bias = nullptr;  // one value a column, or null
  Activation activation = {};
  Combine combine = Combine::none;
  const float* other = nullptr;  // every element where the result has it
};
enum class Reduce : uint8_t { sum, prod, max, min, any, all };

// C[M][N] = finish((accumulate ? C : 0) + A[M][K] * B[K][N]). Every element is one FMA chain over k.
struct Gemm {
  int64_t m = 0, n = 0, k = 0;
  const float* a = nullptr;
  int64_t aRow = 0, aCol = 1;        // element (i, k) at a[i * aRow + k * aCol]
  const float* b = nullptr;          // element (k, 16 p + j) at b[p * bPanel + k * bRow + j]
  int64_t bRow = kPanel;             // 16 for packed panels; the leading dimension for a row-major B
  int64_t bPanel = 0;                // k * 16 for packed panels (more if k is a slice); 16 for a row-major B
  const uint16_t* halves = nullptr;  // in place of b: B as panels of bfloat16 (base/panels.h), bPanel of these apart
  float* c = nullptr;                // element (i, 16 p + j) at c[i * cRow + p * cPanel + j]
  int64_t cRow = 0, cPanel = kPanel;
  bool cPadded = false;     // all 16 columns of the last panel may be written (C is in panel layout itself)
  bool accumulate = false;  // false: C is never read
  Finish finish = {};
};

// C[M][N] = activation(A[M][K] * B[K][N] / (aScale[M] * bScale[N]) + bias). All bytes lie within -127..127, and k is at
// most kInt8Depth.
struct Int8Gemm {
  int64_t m = 0, n = 0, k = 0;
  const int8_t* a = nullptr;  // as quantizeRows leaves them
  const float* aScale = nullptr;
  const int8_t* b = nullptr;  // panels, base/panels.h
  const float* bScale = nullptr;
  float* c = nullptr;
  int64_t cRow = 0;
  const float* bias = nullptr;  // n values or null
  Activation activation = {};
};
constexpr int64_t kInt8Depth = INT32_MAX / (127 * 127);  // sums stay within int32

// NHWC.
struct PoolShape {
  int64_t n = 0, h = 0, w = 0, c = 0;
  int64_t kh = 0, kw = 0, strideH = 1, strideW = 1;
  int64_t padTop = 0, padLeft = 0;
  int64_t oh = 0, ow = 0;
  constexpr bool wideIndex() const { return kh * kw > 256; }  // argmax is i32 instead of u8
};

// Rows of n floats: y = (x - mean) * scale * gamma + beta with scale = 1 / sqrt(mean((x - mean)^2) + epsilon); not
// centred: mean = 0.
struct LayerNorm {
  int64_t n = 0;
  float epsilon = 0;
  bool centred = true;
  const float* x = nullptr;
  const float *gamma = nullptr, *beta = nullptr;  // n floats; null: 1 and 0
  float* y = nullptr;
  float *mean = nullptr, *scale = nullptr;  // of each row, or null
  bool streams = false;                     // y goes past the caches; it is not x then
};

// With g = dy * gamma and u = (x - mean) * scale: dx = scale * (g - mean(g) - u * mean(g * u)), without mean(g) if not
// centred.
struct LayerNormGradient {
  int64_t n = 0;
  bool centred = true;
  const float *dy = nullptr, *x = nullptr;
  bool standardized = false;    // x holds u
  const float* mean = nullptr;  // of each row; null: 0
  const float* scale = nullptr;
  const float* gamma = nullptr;  // n floats; null: 1
  float* dx = nullptr;
  bool streams = false;  // dx goes past the caches; it is neither dy nor x then
  // n sums each, or null: dy * u and dy of the rows are added.
  float *gammaSum = nullptr, *betaSum = nullptr;
};

// A random tensor of rows: element e of the local row r is that of global row rowOffset + r in draw `draw` of the key's
// stream.
struct RandomStream {
  uint32_t key0 = 0, key1 = 0;
  uint32_t draw = 0;
  int64_t rowOffset = 0;
  int64_t rowSize = 0;
};

// dims of an iteration space and the strides, in elements, of the tensor that is not contiguous. Strides may be 0 or
// negative.
struct StridedSpace {
  int rank = 0;
  int64_t dims[8] = {};
  int64_t strides[8] = {};
};

}  // namespace chainrule::cpu
