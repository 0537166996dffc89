#include "cuda/kernels/random.cuh"

#include "cuda/ops/sizes.h"
#include "cuda/queue.h"

namespace chainrule::cuda {
namespace {

// The tensor as rows; those of a batch are numbered across batches.
DeviceRandom rowsOf(const LowerContext& c, RandomOp op, bool& batch) {
  const Dims& dims = c.out[0].dims;
  DeviceRandom random{};
  random.op = op;
  random.rows = 1;
  batch = !dims.empty() && c.outShape()[0].perBatch;
  if (batch || dims.size() > 1) random.rows = dims[0];
  random.rowSize = random.rows == 0 ? 0 : c.out[0].count() / random.rows;
  return random;
}

int64_t blocksOf(int64_t rowSize, int64_t group) { return rowSize / group * 8 + std::min<int64_t>(8, rowSize % group); }

template <RandomOp op>
Lowering lower(const LowerContext& c) {
  bool batch = false;
  DeviceRandom random = rowsOf(c, op, batch);
  if (op == RandomOp::uniform) {
    random.a = float(c.attrs().real("low", 0));
    random.b = float(c.attrs().real("high", 1)) - random.a;
  } else if (op == RandomOp::bernoulli) {
    random.a = float(c.attrs().real("p", 0.5));
  } else {
    random.a = float(c.attrs().real("mean", 0));
    random.b = float(c.attrs().real("stddev", 1));
  }
  Lowering lowering;
  lowering.launch = [random, batch](const StepArgs& args) {
    DeviceRandom own = random;
    own.seed = args.in<uint32_t>(0);
    own.rowOffset = batch ? args.deviceRowOffset : nullptr;
    own.out = args.out<void>();
    queueOf(args).launch(KERNEL(randomRows), threadsFor(own.rows * blocksOf(own.rowSize, 32)), own);
  };
  return lowering;
}

Lowering lowerDropout(const LowerContext& c) {
  bool batch = false;
  DeviceRandom random = rowsOf(c, RandomOp::dropout, batch);
  const float rate = float(c.attrs().real("rate", 0));
  random.threshold = int32_t((1.0f - rate) * 65536.0f + 0.5f);
  random.a = rate < 1.0f ? 1.0f / (1.0f - rate) : 0.0f;
  Lowering lowering;
  lowering.launch = [random, batch](const StepArgs& args) {
    DeviceRandom own = random;
    own.x = args.in<float>(0);
    own.seed = args.in<uint32_t>(1);
    own.rowOffset = batch ? args.deviceRowOffset : nullptr;
    own.out = args.out<void>();
    queueOf(args).launch(KERNEL(dropoutRows), threadsFor(own.rows * blocksOf(own.rowSize, 64)), own);
  };
  return lowering;
}

Lowering lowerSeedNext(const LowerContext&) {
  Lowering lowering;
  lowering.launch = [](const StepArgs& args) {
    queueOf(args).launch(KERNEL(seedNextKernel), {{1}, {32}}, args.in<uint32_t>(0), args.out<uint32_t>());
  };
  return lowering;
}

Lowering lowerPermutation(const LowerContext& c) {
  const int64_t size = c.out[0].count();
  Lowering lowering;
  lowering.launch = [size](const StepArgs& args) {
    int32_t* const partner = reinterpret_cast<int32_t*>(args.shared);
    queueOf(args).launch(KERNEL(permutationPartners), threadsFor(size), args.in<uint32_t>(0), partner,
                         args.out<int32_t>(), size);
    if (size > 1) queueOf(args).launch(KERNEL(permutationExchange), {{1}, {32}}, partner, args.out<int32_t>(), size);
  };
  lowering.sharedScratch = size_t(size) * 4;
  return lowering;
}

constexpr Launcher table[] = {
    {"randomBits", lower<RandomOp::bits>},
    {"randomUniform", lower<RandomOp::uniform>},
    {"randomNormal", lower<RandomOp::normal>},
    {"randomTruncatedNormal", lower<RandomOp::truncatedNormal>},
    {"randomBernoulli", lower<RandomOp::bernoulli>},
    {"dropout", lowerDropout},
    {"seedNext", lowerSeedNext},
    {"permutation", lowerPermutation},
};

}  // namespace

Launchers randomLaunchers() { return table; }

}  // namespace chainrule::cuda
