#include <algorithm>
#include <bit>

#include "ops/registry.h"
#include "ops/shape_rules.h"

// argsort {axis, descending}: the places that bring an axis into order; equal elements keep theirs. Sorting itself and
// the k largest are compositions with gather, so their gradients are, too.

namespace chainrule::ops {
namespace {

std::vector<ValueType> infer(const InferContext& c) {
  if (c.in[0].dtype != DType::f32 && c.in[0].dtype != DType::i32) {
    fail("DTYPE", "needs float32 or int32, got ", dtypeName(c.in[0].dtype), ". Convert it with cast");
  }
  axisAttr(c, "axis", c.in[0].shape.size());
  return {typeOf(DType::i32, c.in[0].shape)};
}

// Unsigned numbers in the order of the elements: the two zeros are equal, NaN comes last.
uint32_t keyOf(float x) {
  if (x != x) return 0xFFFFFFFFu;
  const uint32_t bits = std::bit_cast<uint32_t>(x + 0.0f);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}
uint32_t keyOf(int32_t x) { return uint32_t(x) ^ 0x80000000u; }

template <typename T>
Lowering lowerFor(const LowerContext& c) {
  const AxisSplit split = splitAt(c.in[0].dims, int(c.attrs().integer("axis", 0)));
  if (split.n > INT32_MAX) fail("SHAPE", "an axis of ", split.n, " elements is too long to sort");
  const uint32_t flip = c.attrs().integer("descending", 0) ? 0xFFFFFFFFu : 0;
  const auto launch = [=](const StepArgs& args) {
    uint64_t* const pairs = reinterpret_cast<uint64_t*>(args.own);
    const Range lines = args.split(split.outer * split.inner);
    for (int64_t line = lines.begin; line < lines.end; ++line) {
      const int64_t first = line / split.inner * split.n * split.inner + line % split.inner;
      const T* in = args.in<T>(0) + first;
      int32_t* out = args.out<int32_t>() + first;
      // The place in the low half makes all pairs different, so any sort is a stable one.
      for (int64_t i = 0; i < split.n; ++i) {
        const uint64_t key = keyOf(in[i * split.inner]) ^ flip;
        pairs[i] = key << 32 | uint64_t(i);
      }
      std::sort(pairs, pairs + split.n);
      for (int64_t i = 0; i < split.n; ++i) out[i * split.inner] = int32_t(pairs[i] & 0xFFFFFFFFu);
    }
  };
  const double depth = split.n < 2 ? 1 : double(std::bit_width(uint64_t(split.n)));
  return {.launch = launch, .cost = double(c.in[0].count()) * 3 * depth, .memberScratch = size_t(split.n) * 8};
}

Lowering lower(const LowerContext& c) {
  return c.in[0].dtype == DType::f32 ? lowerFor<float>(c) : lowerFor<int32_t>(c);
}

const OpDef table[] = {
    {.name = "argsort", .minInputs = 1, .maxInputs = 1, .infer = infer, .lower = lower, .differentiable = false}};

}  // namespace

std::span<const OpDef> sortOps() { return table; }

}  // namespace chainrule::ops
