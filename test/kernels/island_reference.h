#pragma once

#include "base/bfloat16.h"
#include "check.h"

namespace check {

union Lane {
  float f;
  int32_t i;
};

// The reference meaning of the exact ops of the random programs.
inline Lane evaluate(Opcode op, Lane a, Lane b, Lane c) {
  Lane y{};
  switch (op) {
    case Opcode::add_f32:
      y.f = a.f + b.f;
      break;
    case Opcode::sub_f32:
      y.f = a.f - b.f;
      break;
    case Opcode::mul_f32:
      y.f = a.f * b.f;
      break;
    case Opcode::neg_f32:
      y.f = -a.f;
      break;
    case Opcode::square_f32:
      y.f = a.f * a.f;
      break;
    case Opcode::maximum_f32:
      y.f = a.f > b.f ? a.f : b.f;
      break;
    case Opcode::minimum_f32:
      y.f = a.f < b.f ? a.f : b.f;
      break;
    case Opcode::whenPositive_f32:
      y.f = a.f > 0 ? b.f : 0;
      break;
    case Opcode::relu_f32:
      y.f = 0 > a.f ? 0 : a.f;
      break;
    case Opcode::less_f32:
      y.i = a.f < b.f;
      break;
    case Opcode::lessEqual_f32:
      y.i = a.f <= b.f;
      break;
    case Opcode::equal_f32:
      y.i = a.f == b.f;
      break;
    case Opcode::castF32ToI32:
      y.i = int32_t(a.f);
      break;
    case Opcode::add_i32:
      y.i = a.i + b.i;
      break;
    case Opcode::mul_i32:
      y.i = int32_t(uint32_t(a.i) * uint32_t(b.i));
      break;
    case Opcode::maximum_i32:
      y.i = a.i > b.i ? a.i : b.i;
      break;
    case Opcode::greaterEqual_i32:
      y.i = a.i >= b.i;
      break;
    case Opcode::castI32ToF32:
      y.f = float(a.i);
      break;
    case Opcode::castI32ToBool:
      y.i = a.i != 0;
      break;
    case Opcode::castI32ToU8:
      y.i = a.i & 255;
      break;
    case Opcode::castF32ToBf16:
      y.f = widenBfloat16(roundToBfloat16(a.f));
      break;
    case Opcode::select_f32:
      y.f = a.i ? b.f : c.f;
      break;
    case Opcode::select_i32:
      y.i = a.i ? b.i : c.i;
      break;
    case Opcode::floorDivide_i32:
      y.i = b.i == 0 ? 0 : int32_t(std::floor(double(a.i) / b.i));
      break;
    default:
      expect(false, "the reference lacks opcode %d", int(op));
  }
  return y;
}

}  // namespace check
