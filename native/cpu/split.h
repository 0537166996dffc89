#pragma once

#include <cstdint>

#include "cpu/types.h"

// Scratch sizes, and the splits of work that are part of a result's definition: they depend on shapes only, never on
// threads.
namespace chainrule::cpu {

// Whether a result of so many bytes is written past the caches: its first lines would be gone before the last are
// there. (Systems name the size of a last cache that nobody has, of several processors together or of a host.)
constexpr bool outgrowsCache(int64_t bytes) { return bytes >= int64_t(32) << 20; }

int64_t gemmScratchBytes(const Gemm& gemm);  // per member; looks at sizes and strides, not at pointers

// Chunks of the k axis for products with a huge K and few tiles (dW = X^T dY). With more than one, chunk q covers rows
// [q * k / chunks, (q + 1) * k / chunks) and the partial products are added with reduceOuter(sum) over [chunks][size of
// C].
int64_t gemmChunks(int64_t m, int64_t n, int64_t k);

// Rows of a chunk for a two-level reduceOuter; n if one level is enough.
int64_t reduceChunkRows(int64_t n, int64_t inner);

int64_t convScratchBytes(const ConvShape& shape);  // per member, enough for each of the three passes

// convBackwardFilter cuts n * oh rows into `chunks` and the filter matrix into `blocks`.
struct ConvFilterSplit {
  int64_t chunks = 1, blocks = 1;
  constexpr int64_t items() const { return chunks * blocks; }
};
ConvFilterSplit convFilterSplit(const ConvShape& shape);
int64_t depthwiseFilterChunks(const ConvShape& shape);

}  // namespace chainrule::cpu
