// The vector types of the baseline kernels: the compiler's generic vectors of 8 lanes, lowered to whatever the baseline
// has. Bit for bit the same results as AVX2, fma included. Included once, inside a namespace; names and meanings as in
// avx2.h.

constexpr int lanes = 8;
constexpr bool hasFma = false;  // fma is many instructions: unrolled loops would be long and no faster

using Raw = float __attribute__((vector_size(32), aligned(16)));
using RawInt = int32_t __attribute__((vector_size(32), aligned(16)));
using RawUnsigned = uint32_t __attribute__((vector_size(32), aligned(16)));
using RawByte = uint8_t __attribute__((vector_size(8)));
using RawHalf = uint16_t __attribute__((vector_size(16)));
using RawDouble = double __attribute__((vector_size(64), aligned(16)));
using RawLong = int64_t __attribute__((vector_size(64), aligned(16)));
using RawUnsignedLong = uint64_t __attribute__((vector_size(64), aligned(16)));

struct Float {
  Raw v;
  Float() = default;
  [[gnu::always_inline]] Float(Raw raw) : v(raw) {}
  [[gnu::always_inline]] explicit Float(float x) : v(Raw{x, x, x, x, x, x, x, x}) {}
};
struct Int {
  RawInt v;
  Int() = default;
  [[gnu::always_inline]] Int(RawInt raw) : v(raw) {}
  [[gnu::always_inline]] explicit Int(int32_t x) : v(RawInt{x, x, x, x, x, x, x, x}) {}
};
struct Mask {
  RawInt v;
};

CHAINRULE_INLINE Int bitsOf(Float a) { return RawInt(a.v); }
CHAINRULE_INLINE Float floatOf(Int a) { return Raw(a.v); }

CHAINRULE_INLINE Float load(const float* p) {
  Raw v;
  __builtin_memcpy(&v, p, 32);
  return v;
}
CHAINRULE_INLINE Int load(const int32_t* p) {
  RawInt v;
  __builtin_memcpy(&v, p, 32);
  return v;
}
CHAINRULE_INLINE void store(float* p, Float a) { __builtin_memcpy(p, &a.v, 32); }
CHAINRULE_INLINE void store(int32_t* p, Int a) { __builtin_memcpy(p, &a.v, 32); }
CHAINRULE_INLINE void stream(float* p, Float a) { store(p, a); }
CHAINRULE_INLINE void fence() {}
CHAINRULE_INLINE Int laneIndex() { return RawInt{0, 1, 2, 3, 4, 5, 6, 7}; }
CHAINRULE_INLINE Mask firstLanes(int count) { return {laneIndex().v < Int(count).v}; }
CHAINRULE_INLINE Float loadMasked(const float* p, Mask m) {
  Raw v{};
  for (int i = 0; i < lanes; ++i) {
    if (m.v[i]) v[i] = p[i];
  }
  return v;
}
CHAINRULE_INLINE void storeMasked(float* p, Float a, Mask m) {
  for (int i = 0; i < lanes; ++i) {
    if (m.v[i]) p[i] = a.v[i];
  }
}
CHAINRULE_INLINE Float loadPartial(const float* p, int count) {
  Raw v{};
  __builtin_memcpy(&v, p, size_t(count) * 4);
  return v;
}
CHAINRULE_INLINE void storePartial(float* p, Float a, int count) { __builtin_memcpy(p, &a.v, size_t(count) * 4); }
CHAINRULE_INLINE Int loadPartial(const int32_t* p, int count) {
  RawInt v{};
  __builtin_memcpy(&v, p, size_t(count) * 4);
  return v;
}
CHAINRULE_INLINE void storePartial(int32_t* p, Int a, int count) { __builtin_memcpy(p, &a.v, size_t(count) * 4); }
CHAINRULE_INLINE Float broadcast(const float* p) { return Float(*p); }
CHAINRULE_INLINE Int loadBytes(const uint8_t* p) {
  RawByte b;
  __builtin_memcpy(&b, p, 8);
  return __builtin_convertvector(b, RawInt);
}
CHAINRULE_INLINE void storeBytes(uint8_t* p, Int a) {
  const RawByte b = __builtin_convertvector(a.v & 255, RawByte);
  __builtin_memcpy(p, &b, 8);
}

CHAINRULE_INLINE Int loadHalves(const uint16_t* p) {
  RawHalf h;
  __builtin_memcpy(&h, p, 16);
  return __builtin_convertvector(h, RawInt);
}
CHAINRULE_INLINE void storeHalves(uint16_t* p, Int a) {  // of lanes within 0..65535
  const RawHalf h = __builtin_convertvector(a.v, RawHalf);
  __builtin_memcpy(p, &h, 16);
}

