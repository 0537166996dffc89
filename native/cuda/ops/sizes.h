#pragma once

#include <algorithm>
#include <initializer_list>

#include "base/shape.h"

// Arithmetic of sizes that several launches share.
namespace chainrule::cuda {

constexpr int64_t kMultiprocessors = 132;  // of the GPUs to have in mind; results may depend on it, so it is fixed

inline int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The least power of two from `value` on, at most `limit`.
inline int64_t powerOfTwo(int64_t value, int64_t limit) {
  int64_t power = 1;
  while (power < value && power < limit) power *= 2;
  return power;
}

// Into how many parts, each of `least` items or more, `count` items are cut where each part takes `blocks` blocks: so
// that `resident` blocks on each multiprocessor are there.
inline int64_t partsFor(int64_t count, int64_t least, int64_t blocks, int64_t resident) {
  const int64_t most = std::max<int64_t>(1, count / least);
  return std::clamp<int64_t>(resident * kMultiprocessors / std::max<int64_t>(blocks, 1), 1, most);
}

// Whether all can be read in runs of 16 bytes.
inline bool startAt16(std::initializer_list<const void*> pointers) {
  return std::ranges::all_of(pointers, [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; });
}

}  // namespace chainrule::cuda
