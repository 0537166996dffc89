#include <cstdlib>

#include "check.h"

// Elementary functions against double precision on dense grids of bit patterns, for every ISA.
using namespace check;

namespace {

std::vector<float> runOp(const KernelTable& table, const char* name, const std::vector<float>& a,
                         const std::vector<float>* b = nullptr) {
  Island island;
  island.rank = 1;
  island.dims[0] = int64_t(a.size());
  island.inputCount = b ? 2 : 1;
  island.inputs[0].strides[0] = island.inputs[1].strides[0] = 1;
  island.instructionCount = 1;
  island.instructions[0] = {opcodeFor(name, DType::f32), 0, 1, 0};
  island.outputCount = 1;
  island.outputs[0] = {uint8_t(island.inputCount), DType::f32};
  finishIsland(island);
  Scratch scratch(islandScratchBytes(island));
  std::vector<float> y(a.size());
  const void* inputs[] = {a.data(), b ? b->data() : nullptr};
  void* outputs[] = {y.data()};
  table.island(island, inputs, outputs, 0, int64_t(a.size()), scratch.data());
  return y;
}

bool denormal(float x) { return x != 0 && std::fabs(x) < 0x1p-126f; }

// Every 997th float of all 2^32, or every CHAINRULE_MATH_STRIDEth: 1 takes minutes per function, an emulator takes
// more.
uint64_t gridStride() {
  const char* given = std::getenv("CHAINRULE_MATH_STRIDE");
  return given ? std::strtoull(given, nullptr, 10) : 997;
}

// absolute: an error that is never too large.
void checkUnary(const char* name, double (*exact)(double), double limit, double absolute = 0) {
  const int64_t chunk = 1 << 16;
  const uint64_t stride = gridStride();
  std::vector<float> x(chunk);
  double worst = 0;
  float where = 0;
  for (uint64_t start = 0; start < (uint64_t(1) << 32); start += uint64_t(chunk) * stride) {
    for (int64_t i = 0; i < chunk; ++i) {
      const uint32_t bits = uint32_t(start + uint64_t(i) * stride);
      std::memcpy(&x[i], &bits, 4);
    }
    if (start == 0) {
      const float special[] = {0.0f,   -0.0f,  1.0f,   -1.0f,   INFINITY, -INFINITY, NAN,
                               0.625f, 0.925f, 88.72f, -87.33f, 0x1p127f, 30000.0f,  29999.9f};
      std::memcpy(x.data(), special, sizeof special);
    }
    std::vector<float> first;
    for (const KernelTable* table : tables()) {
      const std::vector<float> y = runOp(*table, name, x);
      if (first.empty())
        first = y;
      else
        expectSame(first, y, name);
    }
    for (int64_t i = 0; i < chunk; ++i) {
      const float in = denormal(x[i]) ? std::copysign(0.0f, x[i]) : x[i];
      const double expected = exact(double(in));
      const double e = std::fabs(first[i] - expected) <= absolute ? 0 : ulps(first[i], expected);
      if (e > worst) worst = e, where = x[i];
    }
  }
  std::printf("  %-8s max %.2f ulp at %.9g\n", name, worst, double(where));
  expect(worst <= limit, "%s: %.3f ulp at %.9g, allowed %.1f", name, worst, double(where), limit);
}

}  // namespace

