#include "cpu/island.h"
#include "ops/island.h"
#include "ops/registry.h"
#include "ops/shape_rules.h"

// Registry entries, dtype rules and gradients of the table elementwise.def.

namespace chainrule::ops {
namespace {

enum class Kind { F, N, C, P, B, S };

void expectOneOf(const InferContext& c, size_t input, std::initializer_list<DType> allowed) {
  for (DType dtype : allowed) {
    if (c.in[input].dtype == dtype) return;
  }
  std::string names;
  for (DType dtype : allowed) names += (names.empty() ? "" : " or ") + std::string(dtypeName(dtype));
  fail("DTYPE", "input ", input, " must be ", names, ", got ", dtypeName(c.in[input].dtype), ". Convert it with cast");
}

void refuseInt8(const InferContext& c) {
  for (size_t i = 0; i < c.in.size(); ++i) {
    if (c.in[i].dtype == DType::i8)
      fail("DTYPE", "input ", i,
           " has the dtype int8, which is for the stored weights of quantized layers; nothing is computed in it. "
           "Call the layer, or pass other numbers as int32");
  }
}

template <Kind kind>
std::vector<ValueType> infer(const InferContext& c) {
  refuseInt8(c);
  const size_t data = kind == Kind::S ? 1 : 0;
  for (size_t i = data + 1; i < c.in.size(); ++i) {
    if (c.in[i].dtype != c.in[data].dtype) {
      fail("DTYPE", "inputs have different dtypes: ", dtypeName(c.in[data].dtype), " and ", dtypeName(c.in[i].dtype),
           ". Convert one with cast");
    }
  }
  DType result = c.in[data].dtype;
  switch (kind) {
    case Kind::F:
      expectOneOf(c, 0, {DType::f32});
      break;
    case Kind::N:
      expectOneOf(c, 0, {DType::f32, DType::i32});
      break;
    case Kind::C:
      result = DType::boolean;
      break;
    case Kind::P:
      expectOneOf(c, 0, {DType::f32});
      result = DType::boolean;
      break;
    case Kind::B:
      expectOneOf(c, 0, {DType::boolean});
      break;
    case Kind::S:
      expectOneOf(c, 0, {DType::boolean});
      break;
  }
  return {typeOf(result, broadcast(c.in))};
}

// The vocabulary of the gradient column: every op by its name, over graph values.
namespace formula {
#define UNARY(name, kind, forward, ga) \
  [[maybe_unused]] Expr name(Expr a) { return apply(#name, {a}); }
#define BINARY(name, kind, forward, ga, gb) \
  [[maybe_unused]] Expr name(Expr a, Expr b) { return apply(#name, {a, b}); }
#define TERNARY(name, kind, forward, ga, gb, gc) \
  [[maybe_unused]] Expr name(Expr a, Expr b, Expr c) { return apply(#name, {a, b, c}); }
#include "ops/elementwise.def"

Expr when(Expr condition, Expr x) { return select(condition, x, number(x, 0)); }
Expr unless(Expr condition, Expr x) { return select(condition, number(x, 0), x); }
const Expr NONE{};

#define OPERANDS(count)                                                                 \
  [[maybe_unused]] const Expr a = context.in(0), y = context.out(), g = context.grad(); \
  [[maybe_unused]] const Expr b = count > 1 ? context.in(1) : NONE, c = count > 2 ? context.in(2) : NONE;
// A formula is evaluated only when its operand is differentiable at all, so integer inputs cost nothing.
#define UNARY(name, kind, forward, ga) \
  std::vector<ValueId> gradientOf_##name(GradientContext& context) { OPERANDS(1) return {Expr(ga).id}; }
#define BINARY(name, kind, forward, ga, gb) \
  std::vector<ValueId> gradientOf_##name(GradientContext& context) { OPERANDS(2) return {Expr(ga).id, Expr(gb).id}; }
#define TERNARY(name, kind, forward, ga, gb, gc)                     \
  std::vector<ValueId> gradientOf_##name(GradientContext& context) { \
    OPERANDS(3) return {Expr(ga).id, Expr(gb).id, Expr(gc).id};      \
  }
#include "ops/elementwise.def"
}  // namespace formula

std::vector<ValueType> inferCast(const InferContext& c) {
  refuseInt8(c);
  const auto to = dtypeFromName(c.attrs.text("dtype", ""));
  if (!to || *to == DType::i8)
    fail("DTYPE", "there is no dtype \"", c.attrs.text("dtype", ""),
         "\". Use float32, int32, uint8, bool, uint32 or bfloat16");
  if (*to == DType::bf16) expectOneOf(c, 0, {DType::f32, DType::bf16});  // others round twice: through float32
  return {typeOf(*to, c.in[0].shape)};
}

std::vector<ValueId> gradientOfCast(GradientContext& c) {
  // Gradients of bfloat16 are float32: rounding is taken as it stands for, with the derivative 1.
  const DType from = c.in(0).dtype();
  return {from == DType::f32 || from == DType::bf16 ? c.grad().id : kNone};
}

bool anyInput(const Graph&, const Node&, int) { return true; }

OpDef define(std::string_view name, int arity, std::vector<ValueType> (*rule)(const InferContext&),
             std::vector<ValueId> (*gradient)(GradientContext&), bool differentiable) {
  OpDef op;
  op.name = name;
  op.minInputs = op.maxInputs = arity;
  op.infer = rule;
  op.gradient = gradient;
  op.lower = lowerElementwise;
  op.elementwise = true;
  op.inPlaceParts = 1;
  op.differentiable = differentiable;
  return op;
}

OpDef defineCast() {
  OpDef op = define("cast", 1, inferCast, gradientOfCast, true);
  op.widens = anyInput;
  return op;
}

constexpr bool anyGradient(std::string_view formulas) {
  // "NONE" or "NONE, NONE": nothing flows back at all.
  while (formulas.starts_with("NONE")) formulas.remove_prefix(std::min<size_t>(formulas.size(), 6));
  return !formulas.empty();
}

const OpDef table[] = {
#define UNARY(name, kind, forward, ga) \
  define(#name, 1, infer<Kind::kind>, formula::gradientOf_##name, anyGradient(#ga)),
#define BINARY(name, kind, forward, ga, gb) \
  define(#name, 2, infer<Kind::kind>, formula::gradientOf_##name, anyGradient(#ga ", " #gb)),
#define TERNARY(name, kind, forward, ga, gb, gc) \
  define(#name, 3, infer<Kind::kind>, formula::gradientOf_##name, anyGradient(#ga ", " #gb ", " #gc)),
#include "ops/elementwise.def"
    defineCast(),
};

}  // namespace

std::span<const OpDef> elementwiseOps() { return table; }

}  // namespace chainrule::ops
