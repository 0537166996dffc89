#include "ops/pool_shape.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace chainrule {

// A pool that alone reads the result of an op runs inside that op, behind its epilogue.
Graph fusePools(const Graph& graph) {
  const std::vector<int> uses = useCounts(graph);
  const auto producerOf = [&](const Node& pool) -> const Node* {
    if (!pool.op->pools) return nullptr;
    const ValueId source = pool.inputs[0];
    const Node& producer = graph.nodeOf(source);
    const bool alone = uses[source] == 1 && producer.parts == 1;
    return alone && !producer.op->withPool.empty() ? &producer : nullptr;
  };
  std::vector<bool> absorbed(graph.nodes.size(), false);
  for (const Node& node : graph.nodes) {
    if (producerOf(node)) absorbed[graph.values[node.inputs[0]].node] = true;
  }
  Rewrite rewrite(graph);
  for (NodeId id = 0; id < graph.nodes.size(); ++id) {
    if (absorbed[id]) continue;
    const Node& node = graph.nodes[id];
    const Node* producer = producerOf(node);
    if (!producer) {
      rewrite.copy(id);
      continue;
    }
    const NodeId made = rewrite.graph().addNode(*findOp(producer->op->withPool), rewrite.mappedInputs(*producer),
                                                ops::withPool(producer->attrs, node), producer->scope);
    for (int part = 0; part < node.parts; ++part)
      rewrite.map(node.first + ValueId(part), rewrite.graph().nodes[made].first + ValueId(part));
  }
  return rewrite.finish();
}

}  // namespace chainrule
