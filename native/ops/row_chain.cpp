#include "plan/row_chain.h"

#include "ops/epilogue.h"
#include "ops/registry.h"
#include "ops/row_chain_run.h"

// Convolutions and pools that read each other's results, block by block: what lies between them never leaves the cache,
// and what no window reads is not computed. Made by passes/row_chains.cpp.

namespace chainrule::ops {
namespace {

InferContext stageContext(const Graph& graph, const RowChain::Stage& stage, std::span<const ValueType> in) {
  return {graph, stage.op->name, in, stage.attrs};
}

// Calls use(stage, types of its inputs) from the first stage to the last; gives the types of the last one's parts.
template <typename Use>
std::vector<ValueType> walk(const Graph& graph, const Attrs& attrs, std::span<const ValueType> in, Use use) {
  std::vector<ValueType> parts{in[0]};
  size_t next = 1;
  for (const RowChain::Stage& stage : rowChainAttr(attrs).stages) {
    std::vector<ValueType> own{parts[0]};
    own.insert(own.end(), in.begin() + int64_t(next), in.begin() + int64_t(next) + stage.inputs);
    next += size_t(stage.inputs);
    use(stage, own);
    parts = stage.op->infer(stageContext(graph, stage, own));
  }
  return parts;
}

std::vector<ValueType> infer(const InferContext& c) {
  return walk(c.graph, c.attrs, c.in, [](const RowChain::Stage&, std::span<const ValueType>) {});
}

// Floats between two stages that stay in L2 beside what the stages themselves keep there.
constexpr int64_t kBlock = 24 << 10;
// Weights of more bytes than these come from afar, too often with fewer pixels in a block.
constexpr int64_t kWeights = 64 << 10, kPixels = 96;

// Whether an input of an epilogue has a pixel axis: then the result cannot be cut without cutting that input.
bool hasPixels(std::span<const TensorType> in) {
  for (const TensorType& type : in) {
    for (int fromLast : {2, 3}) {
      if (type.dims.size() >= fromLast && type.dims[type.dims.size() - fromLast] != 1) return true;
    }
  }
  return false;
}

// How many rows each stage computes at a time, from the last one back, and where they lie.
void planBlocks(Chain& chain, std::span<const Dims> results, size_t& ownBytes) {
  const size_t last = chain.links.size() - 1;
  for (size_t s = last; s > 0; --s) {
    Link &link = chain.links[s], &source = chain.links[s - 1];
    const Window& window = link.window;
    const int64_t reach = window.reach(kRows - 1), stride = window.stride[kRows - 1];
    const int64_t rowSize = std::max<int64_t>(1, source.stage.rowSize);
    if (s == last) {
      const int64_t columns = std::max<int64_t>(1, results[s][kColumns]);
      const int64_t fit = (kBlock / rowSize - reach) / stride + 1, least = (kPixels + columns - 1) / columns;
      link.chunk = std::clamp<int64_t>(std::max(fit, least), 1, std::max<int64_t>(1, link.rows));
    }
    const int64_t needed = (link.chunk - 1) * stride + reach;
    // Room for more, where rows are kept from block to block, so that they move less often.
    const int64_t roomy = reach > stride ? std::max(needed, 2 * kBlock / rowSize) : needed;
    source.capacity = std::max<int64_t>(1, std::min(roomy, source.rows));
    source.chunk = source.capacity;
    if (s > 1) source.chunk = std::min(source.chunk, link.chunk * stride);
    source.blockOffset = ownBytes;
    ownBytes += size_t(source.capacity * rowSize * int64_t(sizeof(float)) + 63) / 64 * 64;
  }
  for (size_t s = 0; s <= last; ++s) {
    const Link& link = chain.links[s];
    chain.alwaysInSteps |= link.weights > kWeights && link.chunk * results[s][kColumns] < kPixels;
  }
}

Lowering lower(const LowerContext& c) {
  const RowChain& code = rowChainAttr(c.attrs());
  if (code.stages.size() > RowChain::kLongest) fail("INTERNAL", "a chain of ", code.stages.size(), " stages");
  std::vector<ValueType> in;
  for (ValueId input : c.node.inputs) in.push_back(c.graph.type(input));
  Chain chain;
  std::vector<Dims> results;
  const Dims first = c.in[0].dims;
  const auto note = [&](const RowChain::Stage& stage, std::span<const ValueType> own) {
    Link link;
    link.window = stage.op->window(stageContext(c.graph, stage, own));
    link.firstInput = chain.links.empty() ? 1 : chain.links.back().firstInput + chain.links.back().inputs;
    link.inputs = stage.inputs;
    if (!chain.links.empty()) results.push_back(concrete(own[0].shape, c.batch));
    chain.links.push_back(std::move(link));
  };
  walk(c.graph, c.attrs(), in, note);
  results.push_back(c.out[0].dims);
  const size_t count = chain.links.size();
  const auto extras = [&](const Link& link) { return c.in.subspan(size_t(link.firstInput), size_t(link.inputs)); };

  for (size_t s = count - 1; s > 0; --s) {  // rows and columns behind the last window
    const auto inputs = extras(chain.links[s - 1]);
    if (hasPixels(inputs.subspan(std::min<size_t>(1, inputs.size())))) continue;
    const Window& window = chain.links[s].window;
    for (int axis : {kRows, kColumns}) {
      const int64_t reached = window.end(axis - 1, results[s][axis] - 1, results[s - 1][axis]);
      results[s - 1][axis] = std::clamp<int64_t>(reached, 1, results[s - 1][axis]);
    }
  }

  Lowering lowering;
  size_t ownBytes = 0;
  chain.images = c.out[0].dims[0];
  for (size_t s = 0; s < count; ++s) {
    Link& link = chain.links[s];
    const RowChain::Stage& stage = code.stages[s];
    const Dims& source = s == 0 ? first : results[s - 1];
    std::vector<TensorType> inputs{{DType::f32, source, Layout::rowMajor}};
    for (const TensorType& type : extras(link)) inputs.push_back(type);
    const TensorType result[] = {{DType::f32, results[s], Layout::rowMajor}};
    const bool usedOnce[] = {true};
    const bool end = s + 1 == count;
    const Node node{stage.op, {}, stage.attrs, c.node.first, 1, {}};
    link.stage = stage.op->lowerRows({c.graph, node, c.batch, inputs, end ? c.out : std::span<const TensorType>(result),
                                      c.kernels, end ? c.used : std::span<const bool>(usedOnce), c.precision});
    link.weights = link.inputs > 0 ? inputs[1].bytes() : 0;
    link.sourceRows = source[kRows];
    link.rows = results[s][kRows];
    link.preparedOffset = lowering.sharedScratch;
    lowering.sharedScratch += (link.stage.sharedBytes + 63) / 64 * 64;
    ownBytes = std::max(ownBytes, (link.stage.ownBytes + 63) / 64 * 64);
    lowering.cost += link.stage.cost;
    lowering.flop += link.stage.flop;
  }
  planBlocks(chain, results, ownBytes);
  size_t whole[2] = {};  // in steps, each stage reads one and writes the other
  for (size_t s = 0; chain.mayRunInSteps() && s + 1 < count; ++s)
    whole[s % 2] = std::max(whole[s % 2], size_t(elementCount(results[s]) * int64_t(sizeof(float)) + 63) / 64 * 64);
  for (size_t s = 0; s + 1 < count; ++s) chain.links[s].wholeOffset = lowering.sharedScratch + (s % 2) * whole[0];
  lowering.sharedScratch += whole[0] + whole[1];
  lowering.memberScratch = ownBytes;
  lowering.launch = [chain = std::make_shared<const Chain>(std::move(chain)),
                     parts = int(c.out.size())](const StepArgs& args) { runChain(*chain, args, parts); };
  return lowering;
}

std::string label(const Attrs& attrs) {  // "conv2d+add > maxPool"
  std::string text;
  for (const RowChain::Stage& stage : rowChainAttr(attrs).stages)
    text += (text.empty() ? "" : " > ") + labelOf(*stage.op, stage.attrs);
  return text;
}

const OpDef table[] = {
    {.name = "rowChain",
     .minInputs = 1,
     .maxInputs = int(RowChain::kLongest) * (1 + kEpilogueInputs) + 1,
     .infer = infer,
     .lower = lower,
     .label = label},
};

}  // namespace

std::span<const OpDef> rowChainOps() { return table; }

}  // namespace chainrule::ops
