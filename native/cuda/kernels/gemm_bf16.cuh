#pragma once

// Products of bfloat16 on tensor cores. Products of two such numbers are exact in float32.

#include "cuda/kernels/gemm_tensor.cuh"

namespace chainrule::cuda {

// As those of tf32, of twice as many elements in the same bytes.
using Bf16Large = TensorTile<128, 256, 32, 4, 2, 4, 1, 1>;
using Bf16Medium = TensorTile<128, 128, 32, 4, 2, 2, 1, 2>;
using Bf16Small = TensorTile<64, 64, 64, 4, 2, 2, 1, 3>;
using Bf16Tiny = TensorTile<32, 32, 128, 3, 1, 1, 4, 4>;

// The fragments of an operand for `tiles` x 8 elements x and 16 k, in the registers in which mma reads them: of the
// left one values[i] is its A, of the right one values[i] its B twice, for columns 16 i and 16 i + 8.
template <typename Tile, int tiles, bool left>
struct Bf16Fragments {
  static constexpr bool inOrder = true;
  static constexpr int depth = 16;
  static_assert(tiles % 2 == 0);
  uint32_t values[tiles / 2][4];

  DEVICE_MEMBER static int at(int i, int g) { return i * 8 + g; }

  DEVICE_MEMBER void load(const uint16_t* tile, int x, int k) {
    const int lane = int(threadIdx.x) % kWarp, one = lane / 8 % 2 * 8, two = lane / 16 * 8;
    x += left ? one : two;
    k += left ? two : one;
#pragma unroll
    for (int i = 0; i < tiles / 2; ++i) {
      if constexpr (Tile::rowsOfK) {
        loadTiles(values[i], tile + Tile::at(x + i * 16 + lane % 8, k));
      } else {
        loadTilesTransposed(values[i], tile + Tile::at(x + i * 16, k + lane % 8));
      }
    }
  }
  DEVICE_MEMBER void round() {}
  template <typename Columns>
  DEVICE_MEMBER static void multiply(float* d, const Bf16Fragments& x, int i, const Columns& y, int j) {
    const uint32_t b[2] = {y.values[j / 2][j % 2 * 2], y.values[j / 2][j % 2 * 2 + 1]};
    mmaBf16(d, x.values[i], b);
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
