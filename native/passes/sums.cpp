#include <algorithm>
#include <memory>

#include "ops/row_blocks.h"
#include "passes/passes.h"
#include "passes/rewrite.h"
#include "plan/island_sums.h"

namespace chainrule {
namespace {

// Whether the node sums float32 rows of the value over all leading axes, whatever their number.
bool sumsRows(const Graph& graph, const Node& node) {
  if (node.op->name != "reduceSum" && node.op->name != "reduceMean") return false;
  if (graph.type(node.inputs[0]).dtype != DType::f32) return false;
  std::vector<int64_t> axes = node.attrs.integers("axes");
  std::sort(axes.begin(), axes.end());
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i] != int64_t(i)) return false;
  }
  return !axes.empty();
}

// Whether the sums of all chunks of rows are small beside the rows.
bool fits(const Graph& graph, const Node& node) {
  if (!sumsRows(graph, node)) return false;
  const Shape& shape = graph.type(node.inputs[0]).shape;
  int64_t columns = 1;
  for (int axis = int(node.attrs.integers("axes").size()); axis < shape.size(); ++axis) {
    if (shape[axis].perBatch) return false;
    columns *= shape[axis].value;
  }
  return columns <= ops::RowBlocks::kBlock;
}

}  // namespace

// A mean and the mean of squared deviations from it, over the same rows, become one op.
Graph joinMoments(const Graph& graph) {
  constexpr int64_t kColumns = 8;  // with fewer, the kernel's vectors would be mostly empty
  const auto meanOf = [&](ValueId value) -> const Node* {
    const Node& node = graph.nodeOf(value);
    const bool mean = node.op->name == "reduceMean" && sumsRows(graph, node) && node.attrs.integer("keepDims", 0) == 0;
    return mean ? &node : nullptr;
  };
  std::vector<ValueId> varianceOf(graph.values.size(), kNone);  // by mean
  std::vector<ValueId> meanBefore(graph.values.size(), kNone);  // by variance
  for (const Node& node : graph.nodes) {
    const Node* outer = meanOf(node.first);
    if (!outer || graph.nodeOf(node.inputs[0]).op->name != "square") continue;
    const Node& apart = graph.nodeOf(graph.nodeOf(node.inputs[0]).inputs[0]);
    const ValueId middle = meanOfDeviations(graph, apart, node.attrs.integers("axes"));
    if (middle == kNone || !meanOf(middle) || varianceOf[middle] != kNone) continue;
    const Shape& shape = graph.type(middle).shape;
    Dim columns = product(shape);
    if (columns.perBatch || columns.value < kColumns || columns.value > ops::RowBlocks::kBlock) continue;
    varianceOf[middle] = node.first;
    meanBefore[node.first] = middle;
  }
  Rewrite rewrite(graph);
  for (NodeId id = 0; id < graph.nodes.size(); ++id) {
    const Node& node = graph.nodes[id];
    if (meanBefore[node.first] != kNone) continue;
    const ValueId variance = varianceOf[node.first];
    if (variance == kNone) {
      rewrite.copy(id);
      continue;
    }
    Attrs attrs;
    attrs.set("axes", node.attrs.integers("axes"));
    const NodeId made = rewrite.graph().addNode(*findOp("moments"), rewrite.mappedInputs(node), attrs, node.origin);
    rewrite.map(node.first, rewrite.graph().nodes[made].first);
    rewrite.map(variance, rewrite.graph().nodes[made].first + 1);
  }
  return rewrite.finish();
}

// Sums and means of an island's results become part of it: no pass over memory of their own, and results that nothing
// else reads are not written.
Graph fuseSums(const Graph& graph) {
  std::vector<std::vector<NodeId>> users(graph.values.size());
  std::vector<bool> leaves(graph.values.size(), false);
  for (NodeId id = 0; id < graph.nodes.size(); ++id) {
    for (ValueId input : graph.nodes[id].inputs) users[input].push_back(id);
  }
  for (ValueId value : graph.outputs) leaves[value] = true;
  for (const Commit& commit : graph.commits) leaves[commit.value] = true;

  std::vector<bool> absorbed(graph.nodes.size(), false);
  Rewrite rewrite(graph);
  for (NodeId id = 0; id < graph.nodes.size(); ++id) {
    if (absorbed[id]) continue;
    const Node& node = graph.nodes[id];
    auto fused = std::make_shared<IslandSums>();
    std::vector<NodeId> sums;
    std::vector<ValueId> kept;
    size_t axes = 0;
    for (int part = 0; node.op->name == "island" && part < node.parts; ++part) {
      const ValueId value = node.first + ValueId(part);
      bool read = leaves[value];
      for (NodeId user : users[value]) {
        const Node& sum = graph.nodes[user];
        const size_t over = fits(graph, sum) ? sum.attrs.integers("axes").size() : 0;
        if (over == 0 || (axes > 0 && over != axes)) {
          read = true;
          continue;
        }
        axes = over;
        sums.push_back(user);
        fused->sums.push_back({size_t(part), sum.op, sum.attrs});
      }
      if (!read) continue;
      fused->kept.push_back(size_t(part));
      kept.push_back(value);
    }
    if (sums.empty()) {
      rewrite.copy(id);
      continue;
    }
    fused->code = std::static_pointer_cast<const IslandCode>(node.attrs.extra);
    Attrs attrs;
    attrs.extra = fused;
    const NodeId made = rewrite.graph().addNode(*findOp("islandSums"), rewrite.mappedInputs(node), attrs, node.origin);
    ValueId part = rewrite.graph().nodes[made].first;
    for (ValueId value : kept) rewrite.map(value, part++);
    for (NodeId sum : sums) {
      absorbed[sum] = true;
      rewrite.map(graph.nodes[sum].first, part++);
    }
  }
  return rewrite.finish();
}

}  // namespace chainrule