KERNEL_CASE(mathExp) {
  checkUnary(
      "exp", [](double x) { return std::exp(x); }, 1.5);
}
KERNEL_CASE(mathExpm1) {
  checkUnary(
      "expm1", [](double x) { return std::expm1(x); }, 2);
}
KERNEL_CASE(mathLog) {
  checkUnary(
      "log", [](double x) { return std::log(x); }, 2);
}
KERNEL_CASE(mathLog1p) {
  checkUnary(
      "log1p", [](double x) { return std::log1p(x); }, 2);
}
KERNEL_CASE(mathSin) {
  checkUnary(
      "sin", [](double x) { return std::sin(x); }, 2);
}
KERNEL_CASE(mathCos) {
  checkUnary(
      "cos", [](double x) { return std::cos(x); }, 2);
}
KERNEL_CASE(mathTan) {
  checkUnary(
      "tan", [](double x) { return std::tan(x); }, 4);
}
KERNEL_CASE(mathAtan) {
  checkUnary(
      "atan", [](double x) { return std::atan(x); }, 3);
}
KERNEL_CASE(mathTanh) {
  checkUnary(
      "tanh", [](double x) { return std::tanh(x); }, 2);
}
KERNEL_CASE(mathSigmoid) {
  checkUnary(
      "sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }, 2);
}
KERNEL_CASE(mathErf) {
  checkUnary(
      "erf", [](double x) { return std::erf(x); }, 3);
}
KERNEL_CASE(mathGelu) {
  checkUnary(
      "gelu", [](double x) { return std::isinf(x) ? std::max(x, 0.0) : 0.5 * x * std::erfc(-x * M_SQRT1_2); }, 4, 1e-7);
}
KERNEL_CASE(mathGeluSlope) {
  checkUnary(
      "geluSlope",
      [](double x) {
        if (std::isinf(x)) return x > 0 ? 1.0 : 0.0;
        return 0.5 * std::erfc(-x * M_SQRT1_2) + x * std::exp(-0.5 * x * x) / std::sqrt(2 * M_PI);
      },
      2, 0x1p-23);
}
KERNEL_CASE(mathSoftplus) {
  checkUnary(
      "softplus", [](double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }, 3);
}
KERNEL_CASE(mathSqrt) {
  checkUnary(
      "sqrt", [](double x) { return std::sqrt(x); }, 0.5);
}
KERNEL_CASE(mathRsqrt) {
  checkUnary(
      "rsqrt", [](double x) { return 1 / std::sqrt(x); }, 1.5);
}
KERNEL_CASE(mathFloor) {
  checkUnary(
      "floor", [](double x) { return std::floor(x); }, 0);
}
KERNEL_CASE(mathCeil) {
  checkUnary(
      "ceil", [](double x) { return std::ceil(x); }, 0);
}
KERNEL_CASE(mathRound) {
  checkUnary(
      "round", [](double x) { return std::nearbyint(x); }, 0);
}
KERNEL_CASE(mathTrunc) {
  checkUnary(
      "trunc", [](double x) { return std::trunc(x); }, 0);
}
KERNEL_CASE(mathRelu) {
  checkUnary(
      "relu", [](double x) { return std::isnan(x) ? x
                                    : x > 0       ? x
                                                  : 0.0; }, 0);
}

KERNEL_CASE(mathPow) {
  const float special[] = {0.0f,  -0.0f,    1.0f,      -1.0f, 0.5f,  -0.5f,  2.0f,        -2.0f,      3.0f,
                           -3.0f, INFINITY, -INFINITY, NAN,   1e10f, -1e10f, 16777217.0f, 1.0000001f, 0.99999994f};
  std::vector<float> a, b;
  for (float x : special) {
    for (float y : special) a.push_back(x), b.push_back(y);
  }
  for (int i = 0; i < 400000; ++i) {
    a.push_back(std::exp2(uniform(-126, 126)));
    b.push_back(uniform(-1, 1) * 128 / std::max(std::fabs(std::log2(a.back())), 1e-3f));
  }
  for (int i = 0; i < 200000; ++i) {
    a.push_back(uniform(-20, 20));
    b.push_back(float(pick(-8, 8)) * (i % 2 ? 1.0f : 0.25f));
  }
  std::vector<float> first;
  for (const KernelTable* table : tables()) {
    const std::vector<float> y = runOp(*table, "pow", a, &b);
    if (first.empty())
      first = y;
    else
      expectSame(first, y, "pow");
  }
  double worst = 0;
  size_t where = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double e = ulps(first[i], std::pow(double(a[i]), double(b[i])));
    if (e > worst) worst = e, where = i;
  }
  std::printf("  %-8s max %.2f ulp at %.9g, %.9g\n", "pow", worst, double(a[where]), double(b[where]));
  expect(worst <= 2, "pow: %.3f ulp at %.9g ^ %.9g = %.9g", worst, double(a[where]), double(b[where]),
         double(first[where]));
}

KERNEL_CASE(mathMod) {
  std::vector<float> a = floats(100000, -50, 50), b = floats(100000, -5, 5);
  for (int i = 0; i < 20000; ++i) a[i] *= std::exp2(uniform(-20, 60));
  for (int i = 20000; i < 40000; ++i) a[i] = std::round(a[i]), b[i] = std::round(b[i] * 2);
  a[0] = 5, b[0] = INFINITY, a[1] = -5, b[1] = INFINITY, a[2] = 5, b[2] = 0;
  std::vector<float> first;
  for (const KernelTable* table : tables()) {
    const std::vector<float> y = runOp(*table, "mod", a, &b);
    if (first.empty())
      first = y;
    else
      expectSame(first, y, "mod");
  }
  for (size_t i = 0; i < a.size(); ++i) {
    float r = std::fmod(a[i], b[i]);
    if (r != 0 && (r < 0) != (b[i] < 0)) r += b[i];
    if (!(first[i] == r || (std::isnan(r) && std::isnan(first[i])))) {
      return expect(false, "mod(%.9g, %.9g) = %.9g, expected %.9g", double(a[i]), double(b[i]), double(first[i]),
                    double(r));
    }
  }
}
