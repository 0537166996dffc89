#pragma once

#include <algorithm>
#include <cstdint>

#include "base/shape.h"

namespace chainrule::ops {

// Rows summed over leading axes, in chunks for the team (few enough for the partial sums to be added at once) of blocks
// that stay in cache and keep the sums of single rows short. By sizes alone, never by the team.
struct RowBlocks {
  // Floats of a block. The sums of rows of more would take as much memory as the rows if these are few.
  static constexpr int64_t kBlock = 8 << 10;

  int64_t rows = 1, columns = 1;
  int64_t blockRows = 1, chunkRows = 1, chunks = 1;

  RowBlocks() = default;
  RowBlocks(const Dims& dims, size_t axes) {
    for (int i = 0; i < dims.size(); ++i) (size_t(i) < axes ? rows : columns) *= dims[i];
    constexpr int64_t kMostRows = 128, kChunks = 64;
    blockRows = columns == 1 ? kBlock : std::clamp<int64_t>(kBlock / std::max<int64_t>(1, columns), 1, kMostRows);
    const int64_t blocks = std::max<int64_t>(1, (rows + blockRows - 1) / blockRows);
    chunkRows = (blocks + kChunks - 1) / kChunks * blockRows;
    chunks = std::max<int64_t>(1, (rows + chunkRows - 1) / chunkRows);
  }

  // Calls use(first row, number of rows) for each block of a chunk.
  template <typename Use>
  void ofChunk(int64_t chunk, Use use) const {
    const int64_t end = std::min(rows, (chunk + 1) * chunkRows);
    for (int64_t row = chunk * chunkRows; row < end; row += blockRows) use(row, std::min(blockRows, end - row));
  }
};

}  // namespace chainrule::ops
