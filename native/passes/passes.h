#pragma once

#include <memory>
#include <string>

#include "ir/graph.h"
#include "plan/device.h"
#include "plan/plan.h"

namespace chainrule {

// Each pass is a function from graph to graph; compile.cpp is the list.
Graph simplify(const Graph& graph);       // dead code, common subexpressions, identities
Graph applyPatterns(const Graph& graph);  // cheaper ops for groups of them: gradients of pools, bags of embedding rows
Graph foldAffine(const Graph& graph);     // factors behind a convolution or product go into its weights
Graph joinMoments(const Graph& graph);    // mean and variance of rows in one op
Graph recompute(const Graph& graph);      // cheap elementwise values that gradients read again
Graph chooseLayouts(const Graph& graph);  // panel16 for weights that matmul and conv2d read; conversions elsewhere
Graph fuse(const Graph& graph);           // islands of elementwise nodes; islands as epilogues
Graph fuseSums(const Graph& graph);       // sums of an island's results inside it
Graph chainRows(const Graph& graph);      // pools, depthwise and pointwise convolutions that follow each other

Graph optimize(Graph graph, bool forCpu = true);  // all of them in order

struct CompileOptions {
  double parallelThreshold = 10000;                      // nanoseconds of work below which a step runs on one member
  Device* device = nullptr;                              // that the plan is for; null: the CPU
  MatmulPrecision precision = MatmulPrecision::highest;  // of its products
};
// The plan for one batch size. The graph must be optimized.
Plan lower(const Graph& graph, int64_t batch, const CompileOptions& options);

}  // namespace chainrule
