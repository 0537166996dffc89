#pragma once

#include <cstdint>
#include <iterator>

#include "base/opcode.h"

// Codes of an island that follow each other so often that they run as one loop, in registers: those of batch
// normalization, its gradient and the gate of relu before that. The bits are those of one code after the other.
namespace chainrule::cpu {

constexpr int kRunCodes = 7, kRunSources = 7;

struct IslandRunPattern {
  struct Code {
    Opcode op;
    int8_t operands[3];  // the result of that code of the run, or, from kSource on, a tensor of its own
  };
  int count;
  Code codes[kRunCodes];
};

constexpr int8_t kSource = 16;
constexpr int8_t sourceOf(int i) { return int8_t(kSource + i); }

// Longer ones before those that they begin with.
constexpr IslandRunPattern islandRuns[] = {
    // The gradient g behind relu6((x - mean) * scale + beta), and g * (x - mean).
    {7,
     {{Opcode::sub_f32, {sourceOf(0), sourceOf(1)}},
      {Opcode::mulAdd, {0, sourceOf(2), sourceOf(3)}},
      {Opcode::relu_f32, {1}},
      {Opcode::lessEqual_f32, {2, sourceOf(4)}},
      {Opcode::select_f32, {3, sourceOf(5), sourceOf(6)}},
      {Opcode::whenPositive_f32, {2, 4}},
      {Opcode::mul_f32, {5, 0}}}},
    // The same of relu.
    {5,
     {{Opcode::sub_f32, {sourceOf(0), sourceOf(1)}},
      {Opcode::mulAdd, {0, sourceOf(2), sourceOf(3)}},
      {Opcode::relu_f32, {1}},
      {Opcode::whenPositive_f32, {2, sourceOf(4)}},
      {Opcode::mul_f32, {3, 0}}}},
    // From the gradient g to that of x: g * scale + 2 (x - mean) * ofVariance and two rows.
    {5,
     {{Opcode::sub_f32, {sourceOf(0), sourceOf(1)}},
      {Opcode::addMul, {0, 0, sourceOf(2)}},
      {Opcode::mulAdd, {sourceOf(3), sourceOf(4), 1}},
      {Opcode::add_f32, {2, sourceOf(5)}},
      {Opcode::add_f32, {3, sourceOf(6)}}}},
    // (x - mean) * scale + beta, through relu6, relu or nothing.
    {4,
     {{Opcode::subThenMul, {sourceOf(0), sourceOf(1), sourceOf(2)}},
      {Opcode::add_f32, {0, sourceOf(3)}},
      {Opcode::relu_f32, {1}},
      {Opcode::minimum_f32, {2, sourceOf(4)}}}},
    {3,
     {{Opcode::subThenMul, {sourceOf(0), sourceOf(1), sourceOf(2)}},
      {Opcode::add_f32, {0, sourceOf(3)}},
      {Opcode::relu_f32, {1}}}},
    {2, {{Opcode::subThenMul, {sourceOf(0), sourceOf(1), sourceOf(2)}}, {Opcode::add_f32, {0, sourceOf(3)}}}},
};
constexpr int kRunPatterns = int(std::size(islandRuns));

// Where such a run stands in an island's code.
struct IslandRunPlace {
  uint8_t first = 0, pattern = 0;
  uint8_t sources[kRunSources] = {};  // registers
  uint8_t stores = 0;                 // bit k: the result of code k is read by others
  uint8_t streams = 0;                // bit k: source k is walked in step with the elements
};

}  // namespace chainrule::cpu
