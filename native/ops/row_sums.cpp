#include "ops/row_sums.h"

#include <algorithm>

#include "cpu/kernel_table.h"
#include "ops/row_blocks.h"

namespace chainrule::ops {

RowRole roleOfSums(const Graph& graph, const Node& node) {
  constexpr int64_t kChannels = 8;  // with fewer, the kernels' vectors would be mostly empty
  const ValueType& type = graph.type(node.inputs[0]);
  std::vector<int64_t> axes = node.attrs.integers("axes");
  std::sort(axes.begin(), axes.end());
  if (type.dtype != DType::f32 || type.shape.size() != 4 || axes != std::vector<int64_t>{0, 1, 2}) return RowRole::none;
  const Dim channels = type.shape[3];
  return channels.perBatch || channels.value < kChannels || channels.value > RowBlocks::kBlock ? RowRole::none
                                                                                               : RowRole::sums;
}

RowStage sumRowStage(const LowerContext& c) {
  const Dims& dims = c.in[0].dims;
  const int64_t columns = dims[3], rowPixels = dims[2], pixels = dims[0] * dims[1] * dims[2];
  const auto add = [=, &k = c.kernels](const StepArgs& args, Range rows, float* sums, int64_t before, std::byte* own) {
    const float* x = args.in<float>(0) + rows.begin * rowPixels * columns;
    float* const target = before == 0 ? sums : reinterpret_cast<float*>(own);
    k.reduceOuter(cpu::Reduce::sum, DType::f32, x, (rows.end - rows.begin) * rowPixels, columns, target, 0, columns);
    for (int64_t i = 0; before > 0 && i < columns; ++i) sums[i] += target[i];
  };
  const auto total = [=, &k = c.kernels, mean = c.node.op->name == "reduceMean"](const StepArgs& args,
                                                                                 const RowSums& chunks) {
    const Range part = args.split(columns, 16);
    if (part.empty()) return;
    float* const out = args.out<float>();
    k.reduceOuter(cpu::Reduce::sum, DType::f32, chunks.sums, chunks.chunks, columns, out, part.begin, part.end);
    for (int64_t i = part.begin; mean && i < part.end; ++i) out[i] /= float(pixels);
  };
  RowStage stage;
  stage.ownBytes = size_t(columns) * sizeof(float);
  stage.cost = double(c.in[0].count()) * 0.1;
  stage.sumFloats = columns;
  stage.add = add;
  stage.total = total;
  return stage;
}

}  // namespace chainrule::ops
