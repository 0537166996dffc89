#pragma once

#include "base/pieces.h"
#include "cpu/recurrent.h"
#include "plan/recurrent_sizes.h"

// Sizes, operands and the split of work that the two directions of a recurrent op share.
namespace chainrule::ops {

struct Recurrent : RecurrentSizes {
  int64_t blocks() const { return (units + cpu::kUnitBlock - 1) / cpu::kUnitBlock; }
  int64_t groups() const { return (units + 15) / 16; }             // what a member owns of the units
  int64_t stateRow() const { return blocks() * cpu::kUnitBlock; }  // floats of a row of h or c
  // Of a row with `count` gates: what has meaning, and padded to whole panels.
  int64_t width(int64_t count) const { return blocks() * count * cpu::kUnitBlock; }
  int64_t columns(int64_t count) const { return (width(count) + 15) / 16 * 16; }
  int64_t gateRow() const { return columns(gates()); }

  cpu::StepMask maskAt(const uint8_t* mask, const int32_t* first, int64_t s) const {
    return {mask ? mask + source(s) : nullptr, steps, first, int32_t(s), zeroOutput};
  }
};

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

}  // namespace chainrule::ops
