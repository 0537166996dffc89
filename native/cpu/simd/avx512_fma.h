// A part of avx512.h that the emulation in test/kernels has of its own.

// acc += a * b in the register where acc is, as in avx2.h.
CHAINRULE_INLINE void fuseInto(__m512& acc, __m512 a, __m512 b) {
  asm("vfmadd231ps %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b));
}
