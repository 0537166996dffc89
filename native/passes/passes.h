#pragma once

#include <functional>
#include <memory>
#include <string>

#include "ir/graph.h"
#include "plan/device.h"
#include "plan/plan.h"

namespace chainrule {

// How convolutions are computed: the faster way by shape, always window by window, or by Winograd wherever it can be.
enum class ConvAlgorithm : uint8_t { automatic, direct, winograd };

// Each pass is a function from graph to graph; compile.cpp is the list.
Graph simplify(const Graph& graph);        // dead code, common subexpressions, identities
Graph applyPatterns(const Graph& graph);   // cheaper ops for groups of them: gradients of pools, bags of embedding rows
Graph foldAffine(const Graph& graph);      // factors behind a convolution or product go into its weights
Graph joinMoments(const Graph& graph);     // mean and variance of rows in one op
Graph joinLayerNorms(const Graph& graph);  // layer norm with its weights in one op, its gradients in another
Graph recompute(const Graph& graph);       // cheap elementwise values that gradients read again
Graph chooseConvAlgorithms(const Graph& graph, ConvAlgorithm algorithm);  // Winograd where it pays
Graph widenInPlace(const Graph& graph);   // weights stored as bfloat16 go as they are into ops that widen them
Graph chooseLayouts(const Graph& graph);  // panel16 for weights that matmul and conv2d read; conversions elsewhere
// Which segment of values to compute again a node belongs to; 0: none.
using SegmentOf = std::function<uint32_t(const Origin&)>;
Graph multiplyHalves(const Graph& graph);  // products of layers that compute on bfloat16 take it as it is
Graph rematerialize(const Graph& graph, const SegmentOf& segmentOf);  // gradients compute segments again
Graph fuse(const Graph& graph);       // islands of elementwise nodes; islands as epilogues
Graph joinRows(const Graph& graph);   // convolutions of training with the islands and sums beside them
Graph fuseSums(const Graph& graph);   // sums of an island's results inside it
Graph chainRows(const Graph& graph);  // pools, depthwise and pointwise convolutions that follow each other

// What passes know of where a program runs and how exactly.
struct Target {
  bool cpu = true;
  ConvAlgorithm convAlgorithm = ConvAlgorithm::automatic;
  MatmulPrecision precision = MatmulPrecision::highest;  // of products on devices
};

// All of them in order, in two halves: between them is chosen what gradients compute again, by default what was traced
// so.
Graph optimizeValues(Graph graph, const Target& target = {});
Graph optimizeSteps(
    const Graph& graph, const Target& target = {},
    const SegmentOf& segmentOf = [](const Origin& origin) { return origin.segment; });

struct CompileOptions {
  double parallelThreshold = 10000;                      // nanoseconds of work below which a step runs on one member
  Device* device = nullptr;                              // that the plan is for; null: the CPU
  MatmulPrecision precision = MatmulPrecision::highest;  // of its products
  std::string autotune = {};                             // see LowerContext
};
// The plan for one batch size. The graph must be optimized.
Plan lower(const Graph& graph, int64_t batch, const CompileOptions& options);
// Of the first half's result: the plan whose arena is not larger than the budget and that computes least again. Throws
// Error("OOM") naming the least that is needed.
Plan lowerWithin(int64_t budget, const Graph& graph, const Target& target, int64_t batch,
                 const CompileOptions& options);

}  // namespace chainrule
