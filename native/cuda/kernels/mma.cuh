#pragma once

// One product of small matrices by a warp: D += A B with A 16 x 8, B 8 x 8, as mma.sync.m16n8k8 spreads them over the
// lanes. With g = lane / 4 and t = lane % 4: a = A(g, t), A(g + 8, t), A(g, t + 4), A(g + 8, t + 4); b = B(t, g),
// B(t + 4, g); d = D(g, 2t), D(g, 2t + 1), D(g + 8, 2t), D(g + 8, 2t + 1). (PTX ISA, "Matrix fragments for
// mma.m16n8k8")

#include "cuda/kernels/grid.cuh"

namespace chainrule::cuda {

#ifdef __CUDACC__

// Rounds to the 10 bits of mantissa that the tensor cores read, ties away from zero: half a unit of them is added, and
// what is below them they ignore. (cvt.rna.tf32 does it by a predicate, which costs a move for each operand.)
DEVICE float roundTf32(float x) {
  const float power = __uint_as_float(__float_as_uint(x) & 0xFF800000);  // with the sign of x; infinite for NaN
  return __fmaf_rn(power, 0x1p-11f, x);
}
DEVICE void mmaTf32(float* d, const float (&a)[4], const float (&b)[2]) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])), "r"(__float_as_uint(a[3])),
        "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
}
// D += A B with A 16 x 16, B 16 x 8 of bfloat16, two to a word: a = A(g, 2t..), A(g + 8, 2t..), A(g, 2t + 8..),
// A(g + 8, 2t + 8..), b = B(2t.., g), B(2t + 8.., g), d as above. (PTX ISA, "Matrix fragments for mma.m16n8k16")
DEVICE void mmaBf16(float* d, const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// Four tiles of 8 rows x 16 bytes from shared memory: lane l names row l % 8 of tile l / 8; tiles[i] is word t of row g
// of tile i. Transposed: tile i as 8 x 8 halves, of which tiles[i] is (2t, g) and (2t + 1, g). (PTX ISA, "ldmatrix")
DEVICE void loadTiles(uint32_t (&tiles)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(tiles[0]), "=r"(tiles[1]), "=r"(tiles[2]), "=r"(tiles[3])
               : "r"(uint32_t(__cvta_generic_to_shared(row)))
               : "memory");
}
DEVICE void loadTilesTransposed(uint32_t (&tiles)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(tiles[0]), "=r"(tiles[1]), "=r"(tiles[2]), "=r"(tiles[3])
               : "r"(uint32_t(__cvta_generic_to_shared(row)))
               : "memory");
}
DEVICE float floatOf(uint32_t bits) { return __uint_as_float(bits); }

#else

DEVICE float roundTf32(float x) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, x);
  if ((bits & 0x7F800000) == 0x7F800000) return x;
  return __builtin_bit_cast(float, (bits + 0x1000) & 0xFFFFE000);
}
DEVICE void mmaTf32(float* d, const float (&a)[4], const float (&b)[2]) {
  struct Fragments {
    float a[4], b[2];
  } own;
  for (int i = 0; i < 4; ++i) own.a[i] = a[i];
  for (int i = 0; i < 2; ++i) own.b[i] = b[i];
  const uint64_t* const lanes = emulation::exchangeAll(reinterpret_cast<uintptr_t>(&own));
  const auto of = [&](int lane) { return reinterpret_cast<const Fragments*>(lanes[lane]); };
  const int g = int(threadIdx.x % 32) / 4, t = int(threadIdx.x % 4);
  for (int i = 0; i < 4; ++i) {
    const int high = i / 2, column = 2 * t + i % 2;
    for (int k = 0; k < 8; ++k) {
      d[i] = fmaOf(of(g * 4 + k % 4)->a[high + k / 4 * 2], of(column * 4 + k % 4)->b[k / 4], d[i]);
    }
  }
  syncWarp();
}
DEVICE float floatOf(uint32_t bits) { return __builtin_bit_cast(float, bits); }
DEVICE void mmaBf16(float* d, const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  struct Fragments {
    uint32_t a[4], b[2];
  } own;
  for (int i = 0; i < 4; ++i) own.a[i] = a[i];
  for (int i = 0; i < 2; ++i) own.b[i] = b[i];
  const uint64_t* const lanes = emulation::exchangeAll(reinterpret_cast<uintptr_t>(&own));
  const auto of = [&](int lane) { return reinterpret_cast<const Fragments*>(lanes[lane]); };
  const auto half = [](uint32_t pair, int k) { return floatOf(k % 2 ? pair & 0xFFFF0000 : pair << 16); };
  const int g = int(threadIdx.x % 32) / 4, t = int(threadIdx.x % 4);
  for (int i = 0; i < 4; ++i) {
    const int high = i / 2, column = 2 * t + i % 2;
    for (int k = 0; k < 16; ++k) {
      d[i] = fmaOf(half(of(g * 4 + k % 8 / 2)->a[high + k / 8 * 2], k), half(of(column * 4 + k % 8 / 2)->b[k / 8], k),
                   d[i]);
    }
  }
  syncWarp();
}
DEVICE void loadTiles(uint32_t (&tiles)[4], const void* row) {
  const uint64_t* const lanes = emulation::exchangeAll(reinterpret_cast<uintptr_t>(row));
  const int g = int(threadIdx.x % 32) / 4, t = int(threadIdx.x % 4);
  for (int i = 0; i < 4; ++i) tiles[i] = reinterpret_cast<const uint32_t*>(lanes[i * 8 + g])[t];
  syncWarp();
}
DEVICE void loadTilesTransposed(uint32_t (&tiles)[4], const void* row) {
  const uint64_t* const lanes = emulation::exchangeAll(reinterpret_cast<uintptr_t>(row));
  const int g = int(threadIdx.x % 32) / 4, t = int(threadIdx.x % 4);
  const auto half = [&](int i, int k) { return uint32_t(reinterpret_cast<const uint16_t*>(lanes[i * 8 + k])[g]); };
  for (int i = 0; i < 4; ++i) tiles[i] = half(i, 2 * t) | half(i, 2 * t + 1) << 16;
  syncWarp();
}

#endif

}  // namespace chainrule::cuda