CHAINRULE_INLINE Float operator+(Float a, Float b) { return a.v + b.v; }
CHAINRULE_INLINE Float operator-(Float a, Float b) { return a.v - b.v; }
CHAINRULE_INLINE Float operator*(Float a, Float b) { return a.v * b.v; }
CHAINRULE_INLINE Float operator/(Float a, Float b) { return a.v / b.v; }
CHAINRULE_INLINE Float operator-(Float a) { return Raw(RawInt(a.v) ^ INT32_MIN); }
CHAINRULE_INLINE Float abs(Float a) { return Raw(RawInt(a.v) & INT32_MAX); }
CHAINRULE_INLINE Float signOf(Float a) { return Raw(RawInt(a.v) & INT32_MIN); }
CHAINRULE_INLINE Float orBits(Float a, Float b) { return Raw(RawInt(a.v) | RawInt(b.v)); }
CHAINRULE_INLINE Float xorBits(Float a, Float b) { return Raw(RawInt(a.v) ^ RawInt(b.v)); }

// The product is exact in double; the sum is rounded to odd, after which rounding to float equals rounding once.
// A call, or the kernels would take minutes to compile.
[[gnu::noinline]] static void roundedOnce(Float& result, const Float& a, const Float& b, const Float& c) {
  const RawDouble product = __builtin_convertvector(a.v, RawDouble) * __builtin_convertvector(b.v, RawDouble);
  const RawDouble addend = __builtin_convertvector(c.v, RawDouble);
  const RawDouble sum = product + addend;
  const RawDouble part = sum - product;
  const RawDouble error = (product - (sum - part)) + (addend - part);  // exact (two-sum); NaN when not finite
  const RawLong bits = RawLong(sum);
  const RawLong inexact = (error > 0) | (error < 0);
  const RawLong even = ~(bits << 63 >> 63);
  const RawLong away = RawLong((error > 0) ^ (sum < 0));  // the true sum is larger in magnitude
  const RawLong step = (away & 1) | (~away & -1);
  result = __builtin_convertvector(RawDouble(bits + (step & inexact & even)), Raw);
}
CHAINRULE_INLINE Float fma(Float a, Float b, Float c) {
  Float result;
  roundedOnce(result, a, b, c);
  return result;
}

CHAINRULE_INLINE void accumulate(Float& acc, Float a, Float b) { roundedOnce(acc, a, b, acc); }

CHAINRULE_INLINE Int operator+(Int a, Int b) { return RawInt(RawUnsigned(a.v) + RawUnsigned(b.v)); }
CHAINRULE_INLINE Int operator-(Int a, Int b) { return RawInt(RawUnsigned(a.v) - RawUnsigned(b.v)); }
CHAINRULE_INLINE Int operator*(Int a, Int b) { return RawInt(RawUnsigned(a.v) * RawUnsigned(b.v)); }
CHAINRULE_INLINE Int operator-(Int a) { return Int(0) - a; }
CHAINRULE_INLINE Int operator&(Int a, Int b) { return a.v & b.v; }
CHAINRULE_INLINE Int operator|(Int a, Int b) { return a.v | b.v; }
CHAINRULE_INLINE Int operator^(Int a, Int b) { return a.v ^ b.v; }
template <int bits>
CHAINRULE_INLINE Int shiftLeft(Int a) {
  return RawInt(RawUnsigned(a.v) << bits);
}
template <int bits>
CHAINRULE_INLINE Int shiftRight(Int a) {
  return a.v >> bits;
}
template <int bits>
CHAINRULE_INLINE Int shiftRightLogical(Int a) {
  return RawInt(RawUnsigned(a.v) >> bits);
}
// As in avx2_bytes.h.
constexpr int32_t kFlip = 0;
template <int byte>
CHAINRULE_INLINE Int signedByte(Int a) {
  return shiftRight<24>(shiftLeft<24 - 8 * byte>(a));
}
CHAINRULE_INLINE void accumulateQuads(Int& acc, Int w, Int x) {
  acc = acc + signedByte<0>(w) * signedByte<0>(x) + signedByte<1>(w) * signedByte<1>(x) +
        signedByte<2>(w) * signedByte<2>(x) + signedByte<3>(w) * signedByte<3>(x);
}
CHAINRULE_INLINE void mulWide(Int a, uint32_t factor, Int& high, Int& low) {
  const RawUnsignedLong product = __builtin_convertvector(RawUnsigned(a.v), RawUnsignedLong) * uint64_t(factor);
  low = RawInt(__builtin_convertvector(product, RawUnsigned));
  high = RawInt(__builtin_convertvector(product >> 32, RawUnsigned));
}

