#include "passes/passes.h"

namespace chainrule {

namespace {

struct Pass {
  Graph (*run)(const Graph&);
  bool cpuOnly = false;  // makes layouts and ops that only the CPU's kernels know
  Graph (*runAs)(const Graph&, ConvAlgorithm) = nullptr;
};
// Each before a simplify, because what it bypasses is dead only afterwards.
constexpr Pass passes[] = {
    {simplify},
    {applyPatterns},
    {simplify},
    {joinMoments, true},
    {joinLayerNorms, true},
    {simplify},
    {recompute, true},
    {foldAffine, true},
    {nullptr, true, chooseConvAlgorithms},
    {widenInPlace, true},
    {chooseLayouts, true},
    {fuse},
    {fuseSums, true},
    {chainRows, true},
};

}  // namespace

// The list of passes. In debug builds the graph is verified between them.
Graph optimize(Graph graph, bool forCpu, ConvAlgorithm algorithm) {
  for (const Pass& pass : passes) {
    if (pass.cpuOnly && !forCpu) continue;
    graph = pass.run ? pass.run(graph) : pass.runAs(graph, algorithm);
#ifndef NDEBUG
    verify(graph);
#endif
  }
  return graph;
}

}  // namespace chainrule
