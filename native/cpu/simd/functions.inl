// What every ISA has beside its vector types. The order matters.
// clang-format off
#include "cpu/simd/math.inl"
#include "cpu/simd/trigonometry.inl"
#include "cpu/simd/power.inl"
#include "cpu/simd/bfloat16.inl"
#include "cpu/simd/generic.inl"
