#pragma once

#include "cpu/recurrent.h"
#include "ops/scratch.h"
#include "plan/backend.h"

// Sizes, operands and the split of work that the two directions of a recurrent op share.
namespace chainrule::ops {

struct Recurrent {
  cpu::Cell cell = cpu::Cell::lstm;
  cpu::CellActivation activation = cpu::CellActivation::tanh, recurrentActivation = cpu::CellActivation::sigmoid;
  int64_t n = 0, steps = 0, in = 0, units = 0;
  bool backwards = false, zeroOutput = false, hasBias = false, hasState = false, hasMask = false;

  int64_t gates() const { return cpu::gateCount(cell); }
  int64_t blocks() const { return (units + cpu::kUnitBlock - 1) / cpu::kUnitBlock; }
  int64_t groups() const { return (units + 15) / 16; }             // what a member owns of the units
  int64_t stateRow() const { return blocks() * cpu::kUnitBlock; }  // floats of a row of h or c
  // Of a row with `count` gates: what has meaning, and padded to whole panels.
  int64_t width(int64_t count) const { return blocks() * count * cpu::kUnitBlock; }
  int64_t columns(int64_t count) const { return (width(count) + 15) / 16 * 16; }
  int64_t gateRow() const { return columns(gates()); }
  bool isGru() const { return cell == cpu::Cell::gru || cell == cpu::Cell::gruResetBefore; }
  bool resetBefore() const { return cell == cpu::Cell::gruResetBefore; }
  bool hasCarry() const { return cell == cpu::Cell::lstm; }
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
  int hiddenPart() const { return cell == cpu::Cell::simple ? 3 : gatesPart() + 1; }
  int carryPart() const { return hiddenPart() + 1; }
  int64_t carrySteps() const { return steps + hasCarry(); }

  cpu::StepMask maskAt(const uint8_t* mask, const int32_t* first, int64_t s) const {
    return {mask ? mask + source(s) : nullptr, steps, first, int32_t(s), zeroOutput};
  }
};

Recurrent recurrentOf(std::string_view op, const Attrs& attrs);

// A member's rectangle of rows x groups of 16 units. Members that share rows meet after each step.
struct RecurrentPart {
  Range rows, groups;
  bool meets = false;
  int64_t blockBegin = 0, blockEnd = 0;
  bool empty() const { return rows.empty() || groups.empty(); }
  // Panels of a product with `gates` gates that this part owns.
  Range panels(const Recurrent& r, int64_t gates) const {
    const int64_t all = r.columns(gates) / 16;
    return {std::min(groups.begin * gates, all), std::min(groups.end * gates, all)};
  }
};
RecurrentPart recurrentPart(const Recurrent& r, const StepArgs& args);

// For each row the first step that counts, `steps` if none does. Range: rows.
void firstSteps(const Recurrent& r, const uint8_t* mask, int32_t* first, Range rows);

// A state [n][units] into padded rows; null stands for zeros. Range: rows.
void padState(const Recurrent& r, const float* state, float* padded, Range rows);

Lowering lowerRecurrent(const LowerContext& c);
Lowering lowerRecurrentGradient(const LowerContext& c);

// Which gradients of the forward op's first parts arrive, as bits of the attribute `given`: last, sequence, h, c.
enum Given : int64_t { givenLast = 1, givenSequence = 2, givenHidden = 4, givenCarry = 8 };

}  // namespace chainrule::ops
