#pragma once

#include <cstdint>

#include "base/cell.h"

// The arguments of the cells of recurrent layers. A row of gate values lies as [block of 8 units][gate][8], so that all
// gates of a unit are neighbours and one member of a team owns them; state rows are units, padded to blocks.
namespace chainrule::cpu {

constexpr int64_t kUnitBlock = 8;

// Which rows of a time step count. A row that does not keeps its state.
struct StepMask {
  const uint8_t* values = nullptr;  // of this step; null: all rows count
  int64_t row = 0;                  // between two rows
  const int32_t* first = nullptr;   // by row: the first step that counts
  int32_t step = 0;
  bool zeroOutput = false;  // the output of a row that does not count is zero, not the one before

  bool counts(int64_t n) const { return !values || values[n * row] != 0; }
  bool shows(int64_t n) const { return !values || (zeroOutput ? counts(n) : step >= first[n]); }
};

// One step forward. All pointers are at row 0 of this step.
struct CellForward {
  Cell cell = Cell::lstm;
  CellActivation activation = CellActivation::tanh, recurrentActivation = CellActivation::sigmoid;
  int64_t units = 0;
  bool keepGates = false;  // write the activated gates back
  StepMask mask;
  float* gates = nullptr;  // x W + b, and for simple and lstm + h U
  int64_t gateRow = 0;
  const float* recurrent = nullptr;  // gru: h U + b in the layout of gates; gruResetBefore: of its first two gates
  int64_t recurrentRow = 0;
  const float* candidate = nullptr;  // gruResetBefore: (r h) U of the third gate
  int64_t candidateRow = 0;
  const float* hidden = nullptr;
  float* hiddenNext = nullptr;
  const float* carry = nullptr;  // lstm: c before; its next value goes to carryNext
  float* carryNext = nullptr;    // gru (may be null): the third gate's h U + b; gruResetBefore: r h
  int64_t stateRow = 0;
  float* sequence = nullptr;  // the output, or null
  int64_t sequenceRow = 0;
};

// One step back through time.
struct CellBackward {
  Cell cell = Cell::lstm;
  CellActivation activation = CellActivation::tanh, recurrentActivation = CellActivation::sigmoid;
  int64_t units = 0;
  StepMask mask;
  const float* gates = nullptr;  // activated
  int64_t gateRow = 0;
  const float* hidden = nullptr;      // before the step
  const float* hiddenNext = nullptr;  // after it
  const float* carry = nullptr;       // lstm: c before
  const float* carryNext = nullptr;   // lstm: c after; gru: see CellForward
  int64_t stateRow = 0;
  const float* dSequence = nullptr;  // of the output, or null
  int64_t dSequenceRow = 0;
  const float* dLast = nullptr;  // of the last output, at the last step; or null
  float* dHidden = nullptr;      // in: of hiddenNext. Out: what reaches hidden past U
  float* dCarry = nullptr;       // lstm
  float* dGates = nullptr;       // of x W + b
  float* dRecurrent = nullptr;   // gru: of h U + b; gruResetBefore: of its first two gates
  int64_t dRecurrentRow = 0;
  float* dCandidate = nullptr;    // gruResetBefore: of (r h) U
  const float* dReset = nullptr;  // gruResetBefore, second half: of r h
};

}  // namespace chainrule::cpu
