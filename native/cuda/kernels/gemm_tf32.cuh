#pragma once

// Products on tensor cores: factors are rounded to tf32.

#include "cuda/kernels/gemm_tensor.cuh"

namespace chainrule::cuda {

// All but the large ones fit the 99 KiB that a block may have on every GPU since sm_80.
using Tf32Large = TensorTile<128, 256, 32, 3, 2, 4, 1, 1>;
using Tf32Medium = TensorTile<128, 128, 16, 4, 2, 2, 1, 2>;
using Tf32Small = TensorTile<64, 64, 32, 4, 2, 2, 1, 3>;
using Tf32Tiny = TensorTile<32, 32, 64, 3, 1, 1, 4, 4>;

// The fragments of an operand for `tiles` x 8 elements x and 8 k: values[i][h] is (element at(i, g), k t + 4 h).
template <typename Tile, int tiles, bool left>
struct Tf32Fragments {
  static constexpr bool alongK = Tile::rowsOfK, inOrder = alongK;
  static constexpr int depth = 8;
  static_assert(tiles % 4 == 0);
  float values[tiles][2];

  // Along k neighbours g are neighbours in the tile; along x a lane has four neighbours, to read them at once.
  DEVICE_MEMBER static int at(int i, int g) { return alongK ? i * 8 + g : i / 4 * 32 + g * 4 + i % 4; }

  DEVICE_MEMBER void load(const float* tile, int x, int k) {
    const int lane = int(threadIdx.x) % kWarp, g = lane / 4, t = lane % 4;
    if constexpr (alongK) {
      const float* const row = tile + Tile::at(x + lane / 16 * 8 + lane % 8, k + lane / 8 % 2 * 4);
#pragma unroll
      for (int i = 0; i < tiles; i += 2) {
        uint32_t loaded[4];
        loadTiles(loaded, row + i * 8 * Tile::row);
#pragma unroll
        for (int k = 0; k < 4; ++k) values[i + k / 2][k % 2] = floatOf(loaded[k]);
      }
    } else {
#pragma unroll
      for (int h = 0; h < 2; ++h)
#pragma unroll
        for (int i = 0; i < tiles; i += 4) {
          const Four four = *reinterpret_cast<const Four*>(tile + Tile::at(x + i * 8 + g * 4, k + t + 4 * h));
#pragma unroll
          for (int e = 0; e < 4; ++e) values[i + e][h] = four.v[e];
        }
    }
  }
  DEVICE_MEMBER void round() {
#pragma unroll
    for (auto& tile : values)
#pragma unroll
      for (float& value : tile) value = roundTf32(value);
  }
  template <typename Columns>
  DEVICE_MEMBER static void multiply(float* d, const Tf32Fragments& x, int i, const Columns& y, int j) {
    const float a[4] = {x.values[2 * i][0], x.values[2 * i + 1][0], x.values[2 * i][1], x.values[2 * i + 1][1]};
    mmaTf32(d, a, y.values[j]);
  }
};

template <typename Tile, bool aAlongK, bool bAlongK>
using Tf32Math = TensorMath<Tile, float, Tf32Fragments, aAlongK, bAlongK>;

GEMM_KERNELS_PLAIN(Tf32, Large)
GEMM_KERNELS_PLAIN(Tf32, Medium)
GEMM_KERNELS_PLAIN(Tf32, Small)
GEMM_KERNELS_PLAIN(Tf32, Tiny)
GEMM_KERNELS_WINDOWED(Tf32, Medium)
GEMM_KERNELS_WINDOWED(Tf32, Small)
GEMM_KERNELS_WINDOWED(Tf32, Tiny)

}  // namespace chainrule::cuda
