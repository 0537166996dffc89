#include <algorithm>
#include <numeric>

#include "check.h"

// Strided copies, rows by index, fills and checks.
using namespace check;

KERNEL_CASE(copyStrided) {
  for (int round = 0; round < 1500; ++round) {
    StridedSpace space;
    space.rank = int(pick(0, 5));
    int64_t total = 1, span = 1, low = 0;
    int order[8];
    for (int axis = 0; axis < space.rank; ++axis) {
      order[axis] = axis;
      space.dims[axis] = pick(0, 1) ? pick(1, 4) : size();
      if (total * space.dims[axis] > 20000) space.dims[axis] = 1;
      total *= space.dims[axis];
    }
    for (int axis = space.rank - 1; axis > 0; --axis) std::swap(order[axis], order[pick(0, axis)]);
    const bool unique = pick(0, 1);  // no broadcasting: usable for scattering
    int64_t stride = 1;
    for (int k = space.rank - 1; k >= 0; --k) {
      const int axis = order[k];
      if (!unique && pick(0, 4) == 0) continue;
      const bool negative = pick(0, 4) == 0;
      space.strides[axis] = negative ? -stride : stride;
      (negative ? low : span) += (negative ? -1 : 1) * stride * (space.dims[axis] - 1);
      stride *= space.dims[axis] + pick(0, 4) / 4;
    }
    for (int64_t bytes : {1, 4}) {
      std::vector<uint8_t> memory((span - low) * bytes), out(total * bytes), back(memory.size());
      for (uint8_t& b : memory) b = uint8_t(randomBits());
      const auto offsetOf = [&](int64_t flat) {
        int64_t offset = -low;
        for (int axis = space.rank - 1; axis >= 0; --axis) {
          offset += flat % space.dims[axis] * space.strides[axis];
          flat /= space.dims[axis];
        }
        return offset;
      };
      std::vector<uint8_t> exact(total * bytes);
      for (int64_t i = 0; i < total; ++i) std::memcpy(&exact[i * bytes], &memory[offsetOf(i) * bytes], bytes);
      for (const KernelTable* table : tables()) {
        std::fill(out.begin(), out.end(), 0);
        randomSplit(total, [&](int64_t b, int64_t e) {
          table->copyStrided(space, bytes, memory.data() - low * bytes, out.data(), b, e);
        });
        expectSame(exact, out, "copyStrided");
        if (!unique) continue;
        std::fill(back.begin(), back.end(), 7);
        std::vector<uint8_t> expected(back);
        for (int64_t i = 0; i < total; ++i) std::memcpy(&expected[offsetOf(i) * bytes], &exact[i * bytes], bytes);
        randomSplit(total, [&](int64_t b, int64_t e) {
          table->scatterStrided(space, bytes, exact.data(), back.data() - low * bytes, b, e);
        });
        expectSame(expected, back, "scatterStrided");
      }
    }
  }
}

KERNEL_CASE(rowsByIndex) {
  for (int round = 0; round < 200; ++round) {
    const int64_t tableRows = pick(0, 3) == 0 ? pick(2049, 5000) : size(), width = size(),
                  count = pick(0, 1) ? size() : pick(100, 400);
    const std::vector<float> table = floats(tableRows * width), values = floats(count * width);
    std::vector<int32_t> indices = integers(count, 0, int32_t(tableRows) - 1);
    int64_t bad = INT64_MAX;
    if (pick(0, 2) == 0) indices[bad = pick(0, count - 1)] = pick(0, 1) ? -1 : int32_t(tableRows);
    const int64_t group = pick(0, 1) ? 1 : pick(1, 300), members = pick(1, 5);
    std::vector<float> gathered(count * width), sums(tableRows * width, 0.5f);
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t c = 0; c < width && i != bad; ++c) gathered[i * width + c] = table[indices[i] * width + c];
    }
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t c = 0; c < width && i != bad; ++c) sums[indices[i] * width + c] += values[i / group * width + c];
    }
    for (const KernelTable* k : tables()) {
      std::vector<float> out(count * width, NAN), summed(tableRows * width, 0.5f);
      int64_t found = INT64_MAX;
      randomSplit(count, [&](int64_t b, int64_t e) {
        k->gatherRows(table.data(), tableRows, width * 4, indices.data(), out.data(), b, e, &found);
      });
      expectSame(gathered, out, "gatherRows");
      expect(found == bad, "gatherRows: first bad %lld, expected %lld", (long long)found, (long long)bad);
      if (bad == INT64_MAX) {
        std::vector<float> sum(width, NAN), ofGathered(width, NAN);
        const int64_t part = pick(1, count);
        k->gatherSum(table.data(), width, indices.data(), part, count, sum.data());
        tables()[0]->reduceOuter(cpu::Reduce::sum, DType::f32, gathered.data(), part, width, ofGathered.data(), 0,
                                 width);
        expectSame(ofGathered, sum, "gatherSum");
      }
      for (int64_t member = 0; member < members; ++member)
        k->scatterAddRows(values.data(), width, group, indices.data(), count, summed.data(), tableRows, member,
                          members);
      expectSame(sums, summed, "scatterAddRows");
    }
  }
}

KERNEL_CASE(oneHotFillAndChecks) {
  for (int round = 0; round < 200; ++round) {
    const int64_t count = size(), depth = size();
    const std::vector<int32_t> indices = integers(count, -1, int32_t(depth));
    std::vector<float> exact(count * depth, -1.0f);
    for (int64_t i = 0; i < count; ++i) {
      if (indices[i] >= 0 && indices[i] < depth) exact[i * depth + indices[i]] = 2.0f;
    }
    const int64_t n = pick(1, 200), begin = pick(0, n - 1), end = pick(begin, n);
    std::vector<float> x = floats(n);
    const int64_t spot = pick(0, n - 1);
    const float bad[] = {NAN, INFINITY, -INFINITY, 1.0f};
    x[spot] = bad[pick(0, 3)];
    const bool finite = std::isfinite(x[spot]);
    std::vector<int32_t> ids = integers(n, 0, 9);
    const bool outside = pick(0, 1);
    if (outside) ids[spot] = pick(0, 1) ? -1 : 10;
    const bool inRange = spot >= begin && spot < end;
    for (const KernelTable* table : tables()) {
      std::vector<float> out(count * depth, NAN);
      randomSplit(count,
                  [&](int64_t b, int64_t e) { table->oneHot(indices.data(), depth, 2.0f, -1.0f, out.data(), b, e); });
      expectSame(exact, out, "oneHot");
      expect(table->findNonFinite(x.data(), begin, end) == (inRange && !finite ? spot : -1), "findNonFinite");
      expect(table->findOutside(ids.data(), 0, 10, begin, end) == (inRange && outside ? spot : -1), "findOutside");
    }
  }
}
