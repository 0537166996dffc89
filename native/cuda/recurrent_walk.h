#pragma once

#include "cuda/recurrent.h"

// Recurrent layers whose U fits one multiprocessor: a block takes a few rows of the batch through all steps and meets
// no other block, since rows do not depend on each other.
namespace chainrule::cuda {

constexpr int kWalkThreads = 256;  // at most: one for two units of a gate, that is two columns of U
constexpr int kWalkHeld = 80;      // rows of its columns that a thread holds in registers, the others in shared memory
constexpr int kWalkGroup = 8;      // depths of products are multiples of it

struct DeviceWalk {
  DeviceCell cell;  // its mask begins at step 0 of x
  int32_t steps = 0, columns = 0;
  int32_t depth = 0;  // units, padded with zeros
  int32_t half = 0;   // units of a gate, shared out to two each
  bool backwards = false;
  const float* weights = nullptr;  // U [units][columns]
  // Floats into shared memory, [row of the block][..] but for the weights, which come
  // first: [(k - kWalkHeld) / 4][the thread's unit][thread][k % 4].
  int32_t staged = 0, stage = 0;  // the first of two stages of what a step reads, and the size of one
  int32_t product = 0;            // forward: h U [columns] of a gru; back: parts of dh [columns]
  int32_t hidden = 0;             // h [depth]; back: dh [units]
  int32_t carry = 0;              // c [units]; back: dc [units]
  int32_t inner = 0;              // gru: r h, or the third gate's h U + b [depth]
  int32_t dGates = 0;             // back: [gates][depth]
  int32_t dRecurrent = 0;         // likewise, of a gru
  int32_t size = 0;

  constexpr int32_t gates() const { return int32_t(gateCount(cell.cell)); }
  constexpr bool isGru() const { return cell.cell == Cell::gru || cell.cell == Cell::gruResetBefore; }
  constexpr int32_t threads() const { return (gates() * half + 31) / 32 * 32; }
};

// Everything that is kept lies [row][time][..] as for the kernels of single steps.
struct DeviceWalkForward : DeviceWalk {
  const float* projected = nullptr;  // x W
  const float *bias = nullptr, *recurrentBias = nullptr;
  const float *hiddenIn = nullptr, *carryIn = nullptr;                      // or null: zeros
  float *keptGates = nullptr, *keptHidden = nullptr, *keptCarry = nullptr;  // or null; keptCarry: of a gru `inner`
  float* sequence = nullptr;                                                // or null
  float *last = nullptr, *hiddenOut = nullptr, *carryOut = nullptr;         // or null
};

struct DeviceWalkBackward : DeviceWalk {
  const float *gatesOf = nullptr, *hiddenOf = nullptr, *carryOf = nullptr;  // what the forward walk kept
  // What arrives, or null.
  const float *dSequence = nullptr, *dLast = nullptr, *hiddenIn = nullptr, *carryIn = nullptr;
  float *dGatesOut = nullptr, *dRecurrentOut = nullptr, *dCandidateOut = nullptr;
  float *hiddenOut = nullptr, *carryOut = nullptr;  // or null
};

}  // namespace chainrule::cuda
