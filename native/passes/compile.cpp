#include <span>

#include "passes/passes.h"

namespace chainrule {

namespace {

enum class For { all, cpu, halves };  // halves: devices that may round factors

struct Pass {
  Graph (*run)(const Graph&);
  For whom = For::all;  // the CPU: makes layouts and ops that only its kernels know
  Graph (*runAs)(const Graph&, ConvAlgorithm) = nullptr;
};
// Those that may change the rounding of results see each value once. Each before a simplify, because what it bypasses
// is dead only afterwards.
constexpr Pass onValues[] = {
    {simplify},
    {applyPatterns},
    {simplify},
    {joinMoments},
    {joinLayerNorms},
    {simplify},
    {recompute, For::cpu},
    {foldAffine, For::cpu},
    {nullptr, For::cpu, chooseConvAlgorithms},
    {widenInPlace, For::cpu},
    {multiplyHalves, For::halves},
    {chooseLayouts, For::cpu},
};
// Those behind the choice of what is computed again.
constexpr Pass onSteps[] = {
    {fuse},
    {joinRows, For::cpu},
    {fuseSums, For::cpu},
    {chainRows, For::cpu},
};

bool applies(const Pass& pass, const Target& target) {
  switch (pass.whom) {
    case For::all:
      return true;
    case For::cpu:
      return target.cpu;
    case For::halves:
      return !target.cpu && target.precision == MatmulPrecision::high;
  }
  return false;
}

// In debug builds the graph is verified between passes.
Graph runAll(std::span<const Pass> passes, Graph graph, const Target& target) {
  for (const Pass& pass : passes) {
    if (!applies(pass, target)) continue;
    graph = pass.run ? pass.run(graph) : pass.runAs(graph, target.convAlgorithm);
#ifndef NDEBUG
    verify(graph);
#endif
  }
  return graph;
}

}  // namespace

Graph optimizeValues(Graph graph, const Target& target) { return runAll(onValues, std::move(graph), target); }

Graph optimizeSteps(const Graph& graph, const Target& target, const SegmentOf& segmentOf) {
  return runAll(onSteps, rematerialize(graph, segmentOf), target);
}

}  // namespace chainrule
