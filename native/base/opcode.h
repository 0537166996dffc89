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
  count,
};

}  // namespace chainrule
