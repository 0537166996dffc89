#include "cpu/winograd.h"

#include "cpu/kernel_table.h"
#include "ops/chunks.h"
#include "ops/epilogue.h"
#include "ops/panels.h"
#include "ops/registry.h"
#include "ops/window.h"
#include "plan/conv_shape.h"

// 3 x 3 convolutions by Winograd's F(2x2, 3x3): the transform of the filter, which for fixed weights is the plan's
// prologue, the convolution with it, and the gradient of the filter. Made by passes/winograd.cpp.

namespace chainrule::ops {
namespace {

// transposed: of the convolution that takes gradients of outputs to those of inputs.
std::vector<ValueType> inferFilter(const InferContext& c) {
  if (c.in[0].dtype != DType::bf16) expectDType(c, 0, DType::f32);
  expectRank(c, 0, 4);
  const Shape& w = c.in[0].shape;
  if (w[0].value != 3 || w[1].value != 3) fail("SHAPE", "takes a filter of 3 x 3, got ", toString(w));
  const bool transposed = c.attrs.integer("transposed", 0);
  const Dim in = w[transposed ? 3 : 2], out(cpu::panelCount(w[transposed ? 2 : 3].value));
  return {typeOf(DType::f32, {out, Dim(cpu::kWinogradPoints), in, Dim(cpu::kPanel)})};
}

Lowering lowerFilter(const LowerContext& c) {
  const Dims& w = c.in[0].dims;
  const bool transposed = c.attrs().integer("transposed", 0), packed = c.in[0].layout == Layout::panel16;
  const int64_t panels = c.out[0].dims[0], channels = c.out[0].dims[2], size = 9 * channels * cpu::kPanel;
  const bool halves = c.in[0].dtype == DType::bf16;
  const PanelShape matrix = panelShape(w);
  const ConvShape shape{.cin = w[2], .kh = 3, .kw = 3, .cout = w[3]};
  const auto launch = [=, &k = c.kernels](const StepArgs& args) {
    const float* filter = args.in<float>(0);
    float *panel = reinterpret_cast<float*>(args.own), *out = args.out<float>();
    const Range own = args.split(panels);
    for (int64_t p = own.begin; p < own.end; ++p) {
      const float* from = filter + p * size;
      if (halves)
        widenToPanels(k, args.in<uint16_t>(0), packed, matrix, panel - p * size, {p, p + 1});
      else if (transposed)
        k.convPackTransposed(shape, filter, packed, panel - p * size, p, p + 1);
      else if (!packed)
        k.packB(filter, matrix.columns, 1, matrix.rows, matrix.columns, panel - p * size, p, p + 1);
      if (transposed || halves || !packed) from = panel;
      k.winogradFilter(from, channels, out + p * cpu::kWinogradPoints * channels * cpu::kPanel, 0, 1);
    }
  };
  return {.launch = launch, .cost = double(panels * size) * 0.6, .memberScratch = size_t(size) * sizeof(float)};
}

std::vector<ValueType> infer(const InferContext& c) {
  expectDType(c, 0, DType::f32);
  expectDType(c, 1, DType::f32);
  expectRank(c, 0, 4);
  expectRank(c, 1, 4);
  const Shape &x = c.in[0].shape, &u = c.in[1].shape;
  const int64_t filters = c.attrs.integer("filters", 0);
  if (u[0].value != cpu::panelCount(filters) || !(u[2] == x[3]))
    fail("SHAPE", "a transformed filter ", toString(u), " does not take ", toString(x), " to ", filters, " channels");
  const Window window = windowOf(c, {3, 3});
  return {typeOf(DType::f32, {x[0], window.outputs(0, x[1]), window.outputs(1, x[2]), Dim(filters)})};
}

// With fewer tiles for each member the whole team shares one transformed input and splits filters as well, up to so
// many tiles and bytes of it.
constexpr int64_t kTilesOfMember = 32, kSharedTiles = 512, kSharedBytes = 16 << 20;

struct Winograd {
  ConvShape shape;
  Epilogue epilogue;
  const cpu::KernelTable* kernels = nullptr;
  int64_t panels = 0, columns = 0, rows = 0;           // tiles of a row; rows of all images
  bool shares = false;                                 // there is memory for all tiles
  size_t zeros = 0, input = 0, island = 0, bytes = 0;  // offsets in a member's scratch, and its size

