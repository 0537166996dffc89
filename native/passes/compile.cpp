#include "passes/passes.h"

namespace chainrule {

// The list of passes. In debug builds the graph is verified between them.
Graph optimize(Graph graph) {
  using Pass = Graph (*)(const Graph&);
  // Each before a simplify, because what it bypasses is dead only afterwards.
  for (const Pass pass : {Pass(simplify), Pass(applyPatterns), Pass(simplify), Pass(simplify), Pass(foldAffine),
                          Pass(chooseLayouts), Pass(fuse), Pass(fusePools)}) {
    graph = pass(graph);
#ifndef NDEBUG
    verify(graph);
#endif
  }
  return graph;
}

}  // namespace chainrule
