#include <algorithm>
#include <numeric>

#include "passes/storage.h"

namespace chainrule {

int64_t planMemory(std::vector<Lifetime>& blocks) {
  std::vector<size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return blocks[a].bytes > blocks[b].bytes; });
  std::vector<size_t> placed;  // sorted by offset
  int64_t total = 0;
  for (size_t id : order) {
    Lifetime& block = blocks[id];
    const int64_t size = (block.bytes + 63) / 64 * 64;
    int64_t offset = 0;
    for (size_t other : placed) {
      const Lifetime& neighbour = blocks[other];
      if (neighbour.last < block.first || block.last < neighbour.first) continue;
      if (offset + size <= neighbour.offset) break;
      offset = std::max(offset, neighbour.offset + (neighbour.bytes + 63) / 64 * 64);
    }
    block.offset = offset;
    total = std::max(total, offset + size);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), id,
                                   [&](size_t a, size_t b) { return blocks[a].offset < blocks[b].offset; }),
                  id);
  }
  return total;
}

}  // namespace chainrule
