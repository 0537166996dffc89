#include "cpu/split.h"

#include <algorithm>

namespace chainrule::cpu {

int64_t gemmScratchBytes(const Gemm& gemm) {
  // A block of A, see kBlockRows and kBlockK (a last block of k may be half as long again).
  if (gemm.m <= 6 || gemm.k < 64) return 0;
  return std::min<int64_t>(gemm.m, 144) * std::min<int64_t>(gemm.k, 384) * 4;
}

int64_t gemmChunks(int64_t m, int64_t n, int64_t k) {
  // Enough tiles keep every core busy without; the partial products must not outweigh the operands.
  const int64_t tiles = (m + 5) / 6 * panelCount(n);
  if (tiles >= 64 || k < 2048) return 1;
  return std::clamp<int64_t>(std::min(64 / tiles, k / 1024), 1, 16);
}

int64_t reduceChunkRows(int64_t n, int64_t inner) {
  // One level while there are columns to share or little to do; else chunks that are multiples of the kernel's row block.
  if (inner >= 512 || n * inner < 65536) return n;
  const int64_t chunks = std::clamp<int64_t>(n * inner / 16384, 2, 64);
  return std::max<int64_t>(128, ((n + chunks - 1) / chunks + 127) / 128 * 128);
}

}  // namespace chainrule::cpu
