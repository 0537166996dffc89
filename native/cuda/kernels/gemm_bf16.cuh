#pragma once

// Products of bfloat16 on tensor cores. Products of two such numbers are exact in float32.

#include "cuda/kernels/gemm_tensor.cuh"

namespace chainrule::cuda {

// As those of tf32, of twice as many elements in the same bytes.
using Bf16Large = TensorTile<128, 256, 64, 3, 2, 4, 1, 1>;
using Bf16Medium = TensorTile<128, 128, 32, 4, 2, 2, 1, 2>;
using Bf16Small = TensorTile<64, 64, 64, 4, 2, 2, 1, 3>;
using Bf16Tiny = TensorTile<32, 32, 128, 3, 1, 1, 4, 4>;

// The fragments of an operand for `tiles` x 8 elements x and 16 k: values[i][h] is the pair (element at(i, g),
// k 2t + 8 h and the one behind it).
template <typename Tile, int tiles>
struct Bf16Fragments {
  static constexpr bool inOrder = true;
  static constexpr int depth = 16;
  static_assert(tiles % 2 == 0);
  uint32_t values[tiles][2];

  DEVICE_MEMBER static int at(int i, int g) { return i * 8 + g; }

  DEVICE_MEMBER void load(const uint16_t* tile, int x, int k) {
    const int lane = int(threadIdx.x) % kWarp, acrossX = lane / 16 * 8, acrossK = lane / 8 % 2 * 8;
    const uint16_t* const row =
        tile + (Tile::rowsOfK ? Tile::at(x + acrossX + lane % 8, k + acrossK) : Tile::at(x + acrossX, k + acrossK + lane % 8));
#pragma unroll
    for (int i = 0; i < tiles; i += 2) {
      uint32_t loaded[4];
      if constexpr (Tile::rowsOfK) {
        loadTiles(loaded, row + i * 8 * Tile::row);
      } else {
        loadTilesTransposed(loaded, row + i * 8);
      }
#pragma unroll
      for (int e = 0; e < 4; ++e) values[i + e / 2][e % 2] = loaded[e];
    }
  }
  DEVICE_MEMBER void round() {}
  template <typename Columns>
  DEVICE_MEMBER static void multiply(float* d, const Bf16Fragments& x, int i, const Columns& y, int j) {
    const uint32_t left[4] = {x.values[2 * i][0], x.values[2 * i + 1][0], x.values[2 * i][1], x.values[2 * i + 1][1]};
    mmaBf16(d, left, y.values[j]);
  }
};

template <typename Tile, bool aAlongK, bool bAlongK>
using Bf16Math = TensorMath<Tile, uint16_t, Bf16Fragments, aAlongK, bAlongK>;

GEMM_KERNELS_PLAIN(Bf16, Large)
GEMM_KERNELS_PLAIN(Bf16, Medium)
GEMM_KERNELS_PLAIN(Bf16, Small)
GEMM_KERNELS_PLAIN(Bf16, Tiny)
GEMM_KERNELS_WINDOWED(Bf16, Medium)
GEMM_KERNELS_WINDOWED(Bf16, Small)
GEMM_KERNELS_WINDOWED(Bf16, Tiny)

}  // namespace chainrule::cuda
