#include "cpu/split.h"

#include <algorithm>

#include "cpu/conv_rows.h"

namespace chainrule::cpu {

int64_t gemmScratchBytes(const Gemm& gemm) {
  // A block of A, see kBlockRows and kBlockK (a last block of k may be half as long again).
  if (gemm.m <= 6 || gemm.k < 64) return 0;
  return std::min<int64_t>(gemm.m, 144) * std::min<int64_t>(gemm.k, 1152) * 4 + 64;
}

int64_t gemmChunks(int64_t m, int64_t n, int64_t k) {
  // Enough tiles keep every core busy without; the partial products must not outweigh the operands.
  const int64_t tiles = (m + 5) / 6 * panelCount(n);
  if (tiles >= 64 || k < 2048) return 1;
  return std::clamp<int64_t>(std::min(64 / tiles, k / 1024), 1, 16);
}

int64_t reduceChunkRows(int64_t n, int64_t inner) {
  // One level while there are columns to share or little to do; else chunks that are multiples of the kernel's row
  // block.
  if (inner >= 512 || n * inner < 65536) return n;
  const int64_t chunks = std::clamp<int64_t>(n * inner / 16384, 2, 64);
  return std::max<int64_t>(128, ((n + chunks - 1) / chunks + 127) / 128 * 128);
}

int64_t convScratchBytes(const ConvShape& shape) {
  const auto rounded = [](int64_t bytes) { return (bytes + 63) / 64 * 64; };
  const int64_t taps = shape.kh * shape.kw;
  // Runs, jobs and segments are at most 32 bytes each; the table of a narrow convolution fits where the runs would be.
  const auto jobs = [&](const ConvRows& rows) {
    return rounded(rows.bytes()) + (taps * rows.block + rows.block + taps) * 32 + shape.filterRows() * 4;
  };
  const ConvRows filter = convFilterRows(shape);
  const int64_t filterBytes =
      rounded(filter.bytes()) + convFilterPixels(shape, filter.block) * kFilterPanels * kPanel * 4 + filter.block * 32;
  int64_t bytes = std::max({jobs(convForwardRows(shape)), jobs(convBackwardRows(shape)), filterBytes});
  if (convIsPointwise(shape)) {
    Gemm gemm;
    gemm.m = shape.n * shape.h * shape.w;
    gemm.k = std::max(shape.cin, shape.cout);
    bytes = std::max(bytes, gemmScratchBytes(gemm));
  }
  return bytes;
}

ConvFilterSplit convFilterSplit(const ConvShape& s) {
  const int64_t panels = panelCount(s.groupOut()) * s.groups, size = s.filterRows() * panels * kPanel;
  // About 16 items for the team; a chunk sums at least 256 pixels, and all chunks together take at most 4 MB.
  const int64_t limit = std::min({int64_t(16), s.n * s.oh, s.n * s.oh * s.ow / 256, (int64_t(1) << 20) / size});
  ConvFilterSplit split;
  split.chunks = std::max<int64_t>(limit, 1);
  split.blocks = std::min(panels, (16 + split.chunks - 1) / split.chunks);
  return split;
}

int64_t depthwiseFilterChunks(const ConvShape& s) {
  return std::clamp<int64_t>(std::min(s.n * s.oh, s.n * s.oh * s.ow / 256), 1, 16);
}

}  // namespace chainrule::cpu
