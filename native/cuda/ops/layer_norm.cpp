#include "cuda/kernels/norm_sums.cuh"
#include "cuda/ops/rows.h"
#include "cuda/ops/sizes.h"
#include "plan/normed_rows.h"

// Normalized rows, with weights (as passes/layer_norms.cpp joins them) or without, and their gradients.

namespace chainrule::cuda {
namespace {

bool has(const LowerContext& c, const char* input) { return c.attrs().integer(input, 0) != 0; }

DeviceRows normedRows(const LowerContext& c, RowOp op) {
  const NormedRows shape(c);
  DeviceRows rows{};
  rows.op = op;
  rows.outer = shape.count;
  rows.n = shape.n;
  rows.inner = 1;
  rows.epsilon = float(c.attrs().real("epsilon", 0));
  rows.centred = c.attrs().integer("centred", 1) != 0;
  return rows;
}

// Parts: the rows, their scales and means (without weights there are no means).
Lowering lowerForward(const LowerContext& c) {
  const bool gamma = has(c, "gamma"), beta = has(c, "beta");
  Lowering lowering;
  lowering.launch = [=, rows = normedRows(c, RowOp::standardize), wantsRows = bool(c.used[0]),
                     wantsScale = bool(c.used[1]), wantsMean = c.out.size() > 2 && c.used[2]](const StepArgs& args) {
    DeviceRows own = rows;
    own.a = args.in<float>(0);
    if (gamma) own.gamma = args.in<float>(1);
    if (beta) own.beta = args.in<float>(1 + gamma);
    if (wantsRows) own.out = args.out<float>(0);
    if (wantsScale) own.outScale = args.out<float>(1);
    if (wantsMean) own.outMean = args.out<float>(2);
    launchRows(queueOf(args), own);
  };
  return lowering;
}

// From the standardized rows.
Lowering lowerStandardizeGradient(const LowerContext& c) {
  Lowering lowering;
  lowering.launch = [rows = normedRows(c, RowOp::standardizeGradient)](const StepArgs& args) {
    DeviceRows own = rows;
    own.a = args.in<float>(0);
    own.b = args.in<float>(1);
    own.scale = args.in<float>(2);
    own.out = args.out<float>();
    launchRows(queueOf(args), own);
  };
  return lowering;
}

// Chunks that fill the device with two blocks on each multiprocessor, but no fewer rows than a block reads at a time.
void cutRows(DeviceNormSums& sums) {
  constexpr int64_t atOnce = 4 * kNormThreads / kNormColumns;
  const int64_t tiles = ceilDiv(sums.columns, kNormColumns);
  const int64_t chunks = partsFor(sums.rows, atOnce, tiles, 2);
  sums.chunkRows = std::max<int64_t>(1, ceilDiv(sums.rows, chunks));
  sums.chunks = ceilDiv(sums.rows, sums.chunkRows);
}

// From x: dx, and what gamma and beta get.
Lowering lowerLayerNormGradient(const LowerContext& c) {
  const DeviceRows rows = normedRows(c, RowOp::layerNormGradient);
  DeviceNormSums sums{};
  sums.rows = rows.outer;
  sums.columns = rows.n;
  const bool gamma = has(c, "gamma"), wantsRows = c.used[0], wantsGamma = c.used[1], wantsBeta = c.used[2];
  const bool wantsSums = (wantsGamma || wantsBeta) && rows.n > 0;
  Lowering lowering;
  if (wantsSums) {
    cutRows(sums);
    lowering.sharedScratch = size_t(2 * sums.columns * sums.chunks) * sizeof(float);
  }
  lowering.launch = [=](const StepArgs& args) {
    DeviceRows own = rows;
    own.a = args.in<float>(0);
    own.b = args.in<float>(1);
    own.scale = args.in<float>(2);
    if (rows.centred) own.mean = args.in<float>(3);
    if (gamma) own.gamma = args.in<float>(3 + rows.centred);
    if (wantsSums) {  // first: dx may take the place of what they read
      DeviceNormSums now = sums;
      now.dy = own.a;
      now.x = own.b;
      now.scale = own.scale;
      now.mean = own.mean;
      if (wantsGamma) now.gamma = args.out<float>(1);
      if (wantsBeta) now.beta = args.out<float>(2);
      now.partial = reinterpret_cast<float*>(args.shared);
      if (now.chunks > 0) {
        queueOf(args).launch(KERNEL(normSums), {{now.chunks * ceilDiv(now.columns, kNormColumns)}, {kNormThreads}},
                             now);
      }
      queueOf(args).launch(KERNEL(normSumsJoin), threadsFor(2 * now.columns), now);
    }
    if (!wantsRows) return;
    own.out = args.out<float>();
    launchRows(queueOf(args), own);
  };
  return lowering;
}

constexpr Launcher table[] = {
    {"standardize", lowerForward},
    {"standardizeGradient", lowerStandardizeGradient},
    {"layerNorm", lowerForward},
    {"layerNormGradient", lowerLayerNormGradient},
};

}  // namespace

Launchers layerNormLaunchers() { return table; }

}  // namespace chainrule::cuda
