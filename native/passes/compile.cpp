#include <span>

#include "passes/passes.h"

namespace chainrule {

namespace {

struct Pass {
  Graph (*run)(const Graph&);
  bool cpuOnly = false;  // makes layouts and ops that only the CPU's kernels know
  Graph (*runAs)(const Graph&, ConvAlgorithm) = nullptr;
};
// Those that may change the rounding of results see each value once. Each before a simplify, because what it bypasses
// is dead only afterwards.
constexpr Pass onValues[] = {
    {simplify},           {applyPatterns},        {simplify},
    {joinMoments, true},  {joinLayerNorms, true}, {simplify},
    {recompute, true},    {foldAffine, true},     {nullptr, true, chooseConvAlgorithms},
    {widenInPlace, true}, {chooseLayouts, true},
};
// Those behind the choice of what is computed again.
constexpr Pass onSteps[] = {
    {fuse},
    {fuseSums, true},
    {chainRows, true},
};

// In debug builds the graph is verified between passes.
Graph runAll(std::span<const Pass> passes, Graph graph, bool forCpu, ConvAlgorithm algorithm) {
  for (const Pass& pass : passes) {
    if (pass.cpuOnly && !forCpu) continue;
    graph = pass.run ? pass.run(graph) : pass.runAs(graph, algorithm);
#ifndef NDEBUG
    verify(graph);
#endif
  }
  return graph;
}

}  // namespace

Graph optimizeValues(Graph graph, bool forCpu, ConvAlgorithm algorithm) {
  return runAll(onValues, std::move(graph), forCpu, algorithm);
}

Graph optimizeSteps(const Graph& graph, bool forCpu, const SegmentOf& segmentOf) {
  return runAll(onSteps, rematerialize(graph, segmentOf), forCpu, ConvAlgorithm::automatic);
}

}  // namespace chainrule
