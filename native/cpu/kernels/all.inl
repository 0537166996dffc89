// All kernels of an ISA with vectors of 8, in the namespace of its vector types.
// clang-format off
#include "cpu/simd/functions.inl"
#include "cpu/kernels/eights.inl"
#include "cpu/kernels/any_width.inl"
