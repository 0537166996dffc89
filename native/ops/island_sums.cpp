#include "plan/island_sums.h"

#include "cpu/island.h"
#include "cpu/kernel_table.h"
#include "ops/island.h"
#include "ops/registry.h"
#include "ops/row_blocks.h"
#include "ops/shape_rules.h"

// Elementwise programs whose results are summed while they are in cache. Made by passes/sums.cpp.

namespace chainrule::ops {
namespace {

std::vector<ValueType> infer(const InferContext& c) {
  const IslandSums& fused = islandSumsAttr(c.attrs);
  std::vector<ValueType> parts;
  const auto typeOfOutput = [&](size_t i) { return typeOf(fused.code->outputs[i].dtype, fused.code->space); };
  for (size_t output : fused.kept) parts.push_back(typeOfOutput(output));
  for (const IslandSums::Sum& sum : fused.sums) {
    const ValueType in[] = {typeOfOutput(sum.output)};
    parts.push_back(sum.op->infer({c.graph, sum.op->name, in, sum.attrs})[0]);
  }
  return parts;
}

struct Fused {
  IslandRun run;
  cpu::KernelTable const* kernels = nullptr;
  RowBlocks blocks;
  int inputs = 0;
  std::vector<int> part;      // of each output, or -1: only its sums leave
  std::vector<size_t> where;  // such an output's block in the member's scratch
  struct Sum {
    size_t output;
    int part;
    bool mean;
  };
  std::vector<Sum> sums;
  size_t sumOffset = 0;  // two rows of columns in the member's scratch: the sums so far and those of a block

  int64_t partials() const { return blocks.chunks * blocks.columns; }  // of a sum

  void sumRows(const float* x, int64_t count, float* out) const {
    const int64_t columns = blocks.columns;
    if (columns == 1)
      kernels->reduceInner(cpu::Reduce::sum, DType::f32, x, count, out, 0, 1);
    else
      kernels->reduceOuter(cpu::Reduce::sum, DType::f32, x, count, columns, out, 0, columns);
  }

  void launch(const StepArgs& args) const {
    const int64_t rows = blocks.rows, columns = blocks.columns, chunks = blocks.chunks;
    float* partial = reinterpret_cast<float*>(args.shared);
    const Range own = args.split(chunks);
    for (int64_t chunk = own.begin; chunk < own.end; ++chunk) runChunk(args, chunk, partial + chunk * columns);
    args.barrier();
    const Range part = args.split(columns, 16);
    for (size_t i = 0; !part.empty() && i < sums.size(); ++i) {
      float* out = args.out<float>(sums[i].part);
      const float* from = partial + int64_t(i) * partials();
      if (columns == 1)
        sumRows(from, chunks, out);
      else
        kernels->reduceOuter(cpu::Reduce::sum, DType::f32, from, chunks, columns, out, part.begin, part.end);
      for (int64_t c = part.begin; sums[i].mean && c < part.end; ++c) out[c] /= float(rows);
    }
  }

  void runChunk(const StepArgs& args, int64_t chunk, float* partial) const {
    const int64_t columns = blocks.columns;
    float* ofBlock = reinterpret_cast<float*>(args.own + sumOffset);
    for (size_t i = 0; blocks.rows == 0 && i < sums.size(); ++i)
      std::fill_n(partial + int64_t(i) * partials(), columns, 0.0f);
    bool first = true;
    blocks.ofChunk(chunk, [&](int64_t row, int64_t count) {
      const int64_t begin = row * columns;
      const void* in[cpu::kIslandInputs];
      void* out[cpu::kIslandOutputs];
      for (int i = 0; i < inputs; ++i) in[i] = args.in<void>(i);
      for (size_t i = 0; i < part.size(); ++i)
        out[i] = part[i] >= 0 ? args.out<void>(part[i]) : reinterpret_cast<float*>(args.own + where[i]) - begin;
      run(const_cast<void* const*>(in), out, begin, begin + count * columns, args.own);
      for (size_t i = 0; i < sums.size(); ++i) {
        float* sum = partial + int64_t(i) * partials();
        const float* x = static_cast<const float*>(out[sums[i].output]) + begin;
        sumRows(x, count, first ? sum : ofBlock);
        for (int64_t c = 0; !first && c < columns; ++c) sum[c] += ofBlock[c];
      }
      first = false;
    });
  }
};

Lowering lower(const LowerContext& c) {
  const IslandSums& code = islandSumsAttr(c.attrs());
  const Dims space = concrete(code.code->space, c.batch);
  LoweredIsland island = lowerIsland(*code.code, space, c.in, c.kernels);
  Fused fused;
  fused.run = std::move(island.run);
  fused.kernels = &c.kernels;
  fused.inputs = int(c.in.size());
  fused.blocks = RowBlocks(space, code.sums[0].attrs.integers("axes").size());
  const int64_t columns = std::max<int64_t>(1, fused.blocks.columns);

  Lowering result;
  result.memberScratch = (island.scratch + 63) / 64 * 64;
  fused.part.assign(code.code->outputs.size(), -1);
  fused.where.assign(code.code->outputs.size(), 0);
  for (size_t i = 0; i < code.kept.size(); ++i) fused.part[code.kept[i]] = int(i);
  const auto reserve = [&](int64_t floats) {
    const size_t offset = result.memberScratch;
    result.memberScratch += (size_t(floats) * sizeof(float) + 63) / 64 * 64;
    return offset;
  };
  for (size_t i = 0; i < fused.part.size(); ++i) {
    if (fused.part[i] < 0) fused.where[i] = reserve(fused.blocks.blockRows * columns);
  }
  fused.sumOffset = reserve(columns);
  for (const IslandSums::Sum& sum : code.sums)
    fused.sums.push_back({sum.output, int(code.kept.size() + fused.sums.size()), sum.op->name == "reduceMean"});
  result.sharedScratch = fused.sums.size() * size_t(fused.partials()) * sizeof(float);
  result.cost = island.cost + double(island.elements) * 0.1 * double(fused.sums.size());
  result.launch = [fused = std::make_shared<const Fused>(std::move(fused))](const StepArgs& args) {
    fused->launch(args);
  };
  return result;
}

std::string label(const Attrs& attrs) {  // "sub+square > reduceMean"
  const IslandSums& fused = islandSumsAttr(attrs);
  std::string text = islandLabel("", *fused.code) + " >";
  for (const IslandSums::Sum& sum : fused.sums) text += " " + std::string(sum.op->name);
  return text;
}

const OpDef table[] = {{.name = "islandSums",
                        .minInputs = 0,
                        .maxInputs = cpu::kIslandInputs,
                        .infer = infer,
                        .lower = lower,
                        .label = label,
                        .inPlaceParts = 2 * cpu::kIslandOutputs}};

}  // namespace

std::span<const OpDef> islandSumsOps() { return table; }

}  // namespace chainrule::ops
