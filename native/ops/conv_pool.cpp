#include <cstring>

#include "ops/conv_forward.h"
#include "ops/pool_shape.h"
#include "ops/registry.h"

// A convolution, its epilogue and a pool over the result, block by block: what is pooled never leaves the cache, and
// what no window reads is not computed. Made by passes/pools.cpp.

namespace chainrule::ops {
namespace {

ValueType convolved(const Graph& graph, std::span<const ValueType> in, const Attrs& attrs) {
  return findOp("conv2d")->infer({graph, "conv2d", in, attrs})[0];
}

std::vector<ValueType> infer(const InferContext& c) {
  const OpDef& pool = *findOp(c.attrs.text("pool", ""));
  const ValueType in[] = {convolved(c.graph, c.in, c.attrs)};
  return pool.infer({c.graph, pool.name, in, poolAttrs(c.attrs)});
}

// Floats of pooled rows' sources that stay in L2 beside the sources of the convolution.
constexpr int64_t kBlock = 24 << 10;
// With fewer rows for each member, those that two members compute both would count: then the steps run one by one.
constexpr int64_t kRowsOfMember = 4;
constexpr int64_t kManyRows = 1024;  // enough for any team

// Whether an input of the epilogue has a pixel axis: then the result cannot be cut without cutting that input.
bool hasPixels(const LowerContext& c) {
  for (const TensorType& in : c.in.subspan(2)) {
    const Dims& dims = in.dims;
    for (int fromLast : {2, 3}) {
      if (dims.size() >= fromLast && dims[dims.size() - fromLast] != 1) return true;
    }
  }
  return false;
}

struct ConvPool {
  ConvForward conv;
  cpu::PoolShape pool;
  bool maximum = false, indexed = false;
  int64_t blockRows = 1;  // pooled rows of a block
  size_t blockOffset = 0, wholeOffset = 0;

  int64_t rows() const { return pool.n * pool.oh; }
  int64_t firstSource(int64_t row) const { return std::max<int64_t>(0, row * pool.strideH - pool.padTop); }
  int64_t endSource(int64_t row) const { return std::min(pool.h, row * pool.strideH - pool.padTop + pool.kh); }

  void reduce(const StepArgs& args, const float* x, Range r) const {
    if (r.empty()) return;
    if (maximum)
      conv.kernels->maxPool(pool, x, args.out<float>(), indexed ? args.out<void>(1) : nullptr, r.begin, r.end);
    else
      conv.kernels->averagePool(pool, x, args.out<float>(), r.begin, r.end);
  }

  void launch(const StepArgs& args) const {
    const float* filter = conv.filter(args, args.shared);
    if (rows() < kManyRows && rows() < kRowsOfMember * args.members && args.members > 1)
      inSteps(args, filter);
    else
      inBlocks(args, filter, args.split(rows()));
  }

  void inSteps(const StepArgs& args, const float* filter) const {
    float* whole = reinterpret_cast<float*>(args.shared + wholeOffset);
    const auto [own, panels] = gridPart(args, conv.rows(), conv.panels);
    conv.run(args, filter, whole, own, panels, args.own);
    args.barrier();
    if (conv.finishes()) {
      conv.finish(args, whole, args.split(conv.rows() * conv.rowSize, 512), args.own);
      args.barrier();
    }
    reduce(args, whole, args.split(rows()));
  }

  void inBlocks(const StepArgs& args, const float* filter, Range own) const {
    float* block = reinterpret_cast<float*>(args.own + blockOffset);
    int64_t lastImage = -1, lastBegin = 0, lastEnd = 0;  // source rows in the block
    for (int64_t row = own.begin; row < own.end;) {
      const int64_t image = row / pool.oh, first = row % pool.oh;
      const int64_t count = std::min({blockRows, pool.oh - first, own.end - row});
      const int64_t begin = firstSource(first), end = std::max(begin, endSource(first + count - 1));
      // Rows that windows of the block before reach, too.
      const int64_t kept = image == lastImage ? std::max<int64_t>(0, lastEnd - begin) : 0;
      if (kept > 0)
        std::memmove(block, block + (begin - lastBegin) * conv.rowSize, size_t(kept * conv.rowSize) * sizeof(float));
      const int64_t base = image * pool.h;
      float* y = block - (base + begin) * conv.rowSize;  // where row 0 of image 0 would be
      conv.runAll(args, filter, y, {base + begin + kept, base + end}, args.own);
      reduce(args, y, {row, row + count});
      row += count;
      lastImage = image, lastBegin = begin, lastEnd = end;
    }
  }
};

Lowering lower(const LowerContext& c) {
  std::vector<ValueType> in;
  for (ValueId input : c.node.inputs) in.push_back(c.graph.type(input));
  Dims source = concrete(convolved(c.graph, in, c.attrs()).shape, c.batch);
  ConvPool fused;
  fused.pool = poolShape(poolAttrs(c.attrs()), source, c.out[0].dims);
  if (!hasPixels(c)) {  // rows and columns behind the last window
    cpu::PoolShape& pool = fused.pool;
    pool.h = source[1] = std::max<int64_t>(1, fused.endSource(pool.oh - 1));
    pool.w = source[2] = std::clamp<int64_t>((pool.ow - 1) * pool.strideW - pool.padLeft + pool.kw, 1, source[2]);
  }
  fused.conv = lowerConvForward(c, source);
  fused.maximum = c.out.size() == 2;
  fused.indexed = fused.maximum && c.used[1];

  const ConvForward& conv = fused.conv;
  const cpu::PoolShape& pool = fused.pool;
  const int64_t fit = kBlock / std::max<int64_t>(1, conv.rowSize);
  fused.blockRows = std::clamp<int64_t>((fit - pool.kh) / pool.strideH + 1, 1, std::max<int64_t>(1, pool.oh));
  const int64_t blockSources = std::min(pool.h, (fused.blockRows - 1) * pool.strideH + pool.kh);
  fused.blockOffset = (conv.scratchBytes + 63) / 64 * 64;
  fused.wholeOffset = (conv.filterBytes + 63) / 64 * 64;
  const bool fewRows = fused.rows() < kManyRows;
  return {.launch = [fused](const StepArgs& args) { fused.launch(args); },
          .cost = conv.cost() + double(conv.rows() * conv.rowSize) * 0.3,
          .sharedScratch = fused.wholeOffset + (fewRows ? size_t(conv.rows() * conv.rowSize) * sizeof(float) : 0),
          .memberScratch = fused.blockOffset + size_t(blockSources * conv.rowSize) * sizeof(float),
          .flop = conv.flop()};
}

bool always(const Graph&, const Node&) { return true; }
bool oneGroup(const Graph&, const Node& node) { return node.attrs.integer("groups", 1) == 1; }

const OpDef table[] = {
    {.name = "conv2dPool",
     .minInputs = 2,
     .maxInputs = 2 + kEpilogueInputs,
     .infer = infer,
     .lower = lower,
     .takesEpilogue = always,
     .takesPanel = oneGroup,
     .panelInput = 1},
};

}  // namespace

std::span<const OpDef> convPoolOps() { return table; }

}  // namespace chainrule::ops
