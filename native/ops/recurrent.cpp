#include "ops/recurrent.h"

#include <cstring>

#include "ops/registry.h"
#include "ops/shape_rules.h"

// lstm, gru and simpleRnn over a whole sequence x [n, steps, in] (https://keras.io/api/layers/recurrent_layers/).
// Attributes: activation, recurrentActivation, resetAfter (gru), backwards, zeroOutput, and which optional inputs there
// are: bias, state, mask.

namespace chainrule::ops {
namespace {

void expectShape(const InferContext& c, int input, const char* what, const Shape& want) {
  expectDType(c, input, DType::f32);
  const Shape& got = c.in[size_t(input)].shape;
  if (!(got == want)) fail("SHAPE", what, " must be ", toString(want), ", got ", toString(got));
}

std::vector<ValueType> infer(const InferContext& c) {
  const RecurrentSizes r = recurrentSizes(c.op, c.attrs);
  if (int(c.in.size()) != r.inputCount()) fail("INTERNAL", "takes ", r.inputCount(), " inputs, got ", c.in.size());
  expectDType(c, 0, DType::f32);
  expectRank(c, 0, 3);
  expectRank(c, 2, 2);
  const Shape& x = c.in[0].shape;
  if (x[1].perBatch || x[2].perBatch) {
    fail("SHAPE", "the number of time steps and of features must be known, got ", toString(x));
  }
  const Dim n = x[0], units = c.in[2].shape[0], steps = x[1];
  const Dim columns(units.value * r.gates());
  expectShape(c, 1, "the kernel", {x[2], columns});
  expectShape(c, 2, "the recurrent kernel", {units, columns});
  if (r.hasBias) {
    expectShape(c, r.biasInput(), "the bias", r.cell == Cell::gru ? Shape{Dim(2), columns} : Shape{columns});
  }
  for (int i = r.stateInput(); i < r.maskInput(); ++i) expectShape(c, i, "an initial state", {n, units});
  if (r.hasMask) {
    expectDType(c, r.maskInput(), DType::boolean);
    const Shape &mask = c.in[size_t(r.maskInput())].shape, want = {n, steps};
    if (!(mask == want)) fail("SHAPE", "the mask must be ", toString(want), ", got ", toString(mask));
  }
  Recurrent sized{r};
  sized.units = units.value;
  const Dim row(sized.stateRow());
  std::vector<ValueType> parts = {typeOf(DType::f32, {n, units}), typeOf(DType::f32, {n, steps, units}),
                                  typeOf(DType::f32, {n, units})};
  if (r.hasCarry()) parts.push_back(typeOf(DType::f32, {n, units}));
  if (r.cell != Cell::simple) parts.push_back(typeOf(DType::f32, {steps, n, Dim(sized.gateRow())}));
  parts.push_back(typeOf(DType::f32, {Dim(steps.value + 1), n, row}));
  if (r.cell != Cell::simple) parts.push_back(typeOf(DType::f32, {Dim(steps.value + r.hasCarry()), n, row}));
  return parts;
}

// Inputs: x, kernel, recurrent kernel, [mask], [gates], hidden, [carry], then the gradients given.
// Parts: dh0, [dc0], dx, dkernel, drecurrent, [dbias].
std::vector<ValueType> inferGradient(const InferContext& c) {
  const RecurrentSizes r = recurrentSizes(c.op, c.attrs);
  const Shape &x = c.in[0].shape, &kernel = c.in[1].shape, &recurrent = c.in[2].shape;
  const ValueType state = typeOf(DType::f32, {x[0], recurrent[0]});
  std::vector<ValueType> parts{state};
  if (r.hasCarry()) parts.push_back(state);
  for (const Shape& shape : {x, kernel, recurrent}) parts.push_back(typeOf(DType::f32, shape));
  if (r.hasBias) {
    parts.push_back(typeOf(DType::f32, r.cell == Cell::gru ? Shape{Dim(2), kernel[1]} : Shape{kernel[1]}));
  }
  return parts;
}

std::vector<ValueId> gradient(GradientContext& c) {
  const Node node = c.graph.nodes[c.node];
  const RecurrentSizes r = recurrentSizes(node.op->name, node.attrs);
  for (size_t part = size_t(3 + r.hasCarry()); part < c.outGradients.size(); ++part) {
    if (c.outGradients[part] != kNone) fail("NO_GRADIENT", std::string(node.op->name), " has no second derivative");
  }
  std::vector<ValueId> inputs = {node.inputs[0], node.inputs[1], node.inputs[2]};
  if (r.hasMask) inputs.push_back(node.inputs[size_t(r.maskInput())]);
  for (int part = 3 + r.hasCarry(); part < node.parts; ++part) inputs.push_back(node.first + ValueId(part));
  int64_t given = 0;
  for (int part = 0; part < 3 + r.hasCarry(); ++part) {
    if (c.outGradients[size_t(part)] == kNone) continue;
    given |= int64_t(1) << part;
    inputs.push_back(c.outGradients[size_t(part)]);
  }
  Attrs attributes = node.attrs;
  attributes.set("given", given);
  const std::vector<ValueId> made =
      c.graph.add(std::string(node.op->name) + "Gradient", std::move(inputs), std::move(attributes));
  const size_t first = size_t(1 + r.hasCarry());
  std::vector<ValueId> out = {made[first], made[first + 1], made[first + 2]};
  if (r.hasBias) out.push_back(made[first + 3]);
  if (r.hasState) out.insert(out.end(), made.begin(), made.begin() + int64_t(first));
  if (r.hasMask) out.push_back(kNone);
  return out;
}

constexpr int kMaxInputs = 7, kMaxGradientInputs = 11;

const OpDef table[] = {
    {.name = "lstm",
     .minInputs = 3,
     .maxInputs = kMaxInputs,
     .infer = infer,
     .gradient = gradient,
     .lower = lowerRecurrent},
    {.name = "gru",
     .minInputs = 3,
     .maxInputs = kMaxInputs,
     .infer = infer,
     .gradient = gradient,
     .lower = lowerRecurrent},
    {.name = "simpleRnn",
     .minInputs = 3,
     .maxInputs = kMaxInputs,
     .infer = infer,
     .gradient = gradient,
     .lower = lowerRecurrent},
    {.name = "lstmGradient",
     .minInputs = 3,
     .maxInputs = kMaxGradientInputs,
     .infer = inferGradient,
     .lower = lowerRecurrentGradient},
    {.name = "gruGradient",
     .minInputs = 3,
     .maxInputs = kMaxGradientInputs,
     .infer = inferGradient,
     .lower = lowerRecurrentGradient},
    {.name = "simpleRnnGradient",
     .minInputs = 3,
     .maxInputs = kMaxGradientInputs,
     .infer = inferGradient,
     .lower = lowerRecurrentGradient},
};

}  // namespace

std::span<const OpDef> recurrentOps() { return table; }

RecurrentPart recurrentPart(const Recurrent& r, const StepArgs& args) {
  // Rows enough for each member need no meeting; else members share rows and divide the units.
  constexpr int64_t rowsOfMember = 12;
  const int64_t members = args.members, groups = r.groups();
  int64_t rowParts = std::clamp<int64_t>(r.n / rowsOfMember, 1, members);
  const int64_t unitParts = std::min(groups, members / rowParts);
  if (unitParts == 1) rowParts = std::min(members, std::max<int64_t>(r.n, 1));
  const int64_t row = args.member / unitParts, unit = args.member % unitParts;
  RecurrentPart part{.meets = unitParts > 1};
  if (row < rowParts) {
    part.rows = {r.n * row / rowParts, r.n * (row + 1) / rowParts};
    part.groups = {groups * unit / unitParts, groups * (unit + 1) / unitParts};
    part.blockBegin = part.groups.begin * 2;
    part.blockEnd = std::min(part.groups.end * 2, r.blocks());
  }
  return part;
}

void firstSteps(const Recurrent& r, const uint8_t* mask, int32_t* first, Range rows) {
  for (int64_t n = rows.begin; n < rows.end; ++n) {
    int64_t s = 0;
    while (s < r.steps && !mask[n * r.steps + r.source(s)]) ++s;
    first[n] = int32_t(s);
  }
}

void padState(const Recurrent& r, const float* state, float* padded, Range rows) {
  for (int64_t n = rows.begin; n < rows.end; ++n) {
    float* row = padded + n * r.stateRow();
    const int64_t filled = state ? r.units : 0;
    if (state) std::memcpy(row, state + n * r.units, size_t(filled) * 4);
    std::memset(row + filled, 0, size_t(r.stateRow() - filled) * 4);
  }
}

}  // namespace chainrule::ops
