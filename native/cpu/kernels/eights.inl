// The kernels whose data lie in groups of 8: random streams, cells, and what transposes blocks. They need vectors of 8.
// clang-format off
#include "cpu/kernels/random.inl"
#include "cpu/kernels/cell_activation.inl"
#include "cpu/kernels/recurrent.inl"
#include "cpu/kernels/recurrent_backward.inl"
// clang-format on

using Eight = Float;
CHAINRULE_INLINE Eight loadEight(const float* p) { return load(p); }
CHAINRULE_INLINE void storeEight(float* p, Eight a) { store(p, a); }
