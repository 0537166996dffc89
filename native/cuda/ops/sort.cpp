#include "cuda/kernels/sort.cuh"

#include "cuda/ops/radix.h"
#include "cuda/ops/sizes.h"

namespace chainrule::cuda {
namespace {

constexpr int64_t kShort = 2048;

Lowering lowerArgsort(const LowerContext& c) {
  const AxisSplit split = splitAt(c.in[0].dims, int(c.attrs().integer("axis", 0)));
  DeviceLine line{};
  line.outer = split.outer;
  line.n = split.n;
  line.inner = split.inner;
  line.dtype = c.in[0].dtype;
  line.backwards = c.attrs().integer("descending", 0) != 0;
  const int64_t lines = split.outer * split.inner, count = lines * split.n;
  Lowering lowering;
  if (count == 0) {
    lowering.launch = [](const StepArgs&) {};
    return lowering;
  }
  if (split.n <= kShort) {
    const int64_t size = powerOfTwo(split.n, kShort);
    const int64_t threads = std::clamp<int64_t>(size / 2, kWarp, 256);
    lowering.launch = [=](const StepArgs& args) {
      DeviceLine own = line;
      own.in = args.in<void>(0);
      own.out = args.out<void>();
      queueOf(args).launch(KERNEL(sortShort), {{lines}, {threads}, size * 8}, own, int32_t(size));
    };
    return lowering;
  }
  const RadixSort sort(lines, split.n, 32);
  lowering.sharedScratch = size_t(count) * 16 + sort.scratchBytes();
  lowering.launch = [=](const StepArgs& args) {
    DeviceLine own = line;
    own.in = args.in<void>(0);
    own.out = args.out<void>();
    uint64_t* const pairs = reinterpret_cast<uint64_t*>(args.shared);
    queueOf(args).launch(KERNEL(sortPairs), threadsFor(count), own, pairs);
    const uint64_t* const sorted =
        sort.run(queueOf(args), pairs, pairs + count, reinterpret_cast<std::byte*>(pairs + 2 * count));
    queueOf(args).launch(KERNEL(sortPlaces), threadsFor(count), own, sorted);
  };
  return lowering;
}

constexpr Launcher table[] = {{"argsort", lowerArgsort}};

}  // namespace

Launchers sortLaunchers() { return table; }

}  // namespace chainrule::cuda
