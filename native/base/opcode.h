#pragma once

#include <cstdint>
#include <string_view>

#include "base/dtype.h"

namespace chainrule {

// Opcodes of the elementwise interpreter, generated from the table of primitives: name_f32 and, where the kind allows,
// name_i32.
enum class Opcode : uint8_t {
  none,
#define OPCODES_F(name) name##_f32,
#define OPCODES_N(name) name##_f32, name##_i32,
#define OPCODES_C(name) name##_f32, name##_i32,
#define OPCODES_P(name) name##_f32,
#define OPCODES_B(name) name##_i32,
#define OPCODES_S(name) name##_f32, name##_i32,
#define UNARY(name, kind, forward, ga) OPCODES_##kind(name)
#define BINARY(name, kind, forward, ga, gb) OPCODES_##kind(name)
#define TERNARY(name, kind, forward, ga, gb, gc) OPCODES_##kind(name)
#define CAST(name, from, to, forward) name,
#include "ops/elementwise.def"
#undef OPCODES_F
#undef OPCODES_N
#undef OPCODES_C
#undef OPCODES_P
#undef OPCODES_B
#undef OPCODES_S
  // Several ops in one pass over a tile; a backend introduces them. Every op rounds, so the bits are those of the
  // sequence.
  mulAdd,      // a * b + c
  mulSub,      // a * b - c
  subMul,      // c - a * b
  addMul,      // (a + b) * c
  subThenMul,  // (a - b) * c
  mulDiv,      // a * b / c
  sqrtAdd,     // sqrt(a) + b
  lerp,        // a + (b - a) * c: moving averages, as of optimizers and batch normalization
  lerpSquare,  // a + (b * b - a) * c
  slopeMul,    // geluSlope(a) * b: the way back through gelu
  count,
};

constexpr uint8_t operandCounts[] = {
    0,
#define COUNT_F(n) n,
#define COUNT_N(n) n, n,
#define COUNT_C(n) n, n,
#define COUNT_P(n) n,
#define COUNT_B(n) n,
#define COUNT_S(n) n, n,
#define UNARY(name, kind, forward, ga) COUNT_##kind(1)
#define BINARY(name, kind, forward, ga, gb) COUNT_##kind(2)
#define TERNARY(name, kind, forward, ga, gb, gc) COUNT_##kind(3)
#define CAST(name, from, to, forward) 1,
#include "ops/elementwise.def"
#undef COUNT_F
#undef COUNT_N
#undef COUNT_C
#undef COUNT_P
#undef COUNT_B
#undef COUNT_S
    3, 3, 3, 3, 3, 3, 2, 3, 3, 2,
};
static_assert(sizeof operandCounts == size_t(Opcode::count));
constexpr int operandCount(Opcode op) { return operandCounts[int(op)]; }

// One op for `inner` and the `outer` that reads its result, as its second operand or its first; none if there is none.
constexpr Opcode joined(Opcode inner, Opcode outer, bool second) {
  if (inner == Opcode::mul_f32 && outer == Opcode::add_f32) return Opcode::mulAdd;
  if (inner == Opcode::mul_f32 && outer == Opcode::sub_f32) return second ? Opcode::subMul : Opcode::mulSub;
  if (inner == Opcode::add_f32 && outer == Opcode::mul_f32) return Opcode::addMul;
  if (inner == Opcode::sub_f32 && outer == Opcode::mul_f32) return Opcode::subThenMul;
  if (inner == Opcode::mul_f32 && outer == Opcode::div_f32 && !second) return Opcode::mulDiv;
  if (inner == Opcode::sqrt_f32 && outer == Opcode::add_f32) return Opcode::sqrtAdd;
  return Opcode::none;
}

}  // namespace chainrule
