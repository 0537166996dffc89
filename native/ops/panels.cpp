#include "ops/panels.h"

#include <algorithm>

#include "base/bfloat16.h"
#include "base/panels.h"
#include "cpu/kernel_table.h"
#include "ops/registry.h"
#include "ops/shape_rules.h"

namespace chainrule::ops {

void widenToPanels(const cpu::KernelTable& k, const uint16_t* matrix, bool packed, PanelShape shape, float* panels,
                   Range range) {
  if (packed) return k.widenPanels(matrix, shape.rows, panels, range.begin, range.end);
  const int64_t end = std::min(range.end * 16, shape.columns);
  if (!range.empty()) std::fill(panels + range.begin * shape.rows * 16, panels + range.end * shape.rows * 16, 0.0f);
  for (int64_t row = 0; row < shape.rows; ++row) {
    for (int64_t column = range.begin * 16; column < end; ++column)
      panels[panelIndex(DType::f32, shape.rows, row, column)] = widenBfloat16(matrix[row * shape.columns + column]);
  }
}

namespace {

std::vector<ValueType> inferPack(const InferContext& c) { return {{c.in[0].dtype, c.in[0].shape, Layout::panel16}}; }
std::vector<ValueType> inferUnpack(const InferContext& c) { return {{c.in[0].dtype, c.in[0].shape, Layout::rowMajor}}; }

Lowering lowerPack(const LowerContext& c) {
  const PanelShape shape = panelShape(c.in[0].dims);
  const auto launch = [shape, dtype = c.in[0].dtype, packB = c.kernels.packB](const StepArgs& args) {
    const Range range = args.split(shape.panels());
    if (dtype == DType::i8) return packGroups(dtype, args.in<int8_t>(0), shape, args.out<int8_t>(), range);
    if (dtype == DType::bf16) return packGroups(dtype, args.in<uint16_t>(0), shape, args.out<uint16_t>(), range);
    packB(args.in<float>(0), shape.columns, 1, shape.rows, shape.columns, args.out<float>(), range.begin, range.end);
  };
  return {.launch = launch, .cost = double(shape.size()) * 0.3};
}

Lowering lowerUnpack(const LowerContext& c) {
  const PanelShape shape = panelShape(c.in[0].dims);
  const auto launch = [shape, dtype = c.in[0].dtype, unpackB = c.kernels.unpackB](const StepArgs& args) {
    const Range range = args.split(shape.panels());
    if (dtype == DType::i8) return unpackGroups(dtype, args.in<int8_t>(0), shape, args.out<int8_t>(), range);
    if (dtype == DType::bf16) return unpackGroups(dtype, args.in<uint16_t>(0), shape, args.out<uint16_t>(), range);
    unpackB(args.in<float>(0), shape.rows, shape.columns, args.out<float>(), shape.columns, 1, range.begin, range.end);
  };
  return {.launch = launch, .cost = double(shape.size()) * 0.3};
}

// w with a factor for each column, in panels: what a batch norm leaves of itself when it isn't trained.
std::vector<ValueType> inferScale(const InferContext& c) {
  expectDType(c, 0, DType::f32);
  expectDType(c, 1, DType::f32);
  if (c.in[1].shape.size() != 1 || c.in[0].shape.empty() || !(c.in[0].shape.back() == c.in[1].shape[0]))
    fail("SHAPE", "needs one factor for each column, got ", toString(c.in[1].shape), " for ", toString(c.in[0].shape));
  return {{DType::f32, c.in[0].shape, Layout::panel16}};
}

Lowering lowerScale(const LowerContext& c) {
  const PanelShape shape = panelShape(c.in[0].dims);
  const bool packed = c.in[0].layout == Layout::panel16;
  const auto launch = [shape, packed, packB = c.kernels.packB](const StepArgs& args) {
    const Range range = args.split(shape.panels());
    const float *w = args.in<float>(0), *factors = args.in<float>(1);
    float* out = args.out<float>();
    if (!packed) packB(w, shape.columns, 1, shape.rows, shape.columns, out, range.begin, range.end);
    const float* from = packed ? w : out;
    for (int64_t panel = range.begin; panel < range.end; ++panel) {
      float factor[16] = {};
      for (int64_t i = 0; i < 16 && panel * 16 + i < shape.columns; ++i) factor[i] = factors[panel * 16 + i];
      for (int64_t row = panel * shape.rows; row < (panel + 1) * shape.rows; ++row) {
        for (int64_t i = 0; i < 16; ++i) out[row * 16 + i] = from[row * 16 + i] * factor[i];
      }
    }
  };
  return {.launch = launch, .cost = double(shape.size()) * 0.5};
}
bool always(const Graph&, const Node&) { return true; }
bool anyInput(const Graph&, const Node&, int) { return true; }

const OpDef table[] = {
    {.name = "packPanels", .minInputs = 1, .maxInputs = 1, .infer = inferPack, .lower = lowerPack, .widens = anyInput},
    {.name = "unpackPanels",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = inferUnpack,
     .lower = lowerUnpack,
     .widens = anyInput},
    {.name = "scalePanels",
     .minInputs = 2,
     .maxInputs = 2,
     .infer = inferScale,
     .lower = lowerScale,
     .takesPanel = always,
     .panelInput = 0},
};

}  // namespace

std::span<const OpDef> panelOps() { return table; }

}  // namespace chainrule::ops
