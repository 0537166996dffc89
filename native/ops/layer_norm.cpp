#include "cpu/kernel_table.h"
#include "cpu/split.h"
#include "ops/registry.h"
#include "ops/shape_rules.h"
#include "plan/normed_rows.h"

// Layer and RMS norm with their weights, made by passes/layer_norms.cpp: one pass over memory forward; backward one,
// that of x, dy and dx, which also sums what the weights get. Attributes: those of standardize, and which of the
// optional inputs are there.

namespace chainrule::ops {
namespace {

bool has(const Attrs& attrs, const char* input) { return attrs.integer(input, 0) != 0; }

ValueType rowsType(const Shape& x, int64_t axes) {  // one number for each row
  Shape shape = x;
  for (int i = x.size() - int(axes); i < x.size(); ++i) shape[i] = Dim(1);
  return typeOf(DType::f32, shape);
}
ValueType weightType(const Shape& x, int64_t axes) {
  Shape shape;
  for (int i = x.size() - int(axes); i < x.size(); ++i) shape.push(x[i]);
  return typeOf(DType::f32, shape);
}

// Inputs x, gamma, beta; parts y, scale, mean.
std::vector<ValueType> infer(const InferContext& c) {
  for (size_t i = 0; i < c.in.size(); ++i) expectDType(c, int(i), DType::f32);
  const ValueType row = rowsType(c.in[0].shape, normedAxes(c.attrs));
  return {c.in[0], row, row};
}
// Inputs dy, x, scale, mean, gamma; parts dx, and the gradients of gamma and beta.
std::vector<ValueType> inferGradient(const InferContext& c) {
  for (size_t i = 0; i < c.in.size(); ++i) expectDType(c, int(i), DType::f32);
  const ValueType weight = weightType(c.in[0].shape, normedAxes(c.attrs));
  return {c.in[0], weight, weight};
}

Lowering lower(const LowerContext& c) {
  const NormedRows rows(c);
  const cpu::LayerNorm norm{
      .n = rows.n, .epsilon = float(c.attrs().real("epsilon", 0)), .centred = has(c.attrs(), "centred")};
  const bool gamma = has(c.attrs(), "gamma"), beta = has(c.attrs(), "beta");
  const bool large = cpu::outgrowsCache(c.out[0].bytes());
  const auto launch = [=, run = c.kernels.layerNorm, wantsScale = bool(c.used[1]),
                       wantsMean = bool(c.used[2])](const StepArgs& args) {
    cpu::LayerNorm own = norm;
    own.x = args.in<float>(0);
    if (gamma) own.gamma = args.in<float>(1);
    if (beta) own.beta = args.in<float>(1 + gamma);
    own.y = args.out<float>(0);
    own.streams = large && own.y != own.x;
    if (wantsScale) own.scale = args.out<float>(1);
    if (wantsMean) own.mean = args.out<float>(2);
    const Range part = args.split(rows.count);
    run(own, part.begin, part.end);
  };
  return {.launch = launch, .cost = double(c.in[0].count()) * 0.3 + double(rows.count) * 5};
}

// Rows whose terms are added one by one; sums of them are added then, which keeps both short.
constexpr int64_t kSummed = 32;
// Rows are summed in chunks for the team, by their number alone: a few, so that the sums are small beside the rows.
constexpr int64_t kChunks = 64, kFewRows = 8;

Lowering lowerGradient(const LowerContext& c) {
  const NormedRows rows(c);
  const int64_t chunkRows = std::max(kFewRows, (rows.count + kChunks - 1) / kChunks + 3) / 4 * 4;  // of pairs
  const int64_t chunks = std::max<int64_t>(1, (rows.count + chunkRows - 1) / chunkRows);
  const cpu::LayerNormGradient norm{.n = rows.n, .centred = has(c.attrs(), "centred")};
  const bool gamma = has(c.attrs(), "gamma");
  const bool wanted[2] = {c.used[1], c.used[2]};
  const bool sums = wanted[0] || wanted[1], large = cpu::outgrowsCache(c.out[0].bytes());
  const auto launch = [=, run = c.kernels.layerNormBackward, reduce = c.kernels.reduceOuter](const StepArgs& args) {
    cpu::LayerNormGradient own = norm;
    own.dy = args.in<float>(0);
    own.x = args.in<float>(1);
    own.scale = args.in<float>(2);
    if (norm.centred) own.mean = args.in<float>(3);
    if (gamma) own.gamma = args.in<float>(3 + norm.centred);
    own.dx = args.out<float>(0);
    own.streams = large && own.dx != own.dy && own.dx != own.x;
    if (!sums) {
      const Range part = args.split(rows.count);
      return run(own, part.begin, part.end);
    }
    const int64_t n = rows.n;
    float* const partial = reinterpret_cast<float*>(args.shared);  // by chunk: sums for gamma and for beta
    float* const summed = reinterpret_cast<float*>(args.own);
    const Range mine = args.split(chunks);
    for (int64_t chunk = mine.begin; chunk < mine.end; ++chunk) {
      float* const sum = partial + chunk * 2 * n;
      const int64_t begin = chunk * chunkRows, end = std::min(rows.count, begin + chunkRows);
      std::fill_n(sum, 2 * n, 0.0f);
      for (int64_t row = begin; row < end; row += kSummed) {
        float* const target = row == begin ? sum : summed;
        if (target == summed) std::fill_n(summed, 2 * n, 0.0f);
        own.gammaSum = target;
        own.betaSum = target + n;
        run(own, row, std::min(end, row + kSummed));
        for (int64_t i = 0; target == summed && i < 2 * n; ++i) sum[i] += summed[i];
      }
    }
    args.barrier();
    const Range columns = args.split(n, 16);
    for (int weight = 0; weight < 2 && !columns.empty(); ++weight) {
      if (wanted[weight])
        reduce(cpu::Reduce::sum, DType::f32, partial + weight * n, chunks, 2 * n, args.out<float>(1 + weight),
               columns.begin, columns.end);
    }
  };
  const size_t pair = size_t(2 * rows.n) * sizeof(float);
  return {.launch = launch,
          .cost = double(c.in[0].count()) * 0.4 + double(rows.count) * 5,
          .sharedScratch = sums ? size_t(chunks) * pair : 0,
          .memberScratch = sums ? pair : 0};
}

const OpDef table[] = {
    {.name = "layerNorm", .minInputs = 1, .maxInputs = 3, .infer = infer, .lower = lower, .inPlaceParts = 1},
    {.name = "layerNormGradient",
     .minInputs = 3,
     .maxInputs = 5,
     .infer = inferGradient,
     .lower = lowerGradient,
     .inPlaceParts = 1},
};

}  // namespace

std::span<const OpDef> layerNormOps() { return table; }

}  // namespace chainrule::ops
