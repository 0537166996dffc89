#pragma once

#include <bit>
#include <limits>
#include <span>

#include "plan/backend.h"
#include "plan/island.h"

namespace chainrule {

// A program whose first input is the op's result, taken apart: + bias over the last axis and, where it follows, relu
// go into the op's kernel; `rest` is what is left, with the kernel's result in place of the op's.
struct EpilogueParts {
  int biasInput = -1;  // among the inputs that aren't constants
  bool relu = false;
  IslandCode rest;
};

inline bool reads(const IslandCode::Instruction& step, size_t value) {
  return step.a == value || step.b == value || step.c == value;
}

// The only instruction that reads a value which is no output, or -1.
inline int onlyReader(const IslandCode& code, size_t value) {
  int reader = -1;
  for (const auto& output : code.outputs) {
    if (output.value == value) return -1;
  }
  for (size_t i = 0; i < code.instructions.size(); ++i) {
    if (!reads(code.instructions[i], value)) continue;
    if (reader >= 0) return -1;
    reader = int(i);
  }
  return reader;
}

// halves: the bias may be bfloat16.
inline EpilogueParts takeApart(const IslandCode& code, std::span<const TensorType> in, const Dims& out,
                               bool halves = false) {
  EpilogueParts parts;
  parts.rest = code;
  const size_t inputs = code.inputs.size();
  const int sum = onlyReader(code, 0);
  if (sum < 0) return parts;
  const IslandCode::Instruction& add = code.instructions[size_t(sum)];
  const size_t bias = add.a == 0 ? add.b : add.a;
  if (add.name != "add" || bias == 0 || bias >= inputs || code.inputs[bias].constant || onlyReader(code, bias) != sum)
    return parts;
  int bound = 0;
  for (size_t i = 0; i < bias; ++i) bound += !code.inputs[i].constant;
  const TensorType& type = in[size_t(bound)];
  const bool narrow = halves && type.dtype == DType::bf16;
  if (!(narrow || type.dtype == DType::f32) || type.dims.size() != 1 || type.dims[0] != out.back()) return parts;
  parts.biasInput = bound;

  size_t result = inputs + size_t(sum);
  const int next = onlyReader(code, result);
  parts.relu = next >= 0 && code.instructions[size_t(next)].name == "relu";
  if (parts.relu) result = inputs + size_t(next);

  parts.rest = {};
  std::vector<uint16_t> number(inputs + code.instructions.size(), 0);  // what went into the kernel is its result, 0
  for (size_t i = 0; i < inputs; ++i) {
    if (i == bias) continue;
    number[i] = uint16_t(parts.rest.inputs.size());
    parts.rest.inputs.push_back(code.inputs[i]);
  }
  for (size_t i = 0; i < code.instructions.size(); ++i) {
    if (int(i) == sum || (parts.relu && int(i) == next)) continue;
    const IslandCode::Instruction& step = code.instructions[i];
    number[inputs + i] = uint16_t(parts.rest.inputs.size() + parts.rest.instructions.size());
    parts.rest.instructions.push_back({step.opcode, step.name, number[step.a], number[step.b], number[step.c]});
  }
  for (const auto& output : code.outputs) parts.rest.outputs.push_back({number[output.value], output.dtype});
  parts.rest.space = code.space;
  return parts;
}

// The instruction that reads the result first goes away, and so does its operand `input`: the kernel did it.
inline void takeFirst(IslandCode& rest, int first, int input = -1) {
  const size_t inputs = rest.inputs.size(), result = inputs + size_t(first);
  const auto number = [&](uint16_t value) {
    if (value == result) return uint16_t(0);
    return uint16_t(value - (value > result) - (input >= 0 && value > input));
  };
  rest.instructions.erase(rest.instructions.begin() + first);
  for (auto& other : rest.instructions) other.a = number(other.a), other.b = number(other.b), other.c = number(other.c);
  for (auto& output : rest.outputs) output.value = number(output.value);
  if (input >= 0) rest.inputs.erase(rest.inputs.begin() + input);
}

// The number that the result of relu is at most, as in relu6, where that comes next: taken out of the rest.
inline float takeCeiling(EpilogueParts& parts) {
  IslandCode& rest = parts.rest;
  const float none = std::numeric_limits<float>::infinity();
  const int first = parts.relu ? onlyReader(rest, 0) : -1;
  if (first < 0) return none;
  const IslandCode::Instruction step = rest.instructions[size_t(first)];
  const size_t limit = step.a == 0 ? step.b : step.a, inputs = rest.inputs.size();
  if (step.name != "minimum" || limit == 0 || limit >= inputs || !rest.inputs[limit].constant) return none;
  const float ceiling = std::bit_cast<float>(rest.inputs[limit].bits);
  if (!(ceiling > 0)) return none;  // of two zeros the one that minimum takes
  takeFirst(rest, first);
  return ceiling;
}

// An operand of the result's own shape that comes next in the program: a sum, or the gate of whenPositive.
struct EpilogueOperand {
  int input = -1;  // among the inputs that aren't constants
  bool adds = false;
};
// halves: it may be bfloat16.
inline EpilogueOperand takeOperand(IslandCode& rest, std::span<const TensorType> in, const Dims& out,
                                   bool halves = false) {
  const int first = onlyReader(rest, 0);
  if (first < 0) return {};
  const IslandCode::Instruction step = rest.instructions[size_t(first)];
  const size_t operand = step.a == 0 ? step.b : step.a;
  const bool adds = step.name == "add";
  if (!adds && !(step.name == "whenPositive" && step.b == 0)) return {};
  if (operand == 0 || operand >= rest.inputs.size() || rest.inputs[operand].constant) return {};
  if (onlyReader(rest, operand) != first) return {};
  int bound = 0;
  for (size_t i = 0; i < operand; ++i) bound += !rest.inputs[i].constant;
  const TensorType& type = in[size_t(bound)];
  if (!(type.dtype == DType::f32 || (halves && type.dtype == DType::bf16)) || type.dims != out) return {};
  takeFirst(rest, first, int(operand));
  return {bound, adds};
}
inline bool takeRelu(IslandCode& rest) {
  const int first = onlyReader(rest, 0);
  if (first < 0 || rest.instructions[size_t(first)].name != "relu") return false;
  takeFirst(rest, first);
  return true;
}

}  // namespace chainrule
