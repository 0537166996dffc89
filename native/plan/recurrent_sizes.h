#pragma once

#include "base/cell.h"
#include "plan/backend.h"

namespace chainrule {

// A recurrent op's attributes, sizes and operands, for every backend.
struct RecurrentSizes {
  Cell cell = Cell::lstm;
  CellActivation activation = CellActivation::tanh, recurrentActivation = CellActivation::sigmoid;
  int64_t n = 0, steps = 0, in = 0, units = 0;
  bool backwards = false, zeroOutput = false, hasBias = false, hasState = false, hasMask = false;

  int64_t gates() const { return gateCount(cell); }
  bool isGru() const { return cell == Cell::gru || cell == Cell::gruResetBefore; }
  bool resetBefore() const { return cell == Cell::gruResetBefore; }
  bool hasCarry() const { return cell == Cell::lstm; }
  // Gates whose products with U are computed together; the third of gruResetBefore waits for r h.
  int64_t firstGates() const { return resetBefore() ? 2 : gates(); }
  // The time step of x that step s of the loop reads.
  int64_t source(int64_t s) const { return backwards ? steps - 1 - s : s; }

  // Inputs: x, kernel, recurrent kernel, [bias], [h0, [c0]], [mask].
  int biasInput() const { return 3; }
  int stateInput() const { return 3 + hasBias; }
  int maskInput() const { return stateInput() + (hasState ? 1 + hasCarry() : 0); }
  int inputCount() const { return maskInput() + hasMask; }

  // Parts: last output, sequence, h, [c], then what only the gradient reads: [gates], hidden, [carry].
  int gatesPart() const { return 3 + hasCarry(); }
  int hiddenPart() const { return cell == Cell::simple ? 3 : gatesPart() + 1; }
  int carryPart() const { return hiddenPart() + 1; }

  // Inputs of the gradient: x, kernel, recurrent kernel, [mask], then [gates], hidden, [carry], then what arrives.
  int keptInput() const { return 3 + hasMask; }
  int keptInputs() const { return cell == Cell::simple ? 1 : 3; }
};

// Which gradients of the forward op's first parts arrive, as bits of the attribute `given`: last, sequence, h, c.
enum Given : int64_t { givenLast = 1, givenSequence = 2, givenHidden = 4, givenCarry = 8 };

inline CellActivation cellActivationAttr(const Attrs& attrs, const char* name, const char* fallback) {
  constexpr std::pair<std::string_view, CellActivation> known[] = {
      {"linear", CellActivation::linear},     {"relu", CellActivation::relu},
      {"tanh", CellActivation::tanh},         {"sigmoid", CellActivation::sigmoid},
      {"softsign", CellActivation::softsign}, {"hardSigmoid", CellActivation::hardSigmoid}};
  const std::string text = attrs.text(name, fallback);
  for (const auto& [key, activation] : known) {
    if (key == text) return activation;
  }
  fail("ATTR", name, ": there is no fused activation \"", text, "\"");
}

// What is known while tracing, and with the sizes of a plan; of the ops and their gradients.
inline RecurrentSizes recurrentSizes(std::string_view op, const Attrs& attrs) {
  RecurrentSizes r;
  const bool resetAfter = attrs.integer("resetAfter", 1) != 0;
  r.cell = op.starts_with("lstm")        ? Cell::lstm
           : op.starts_with("simpleRnn") ? Cell::simple
           : resetAfter                  ? Cell::gru
                                         : Cell::gruResetBefore;
  r.activation = cellActivationAttr(attrs, "activation", "tanh");
  r.recurrentActivation = cellActivationAttr(attrs, "recurrentActivation", "sigmoid");
  const auto flag = [&](const char* name) { return attrs.integer(name, 0) != 0; };
  r.backwards = flag("backwards");
  r.zeroOutput = flag("zeroOutput");
  r.hasBias = flag("bias");
  r.hasState = flag("state");
  r.hasMask = flag("mask");
  return r;
}
inline RecurrentSizes recurrentSizes(const LowerContext& c) {
  RecurrentSizes r = recurrentSizes(c.node.op->name, c.attrs());
  const Dims &x = c.in[0].dims, &u = c.in[2].dims;
  r.n = x[0];
  r.steps = x[1];
  r.in = x[2];
  r.units = u[0];
  return r;
}

}  // namespace chainrule
