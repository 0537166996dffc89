#include "ops/panels.h"

#include "cpu/kernel_table.h"
#include "ops/registry.h"
#include "ops/shape_rules.h"

namespace chainrule::ops {
namespace {

std::vector<ValueType> inferPack(const InferContext& c) { return {{c.in[0].dtype, c.in[0].shape, Layout::panel16}}; }
std::vector<ValueType> inferUnpack(const InferContext& c) { return {{c.in[0].dtype, c.in[0].shape, Layout::rowMajor}}; }

Lowering lowerPack(const LowerContext& c) {
  const PanelShape shape = panelShape(c.in[0].dims);
  const auto launch = [shape, packB = c.kernels.packB](const StepArgs& args) {
    const Range range = args.split(shape.panels());
    packB(args.in<float>(0), shape.columns, 1, shape.rows, shape.columns, args.out<float>(), range.begin, range.end);
  };
  return {.launch = launch, .cost = double(shape.size()) * 0.3};
}

Lowering lowerUnpack(const LowerContext& c) {
  const PanelShape shape = panelShape(c.in[0].dims);
  const auto launch = [shape, unpackB = c.kernels.unpackB](const StepArgs& args) {
    const Range range = args.split(shape.panels());
    unpackB(args.in<float>(0), shape.rows, shape.columns, args.out<float>(), shape.columns, 1, range.begin, range.end);
  };
  return {.launch = launch, .cost = double(shape.size()) * 0.3};
}

const OpDef table[] = {
    {.name = "packPanels", .minInputs = 1, .maxInputs = 1, .infer = inferPack, .lower = lowerPack},
    {.name = "unpackPanels", .minInputs = 1, .maxInputs = 1, .infer = inferUnpack, .lower = lowerUnpack},
};

}  // namespace

std::span<const OpDef> panelOps() { return table; }

}  // namespace chainrule::ops