CHAINRULE_INLINE Mask operator==(Float a, Float b) { return {a.v == b.v}; }
CHAINRULE_INLINE Mask operator!=(Float a, Float b) { return {a.v != b.v}; }
CHAINRULE_INLINE Mask operator<(Float a, Float b) { return {a.v < b.v}; }
CHAINRULE_INLINE Mask operator<=(Float a, Float b) { return {a.v <= b.v}; }
CHAINRULE_INLINE Mask operator>(Float a, Float b) { return {a.v > b.v}; }
CHAINRULE_INLINE Mask operator>=(Float a, Float b) { return {a.v >= b.v}; }
CHAINRULE_INLINE Mask operator&(Mask a, Mask b) { return {a.v & b.v}; }
CHAINRULE_INLINE Mask operator|(Mask a, Mask b) { return {a.v | b.v}; }
CHAINRULE_INLINE Mask operator!(Mask a) { return {~a.v}; }
CHAINRULE_INLINE Mask operator==(Int a, Int b) { return {a.v == b.v}; }
CHAINRULE_INLINE Mask operator!=(Int a, Int b) { return {a.v != b.v}; }
CHAINRULE_INLINE Mask operator<(Int a, Int b) { return {a.v < b.v}; }
CHAINRULE_INLINE Mask operator<=(Int a, Int b) { return {a.v <= b.v}; }
CHAINRULE_INLINE Mask operator>(Int a, Int b) { return {a.v > b.v}; }
CHAINRULE_INLINE Mask operator>=(Int a, Int b) { return {a.v >= b.v}; }
CHAINRULE_INLINE Float andBits(Float a, Mask m) { return Raw(RawInt(a.v) & m.v); }
CHAINRULE_INLINE int laneBits(Mask m) {
  int bits = 0;
  for (int i = 0; i < lanes; ++i) bits |= (m.v[i] & 1) << i;
  return bits;
}
CHAINRULE_INLINE bool any(Mask m) { return laneBits(m) != 0; }
#include "cpu/simd/store_lanes.inl"
CHAINRULE_INLINE Float select(Mask m, Float a, Float b) { return Raw((RawInt(a.v) & m.v) | (RawInt(b.v) & ~m.v)); }
CHAINRULE_INLINE Int select(Mask m, Int a, Int b) { return (a.v & m.v) | (b.v & ~m.v); }
CHAINRULE_INLINE Int toLanes(Mask m) { return m.v & 1; }
CHAINRULE_INLINE Int abs(Int a) { return select(a < Int(0), -a, a); }
#if defined(__SSE2__)
// x86 itself, for what it does to denormals. Float operation(Float a, Float b) by halves.
#define BY_HALVES(name, operation)                                           \
  CHAINRULE_INLINE Float name(Float a, Float b) {                            \
    __m128 x[2], y[2];                                                       \
    __builtin_memcpy(x, &a.v, 32);                                           \
    __builtin_memcpy(y, &b.v, 32);                                           \
    const __m128 result[2] = {operation(x[0], y[0]), operation(x[1], y[1])}; \
    __builtin_memcpy(&a.v, result, 32);                                      \
    return a;                                                                \
  }
BY_HALVES(minOr, _mm_min_ps)
BY_HALVES(maxOr, _mm_max_ps)
#undef BY_HALVES
#else
CHAINRULE_INLINE Float minOr(Float a, Float b) { return select(a < b, a, b); }
CHAINRULE_INLINE Float maxOr(Float a, Float b) { return select(a > b, a, b); }
#endif

CHAINRULE_INLINE Float toFloat(Int a) { return __builtin_convertvector(a.v, Raw); }
CHAINRULE_INLINE Int toInt(Float a) {
  const Mask inRange = (a >= Float(-2147483648.0f)) & (a < Float(2147483648.0f));
  const Int converted = __builtin_convertvector(select(inRange, a, Float(0.0f)).v, RawInt);
  return select(inRange, converted, Int(INT32_MIN));
}
CHAINRULE_INLINE Float sqrt(Float a) {
#if defined(__SSE2__)
  __m128 half[2];
  __builtin_memcpy(half, &a.v, 32);
  half[0] = _mm_sqrt_ps(half[0]);
  half[1] = _mm_sqrt_ps(half[1]);
  __builtin_memcpy(&a.v, half, 32);
  return a;
#else
  for (int i = 0; i < lanes; ++i) a.v[i] = __builtin_sqrtf(a.v[i]);
  return a;
#endif
}

#include "cpu/simd/rounding.inl"

CHAINRULE_INLINE void transpose(Float (&r)[8]) {
  Float t[8];
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 8; ++j) t[i].v[j] = r[j].v[i];
  }
  for (int i = 0; i < 8; ++i) r[i] = t[i];
}

CHAINRULE_INLINE Float swapHalves(Float a) { return __builtin_shufflevector(a.v, a.v, 4, 5, 6, 7, 0, 1, 2, 3); }
CHAINRULE_INLINE Float swapPairs(Float a) { return __builtin_shufflevector(a.v, a.v, 2, 3, 0, 1, 6, 7, 4, 5); }
CHAINRULE_INLINE Float swapNeighbours(Float a) { return __builtin_shufflevector(a.v, a.v, 1, 0, 3, 2, 5, 4, 7, 6); }
CHAINRULE_INLINE float firstLane(Float a) { return a.v[0]; }
CHAINRULE_INLINE int32_t firstLane(Int a) { return a.v[0]; }
