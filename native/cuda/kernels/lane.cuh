#pragma once

// One lane of the CPU's vector types (cpu/simd/scalar.h): with it the elementary functions are the CPU's own, bit for
// bit.

#include "cuda/kernels/grid.cuh"

#define CHAINRULE_INLINE DEVICE

namespace chainrule::cuda::lane {

constexpr int lanes = 1;

struct Float {
  float v;
  Float() = default;
  DEVICE_MEMBER explicit Float(float x) : v(x) {}
};
struct Int {
  int32_t v;
  Int() = default;
  DEVICE_MEMBER explicit Int(int32_t x) : v(x) {}
};
struct Mask {
  bool v;
};

DEVICE Int bitsOf(Float a) { return Int(__builtin_bit_cast(int32_t, a.v)); }
DEVICE Float floatOf(Int a) { return Float(__builtin_bit_cast(float, a.v)); }
DEVICE Float load(const float* p) { return Float(*p); }
DEVICE Int load(const int32_t* p) { return Int(*p); }
DEVICE void store(float* p, Float a) { *p = a.v; }
DEVICE void store(int32_t* p, Int a) { *p = a.v; }

DEVICE Float operator+(Float a, Float b) { return Float(a.v + b.v); }
DEVICE Float operator-(Float a, Float b) { return Float(a.v - b.v); }
DEVICE Float operator*(Float a, Float b) { return Float(a.v * b.v); }
DEVICE Float operator/(Float a, Float b) { return Float(a.v / b.v); }
DEVICE Float fma(Float a, Float b, Float c) { return Float(fmaOf(a.v, b.v, c.v)); }
DEVICE Float sqrt(Float a) { return Float(__builtin_sqrtf(a.v)); }

DEVICE Int wrap(uint32_t bits) { return Int(int32_t(bits)); }
DEVICE Int operator+(Int a, Int b) { return wrap(uint32_t(a.v) + uint32_t(b.v)); }
DEVICE Int operator-(Int a, Int b) { return wrap(uint32_t(a.v) - uint32_t(b.v)); }
DEVICE Int operator*(Int a, Int b) { return wrap(uint32_t(a.v) * uint32_t(b.v)); }
DEVICE Int operator-(Int a) { return wrap(0u - uint32_t(a.v)); }
DEVICE Int operator&(Int a, Int b) { return Int(a.v & b.v); }
DEVICE Int operator|(Int a, Int b) { return Int(a.v | b.v); }
DEVICE Int operator^(Int a, Int b) { return Int(a.v ^ b.v); }
template <int bits>
DEVICE Int shiftLeft(Int a) {
  return wrap(uint32_t(a.v) << bits);
}
template <int bits>
DEVICE Int shiftRight(Int a) {
  return Int(a.v >> bits);
}
template <int bits>
DEVICE Int shiftRightLogical(Int a) {
  return wrap(uint32_t(a.v) >> bits);
}

DEVICE Float operator-(Float a) { return floatOf(bitsOf(a) ^ Int(INT32_MIN)); }
DEVICE Float abs(Float a) { return floatOf(bitsOf(a) & Int(INT32_MAX)); }
DEVICE Float signOf(Float a) { return floatOf(bitsOf(a) & Int(INT32_MIN)); }
DEVICE Float orBits(Float a, Float b) { return floatOf(bitsOf(a) | bitsOf(b)); }
DEVICE Float xorBits(Float a, Float b) { return floatOf(bitsOf(a) ^ bitsOf(b)); }

DEVICE Mask operator==(Float a, Float b) { return {a.v == b.v}; }
DEVICE Mask operator!=(Float a, Float b) { return {a.v != b.v}; }
DEVICE Mask operator<(Float a, Float b) { return {a.v < b.v}; }
DEVICE Mask operator<=(Float a, Float b) { return {a.v <= b.v}; }
DEVICE Mask operator>(Float a, Float b) { return {a.v > b.v}; }
DEVICE Mask operator>=(Float a, Float b) { return {a.v >= b.v}; }
DEVICE Mask operator==(Int a, Int b) { return {a.v == b.v}; }
DEVICE Mask operator!=(Int a, Int b) { return {a.v != b.v}; }
DEVICE Mask operator<(Int a, Int b) { return {a.v < b.v}; }
DEVICE Mask operator<=(Int a, Int b) { return {a.v <= b.v}; }
DEVICE Mask operator>(Int a, Int b) { return {a.v > b.v}; }
DEVICE Mask operator>=(Int a, Int b) { return {a.v >= b.v}; }
DEVICE Mask operator&(Mask a, Mask b) { return {a.v && b.v}; }
DEVICE Mask operator|(Mask a, Mask b) { return {a.v || b.v}; }
DEVICE Mask operator!(Mask a) { return {!a.v}; }
DEVICE bool any(Mask m) { return m.v; }
DEVICE Int toLanes(Mask m) { return Int(m.v ? 1 : 0); }
DEVICE Float select(Mask m, Float a, Float b) { return Float(m.v ? a.v : b.v); }
DEVICE Int select(Mask m, Int a, Int b) { return Int(m.v ? a.v : b.v); }
DEVICE Float andBits(Float a, Mask m) { return floatOf(m.v ? bitsOf(a) : Int(0)); }

DEVICE Int abs(Int a) { return select(a < Int(0), -a, a); }
DEVICE Float minOr(Float a, Float b) { return select(a < b, a, b); }
DEVICE Float maxOr(Float a, Float b) { return select(a > b, a, b); }

DEVICE Float toFloat(Int a) { return Float(float(a.v)); }
DEVICE Int toInt(Float a) {
  const Mask inRange = (a >= Float(-2147483648.0f)) & (a < Float(2147483648.0f));
  return inRange.v ? Int(int32_t(a.v)) : Int(INT32_MIN);
}

// clang-format off
#include "cpu/simd/rounding.inl"
#include "cpu/simd/math.inl"
#include "cpu/simd/trigonometry.inl"
#include "cpu/simd/power.inl"
#include "cpu/simd/bfloat16.inl"
// clang-format on

}  // namespace chainrule::cuda::lane
