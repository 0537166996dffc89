#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "cpu/float_mode.h"
#include "cpu/kernel_table.h"
#include "cpu/split.h"
#include "cpu/team.h"

// A small checker: cases register themselves, run for every ISA of the machine, and report their first few failures.
namespace check {

using namespace chainrule;
using namespace chainrule::cpu;

struct Case {
  const char* name;
  void (*run)();
};
std::vector<Case>& cases();
struct Register {
  Register(const char* name, void (*run)()) { cases().push_back({name, run}); }
};
#define KERNEL_CASE(name)                                    \
  static void name();                                        \
  static const check::Register register_##name(#name, name); \
  static void name()

// The tables under test; index 0 is the reference for bit equality.
const std::vector<const KernelTable*>& tables();
const KernelTable* emulatedTable();  // AVX-512 over AVX2, see emulated_avx512.cpp; or null

void fail(const std::string& message);
template <typename... Args>
void expect(bool ok, const char* format, Args... args) {
  if (ok) return;
  if constexpr (sizeof...(args) == 0) {
    fail(format);
  } else {
    char text[400];
    std::snprintf(text, sizeof text, format, args...);
    fail(text);
  }
}

// Random numbers that print their seed: CHAINRULE_SEED repeats a run.
uint32_t randomBits();
void seedRandom(uint32_t seed);
inline int64_t pick(int64_t low, int64_t high) { return low + int64_t(randomBits() % uint64_t(high - low + 1)); }
inline float uniform(float low = -1, float high = 1) {
  return low + (high - low) * float(randomBits() >> 8) * 0x1p-24f;
}
inline std::vector<float> floats(int64_t n, float low = -1, float high = 1) {
  std::vector<float> v(n);
  for (float& x : v) x = uniform(low, high);
  return v;
}
inline std::vector<int32_t> integers(int64_t n, int32_t low, int32_t high) {
  std::vector<int32_t> v(n);
  for (int32_t& x : v) x = int32_t(pick(low, high));
  return v;
}

constexpr int64_t kSizes[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65};
inline int64_t size() { return kSizes[randomBits() % 13]; }

// Distance in units of the last place of the exact value; denormals count as zero.
inline double ulps(float got, double exact) {
  if (std::isnan(got) || std::isnan(exact)) return std::isnan(got) && std::isnan(exact) ? 0 : 1e9;
  if (std::fabs(exact) < 0x1p-126) return std::fabs(got) <= 0x1p-126 ? 0 : 1e9;
  if (std::fabs(exact) >= 0x1p128)
    return std::isinf(got) && (got > 0) == (exact > 0) ? 0 : std::fabs(double(got)) >= 0x1.fffffcp127 ? 1 : 1e9;
  if (std::isinf(got)) return std::fabs(exact) > 0x1.fffffefp127 ? 0 : 1e9;
  const double unit = std::ldexp(1.0, std::max(std::ilogb(exact), -126) - 23);
  return std::fabs(double(got) - exact) / unit;
}

inline bool sameBits(float a, float b) { return std::memcmp(&a, &b, 4) == 0 || (std::isnan(a) && std::isnan(b)); }
template <typename T>
void expectSame(const std::vector<T>& a, const std::vector<T>& b, const char* what) {
  for (size_t i = 0; i < a.size(); ++i) {
    bool same;
    if constexpr (std::is_same_v<T, float>)
      same = sameBits(a[i], b[i]);
    else
      same = a[i] == b[i];
    if (!same) {
      expect(false, "%s: element %zu of %zu differs: %.9g and %.9g", what, i, a.size(), double(a[i]), double(b[i]));
      return;
    }
  }
}
// |got - exact| <= tolerance * scale[i] for every element.
inline void expectNear(const std::vector<float>& got, const std::vector<double>& exact,
                       const std::vector<double>& bound, const char* what) {
  for (size_t i = 0; i < got.size(); ++i) {
    if (!(std::fabs(got[i] - exact[i]) <= bound[i])) {
      expect(false, "%s: element %zu of %zu is %.9g, expected %.9g +- %.3g", what, i, got.size(), double(got[i]),
             exact[i], bound[i]);
      return;
    }
  }
}

// Calls body(begin, end) over [0, count) cut at random places.
inline void randomSplit(int64_t count, const std::function<void(int64_t, int64_t)>& body) {
  for (int64_t begin = 0; begin < count;) {
    const int64_t end = std::min(count, begin + pick(1, std::max<int64_t>(1, count / 2)));
    body(begin, end);
    begin = end;
  }
}

// 64-byte aligned bytes with a guard behind them.
class Scratch {
 public:
  explicit Scratch(int64_t bytes) : bytes_(bytes), memory_(size_t(bytes) + 192, 0xAB) {}
  ~Scratch() {
    const uint8_t* p = static_cast<uint8_t*>(data()) + bytes_;
    bool intact = true;
    for (int i = 0; i < 64; ++i) intact &= p[i] == 0xAB;
    if (!intact) fail("scratch was overrun");
  }
  void* data() { return memory_.data() + (64 - reinterpret_cast<uintptr_t>(memory_.data()) % 64); }

 private:
  int64_t bytes_;
  std::vector<uint8_t> memory_;
};

// n floats that begin anywhere in a cache line.
class Unaligned {
 public:
  explicit Unaligned(int64_t n) : n_(n), offset_(pick(0, 15)), memory_((n + 16) * 4) {}
  float* data() { return static_cast<float*>(memory_.data()) + offset_; }
  std::vector<float> values() { return {data(), data() + n_}; }

 private:
  int64_t n_, offset_;
  Scratch memory_;
};

}  // namespace check