  int64_t tiles() const { return rows * columns; }
  bool finishes() const { return epilogue.remains(epilogue.begins()); }
  // Where the pixels of a row of tiles begin.
  int64_t startOf(int64_t row) const {
    const int64_t perImage = cpu::winogradTileRows(shape);
    return (row / perImage * shape.oh + row % perImage * 2) * shape.ow * shape.cout;
  }

  void transform(const StepArgs& args, float* v, int64_t step, Range own) const {
    const float* none = reinterpret_cast<const float*>(args.own + zeros);
    if (!own.empty()) kernels->winogradInput(shape, args.in<float>(0), none, v, step, own.begin, own.end);
  }
  void multiply(const StepArgs& args, const float* v, int64_t step, Range own, Range ownPanels) const {
    const cpu::Finish finish = epilogue.finish(args);
    kernels->winogradForward(shape, v, step, args.in<float>(1), finish.bias, finish.activation, args.out<float>(),
                             own.begin, own.end, ownPanels.begin, ownPanels.end, args.own);
  }
  void finish(const StepArgs& args, Range elements) const {
    if (finishes())
      epilogue.apply(args, args.out<float>(), epilogue.begins(), elements.begin, elements.end, args.own + island);
  }

  void launch(const StepArgs& args) const {
    std::fill_n(reinterpret_cast<float*>(args.own + zeros), shape.cin, 0.0f);
    if (shares && args.members > 1 && tiles() < kTilesOfMember * args.members)
      together(args);
    else
      apart(args, args.split(rows));
  }

  void together(const StepArgs& args) const {
    float* v = reinterpret_cast<float*>(args.shared);
    const int64_t step = cpu::winogradStep(shape, tiles()), pitch = cpu::winogradPitch(shape);
    const Range part = args.split(tiles());
    transform(args, v + part.begin * pitch, step, part);
    args.barrier();
    const int64_t block = cpu::kWinogradTiles, blocks = (tiles() + block - 1) / block;
    const Range units = args.split(blocks * panels);
    for (int64_t unit = units.begin; unit < units.end;) {
      const int64_t first = unit / panels * block, panel = unit % panels;
      const int64_t end = std::min(panels, panel + units.end - unit);
      multiply(args, v + first * pitch, step, {first, std::min(tiles(), first + block)}, {panel, end});
      unit += end - panel;
    }
    if (!finishes()) return;
    args.barrier();
    finish(args, args.split(startOf(rows), 512));
  }

