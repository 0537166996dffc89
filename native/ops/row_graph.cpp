#include "plan/row_graph.h"

#include <algorithm>
#include <memory>

#include "cpu/kernel_table.h"
#include "ops/registry.h"
#include "ops/row_graph_run.h"
#include "plan/island.h"

// Ops over images that run as one, block by block of rows, so that what lies between them never leaves the cache. Made
// by passes/row_graphs.cpp.

namespace chainrule::ops {
namespace {

using Types = std::vector<std::vector<ValueType>>;  // of the parts of each stage

std::vector<ValueType> inputTypes(const RowGraph::Stage& stage, std::span<const ValueType> in, const Types& made) {
  std::vector<ValueType> types;
  for (const RowGraph::Operand& operand : stage.inputs)
    types.push_back(operand.stage < 0 ? in[operand.index] : made[size_t(operand.stage)][operand.index]);
  return types;
}

Types typesOf(const Graph& graph, const RowGraph& code, std::span<const ValueType> in) {
  Types made;
  for (const RowGraph::Stage& stage : code.stages) {
    const std::vector<ValueType> types = inputTypes(stage, in, made);
    made.push_back(stage.op->infer({graph, stage.op->name, types, stage.attrs}));
  }
  return made;
}

std::vector<ValueType> infer(const InferContext& c) {
  const RowGraph& code = rowGraphAttr(c.attrs);
  const Types made = typesOf(c.graph, code, c.in);
  std::vector<ValueType> parts;
  for (const RowGraph::Operand& result : code.results) parts.push_back(made[size_t(result.stage)][result.index]);
  return parts;
}

constexpr int64_t kBlock = 64 << 10;  // floats of all stages' results that stay in L2
constexpr int64_t kSums = 1 << 20;    // floats at most of the sums of all chunks

size_t rounded(size_t bytes) { return (bytes + 63) / 64 * 64; }

// How many rows are computed at a time, and where those lie that do not leave the graph.
void planBlocks(RowGraphRun& run, size_t& ownBytes) {
  int64_t floats = 0, sums = 1, fewest = INT64_MAX;
  for (const RowTensor& tensor : run.tensors) floats += tensor.rows * tensor.rowSize;
  for (const GraphStage& stage : run.stages) {
    sums = std::max(sums, stage.stage.sumFloats);
    if (stage.leaves || stage.sums()) fewest = std::min(fewest, stage.rows);
  }
  run.blocks = std::clamp<int64_t>((floats + kBlock - 1) / kBlock, 1, std::max<int64_t>(1, fewest));
  const int64_t perImage = (kMostChunks / 2 + run.images - 1) / std::max<int64_t>(1, run.images);
  run.chunks = std::min(
      {run.images * run.blocks, std::min(run.images, kMostChunks) * perImage, std::max<int64_t>(1, kSums / sums)});
  run.findRanges();

  for (size_t s = 0; s < run.stages.size(); ++s) {
    GraphStage& stage = run.stages[s];
    int64_t end = 0;
    bool overlaps = false;
    for (int64_t k = 0; k < run.blocks; ++k) {
      const Range range = run.rangesOf(k)[s];
      if (range.empty()) continue;
      stage.capacity = std::max(stage.capacity, range.end - range.begin);
      overlaps |= range.begin < end;
      end = range.end;
    }
    // Room for more where rows are kept from block to block, so that they move less often.
    if (overlaps) stage.capacity += 2 * ((stage.rows + run.blocks - 1) / run.blocks);
    for (size_t i = 0; !stage.sums() && i < stage.results.size(); ++i) {
      RowTensor& tensor = run.tensors[size_t(stage.results[i])];
      if (tensor.output >= 0) continue;
      tensor.offset = ownBytes;
      ownBytes += rounded(size_t(stage.capacity * tensor.rowSize) * sizeof(float));
    }
  }
}

Lowering lower(const LowerContext& c) {
  const RowGraph& code = rowGraphAttr(c.attrs());
  std::vector<ValueType> in;
  for (ValueId input : c.node.inputs) in.push_back(c.graph.type(input));
  const Types made = typesOf(c.graph, code, in);
  const auto outputOf = [&](size_t stage, size_t part) {
    const auto at = std::find(code.results.begin(), code.results.end(), RowGraph::Operand{int(stage), part});
    return at == code.results.end() ? -1 : int(at - code.results.begin());
  };
  const auto concreteType = [&](const ValueType& type) {
    return TensorType{type.dtype, concrete(type.shape, c.batch), type.layout};
  };

  RowGraphRun run;
  Lowering lowering;
  size_t ownBytes = 0;
  std::vector<size_t> firstTensor;
  for (size_t s = 0; s < code.stages.size(); ++s) {
    const RowGraph::Stage& from = code.stages[s];
    std::vector<TensorType> inputs, results;
    for (const ValueType& type : inputTypes(from, in, made)) inputs.push_back(concreteType(type));
    for (const ValueType& type : made[s]) results.push_back(concreteType(type));
    const Node node{from.op, {}, from.attrs, c.node.first, uint16_t(results.size()), {}};
    const std::unique_ptr<bool[]> used(new bool[results.size()]);
    std::fill_n(used.get(), results.size(), true);
    GraphStage stage;
    stage.stage = from.op->lowerRows(
        {c.graph, node, c.batch, inputs, results, c.kernels, {used.get(), results.size()}, c.precision});
    const Dims& image = stage.sums() ? inputs[size_t(from.op->rowInputs) - 1].dims : results[0].dims;
    stage.rows = image[1];
    run.images = image[0];
    for (const RowGraph::Operand& operand : from.inputs) {
      if (operand.stage < 0)
        stage.inputs.push_back({-1, int(operand.index)});
      else
        stage.inputs.push_back({int(firstTensor[size_t(operand.stage)] + operand.index), 0});
    }
    firstTensor.push_back(run.tensors.size());
    for (size_t part = 0; part < results.size(); ++part) {
      const int output = outputOf(s, part);
      if (stage.sums()) {
        stage.results.push_back(output);
        continue;
      }
      stage.leaves |= output >= 0;
      stage.results.push_back(int(run.tensors.size()));
      run.tensors.push_back({stage.rows, stage.stage.rowSize, output, int(s)});
    }
    stage.preparedOffset = lowering.sharedScratch;
    lowering.sharedScratch += rounded(stage.stage.sharedBytes);
    ownBytes = std::max(ownBytes, rounded(stage.stage.ownBytes));
    lowering.cost += stage.stage.cost;
    lowering.flop += stage.stage.flop;
    run.stages.push_back(std::move(stage));
  }
  planBlocks(run, ownBytes);
  for (GraphStage& stage : run.stages) {
    stage.sumOffset = lowering.sharedScratch;
    lowering.sharedScratch += rounded(size_t(run.chunks * stage.stage.sumFloats) * sizeof(float));
  }
  lowering.memberScratch = ownBytes;
  lowering.launch = [run = std::make_shared<const RowGraphRun>(std::move(run))](const StepArgs& args) {
    run->run(args);
  };
  return lowering;
}

std::string label(const Attrs& attrs) {  // "sub+mul > conv2d > moments"
  std::string text;
  for (const RowGraph::Stage& stage : rowGraphAttr(attrs).stages)
    text += (text.empty() ? "" : " > ") + labelOf(*stage.op, stage.attrs);
  return text;
}

const OpDef table[] = {
    {.name = "rowGraph", .minInputs = 1, .maxInputs = 256, .infer = infer, .lower = lower, .label = label},
};

}  // namespace

std::span<const OpDef> rowGraphOps() { return table; }

}  // namespace chainrule::ops
