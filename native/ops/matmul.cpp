#include "ops/matmul.h"

#include "ops/epilogue.h"
#include "ops/shape_rules.h"

namespace chainrule::ops {
namespace {

std::vector<ValueType> infer(const InferContext& c) {
  expectFactor(c, 0);
  if (c.in[1].dtype != DType::bf16) expectFactor(c, 1);
  const Shape &a = c.in[0].shape, &b = c.in[1].shape;
  if (a.size() < 2 || b.size() < 2) {
    fail("SHAPE", "needs at least two dimensions each, got ", toString(a), " x ", toString(b),
         ". Reshape a vector to a row or column");
  }
  const auto [ta, tb] = transposes(c.attrs);
  const int ra = a.size(), rb = b.size();
  const Dim m = a[ra - (ta ? 1 : 2)], ka = a[ra - (ta ? 2 : 1)], kb = b[rb - (tb ? 1 : 2)], n = b[rb - (tb ? 2 : 1)];
  if (!(ka == kb)) {
    fail("SHAPE", "inner dimensions differ: ", toString(a), ta ? " (transposed)" : "", " x ", toString(b),
         tb ? " (transposed)" : "", ": ", toString(ka), " against ", toString(kb));
  }
  ValueType outerA{DType::f32, {}}, outerB{DType::f32, {}};
  for (int i = 0; i + 2 < ra; ++i) outerA.shape.push(a[i]);
  for (int i = 0; i + 2 < rb; ++i) outerB.shape.push(b[i]);
  const ValueType outer[] = {outerA, outerB};
  Shape shape = broadcast(outer);
  shape.push(m);
  shape.push(n);
  const Layout layout = c.attrs.integer("outPanel", 0) ? Layout::panel16 : Layout::rowMajor;
  return {{productDType(c.attrs), shape, layout}};
}

Expr matmul(Expr a, Expr b, bool ta, bool tb) {
  return apply("matmul", {a, b}, attrs({{"transposeA", int64_t(ta)}, {"transposeB", int64_t(tb)}}));
}

// Leading axes merged into rows.
Expr flattened(Expr x) {
  Shape rows = x.shape();
  const Dim columns = rows.back();
  rows.pop();
  return reshape(x, {product(rows), columns});
}

std::vector<ValueId> gradient(GradientContext& c) {
  const auto [ta, tb] = transposes(c.attrs());
  Expr a = c.in(0), b = c.in(1), g = c.grad();
  const Expr da = ta ? matmul(b, g, tb, true) : matmul(g, b, false, !tb);
  // A shared right side takes part once for each row, so its gradient is one product over all of them.
  if (b.shape().size() == 2 && a.shape().size() > 2 && !ta) {
    a = flattened(a);
    g = flattened(g);
  }
  const Expr db = tb ? matmul(g, a, true, ta) : matmul(a, g, !ta, false);
  return {da.id, db.id};
}

// Epilogues and panel layouts of the result belong to the single product.
bool isSingle(const Graph& graph, const Node& node) {
  const int ra = graph.type(node.inputs[0]).shape.size(), rb = graph.type(node.inputs[1]).shape.size();
  return rb == 2 && (ra == 2 || !transposes(node.attrs).a);
}

// A single column would be fifteen parts of padding.
bool takesPanel(const Graph& graph, const Node& node) {
  return isSingle(graph, node) && !(graph.type(node.inputs[1]).shape.back() == Dim(1));
}

// The right side of a product that takes it in panels as they are.
bool widens(const Graph& graph, const Node& node, int input) {
  const auto [ta, tb] = transposes(node.attrs);
  return input == 1 && !ta && !tb && takesPanel(graph, node);
}

bool always(const Graph&, const Node&) { return true; }

// A right side shared by all rows.
int columnsInput(const Graph& graph, const Node& node) {
  return graph.type(node.inputs[1]).shape.size() == 2 && !transposes(node.attrs).b ? 1 : -1;
}

const OpDef table[] = {{.name = "matmul",
                        .minInputs = 2,
                        .maxInputs = 2 + kEpilogueInputs,
                        .infer = infer,
                        .gradient = gradient,
                        .lower = lowerMatmul,
                        .takesEpilogue = isSingle,
                        .takesPanel = takesPanel,
                        .panelOutput = isSingle,
                        .panelInput = 1,
                        .columnsInput = columnsInput,
                        .widens = widens,
                        .multipliesHalves = always}};

}  // namespace

std::span<const OpDef> matmulOps() { return table; }

}  // namespace chainrule::ops