  // Blocks of whole rows, or of equal parts of a long one.
  void apart(const StepArgs& args, Range own) const {
    float* v = reinterpret_cast<float*>(args.own + input);
    const int64_t count = std::max<int64_t>(1, cpu::kWinogradTiles / columns);
    const int64_t parts = (columns + cpu::kWinogradTiles - 1) / cpu::kWinogradTiles;
    for (int64_t row = own.begin; row < own.end; row += count) {
      const int64_t end = std::min(own.end, row + count), size = (end - row) * columns;
      for (int64_t part = 0; part < parts; ++part) {
        const Range block{row * columns + size * part / parts, row * columns + size * (part + 1) / parts};
        const int64_t step = cpu::winogradStep(shape, block.end - block.begin);
        transform(args, v, step, block);
        multiply(args, v, step, block, {0, panels});
      }
      finish(args, {startOf(row), startOf(end)});
    }
  }
};

Lowering lower(const LowerContext& c) {
  Winograd w;
  const Dims filter{3, 3, c.in[0].dims[3], c.out[0].dims[3]};
  w.shape = convShape(c.attrs(), c.in[0].dims, filter, c.out[0].dims);
  w.epilogue = lowerEpilogue(c, 2);
  w.kernels = &c.kernels;
  w.panels = c.in[1].dims[0];
  w.columns = cpu::winogradTileColumns(w.shape);
  w.rows = w.shape.n * cpu::winogradTileRows(w.shape);
  const auto sizeOf = [&](int64_t tiles) { return cpu::kWinogradPoints * cpu::winogradStep(w.shape, tiles) * 4; };
  w.zeros = size_t(cpu::winogradScratchBytes());
  w.input = w.zeros + size_t(w.shape.cin * 4 + 63) / 64 * 64;
  w.island = w.input + size_t(sizeOf(std::min(w.tiles(), cpu::kWinogradTiles)));
  w.bytes = w.island + w.epilogue.scratch;
  const int64_t all = sizeOf(w.tiles());
  w.shares = w.tiles() <= kSharedTiles && all <= kSharedBytes;
  const double flop = 2.0 * double(cpu::kWinogradPoints * w.tiles() * w.shape.cin * w.shape.cout);
  return {.launch = [w](const StepArgs& args) { w.launch(args); },
          .cost = flop * 0.018 + w.epilogue.cost,
          .sharedScratch = w.shares ? size_t(all) : 0,
          .memberScratch = w.bytes,
          .flop = flop};
}

std::vector<ValueType> inferGradient(const InferContext& c) {
  const Layout layout = c.attrs.integer("outPanel", 0) ? Layout::panel16 : Layout::rowMajor;
  return {{DType::f32, shapeAttr(c.attrs, "shape"), layout}};
}

Lowering lowerGradient(const LowerContext& c) {
  const ConvShape shape = convShape(c.attrs(), c.in[0].dims, c.out[0].dims, c.in[1].dims);
  const cpu::WinogradSplit split = cpu::winogradFilterSplit(shape);
  const bool panel = c.out[0].layout == Layout::panel16;
  const int64_t size = c.out[0].physicalCount();
  const auto launch = [=, &k = c.kernels](const StepArgs& args) {
    float* target = split.chunks > 1 ? reinterpret_cast<float*>(args.shared) : args.out<float>();
    const int64_t rowStride = panel ? cpu::kPanel : shape.cout,
                  panelStride = panel ? shape.filterRows() * cpu::kPanel : cpu::kPanel;
    const Range items = args.split(split.items());
    if (!items.empty())
      k.winogradBackwardFilter(shape, args.in<float>(0), args.in<float>(1), target, size, rowStride, panelStride, panel,
                               items.begin, items.end, args.own);
    if (split.chunks > 1) addChunks(args, k, target, split.chunks, size, args.out<float>());
  };
  const int64_t tiles = shape.n * cpu::winogradTileRows(shape) * cpu::winogradTileColumns(shape);
  const double flop = 2.0 * double(cpu::kWinogradPoints * tiles * shape.cin * shape.cout);
  return {.launch = launch,
          .cost = flop * 0.018,
          .sharedScratch = split.chunks > 1 ? size_t(split.chunks * size) * sizeof(float) : 0,
          .memberScratch = size_t(cpu::winogradFilterScratchBytes(shape)),
          .flop = flop};
}

bool always(const Graph&, const Node&) { return true; }

bool widens(const Graph&, const Node& node, int) { return node.attrs.integer("transposed", 0) == 0; }

const OpDef table[] = {
    {.name = "winogradFilter",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = inferFilter,
     .lower = lowerFilter,
     .takesPanel = always,
     .panelInput = 0,
     .widens = widens},
    {.name = "conv2dWinograd",
     .minInputs = 2,
     .maxInputs = 2 + kEpilogueInputs,
     .infer = infer,
     .lower = lower,
     .takesEpilogue = always},
    {.name = "conv2dFilterWinograd",
     .minInputs = 2,
     .maxInputs = 2,
     .infer = inferGradient,
     .lower = lowerGradient,
     .panelOutput = always},
};

}  // namespace

std::span<const OpDef> winogradOps() { return table; }

}  // namespace chainrule::ops
