#pragma once

// One step of the elementwise interpreter: every op of the table is one case.

#include "cuda/island.h"
#include "cuda/kernels/lane.cuh"

namespace chainrule::cuda {
namespace lane {

#define UNARY(name, kind, forward, ga) \
  struct name##Op {                    \
    template <typename V>              \
    DEVICE auto run(V a) {             \
      return forward;                  \
    }                                  \
  };
#define BINARY(name, kind, forward, ga, gb) \
  struct name##Op {                         \
    template <typename V>                   \
    DEVICE auto run(V a, V b) {             \
      return forward;                       \
    }                                       \
  };
#define TERNARY(name, kind, forward, ga, gb, gc) \
  struct name##Op {                              \
    template <typename C, typename V>            \
    DEVICE auto run(C a, V b, V c) {             \
      return forward;                            \
    }                                            \
  };
#define CAST(name, from, to, forward) UNARY(name, from, forward, NONE)
#include "ops/elementwise.def"

// Several ops in one; every op rounds.
struct mulAddOp {
  DEVICE Float run(Float a, Float b, Float c) { return a * b + c; }
};
struct mulSubOp {
  DEVICE Float run(Float a, Float b, Float c) { return a * b - c; }
};
struct subMulOp {
  DEVICE Float run(Float a, Float b, Float c) { return c - a * b; }
};
struct addMulOp {
  DEVICE Float run(Float a, Float b, Float c) { return (a + b) * c; }
};
struct subThenMulOp {
  DEVICE Float run(Float a, Float b, Float c) { return (a - b) * c; }
};
struct mulDivOp {
  DEVICE Float run(Float a, Float b, Float c) { return a * b / c; }
};
struct sqrtAddOp {
  DEVICE Float run(Float a, Float b) { return sqrt(a) + b; }
};
struct lerpOp {
  DEVICE Float run(Float a, Float b, Float c) { return a + (b - a) * c; }
};
struct lerpSquareOp {
  DEVICE Float run(Float a, Float b, Float c) { return a + (b * b - a) * c; }
};

DEVICE uint32_t wordOf(Float a) { return __builtin_bit_cast(uint32_t, a.v); }
DEVICE uint32_t wordOf(Int a) { return uint32_t(a.v); }
DEVICE uint32_t wordOf(Mask a) { return a.v ? 1u : 0u; }
template <typename V>
DEVICE V laneOf(uint32_t word) {
  V lane;
  lane.v = __builtin_bit_cast(decltype(lane.v), word);
  return lane;
}

}  // namespace lane

// What a thread holds of a value: `groups` times `near` neighbours.
template <int near>
struct alignas(4 * near) IslandWordsOf {
  uint32_t word[near];
};
using IslandWords = IslandWordsOf<kIslandNear>;
template <int groups, int near = kIslandNear>
struct IslandValue {
  IslandWordsOf<near> group[groups];
};

template <typename Op, typename V, int groups, int near>
DEVICE IslandValue<groups, near> islandUnary(const IslandValue<groups, near>& a) {
  IslandValue<groups, near> r;
#pragma unroll
  for (int g = 0; g < groups; ++g) {
#pragma unroll
    for (int i = 0; i < near; ++i) {
      r.group[g].word[i] = lane::wordOf(Op::run(lane::laneOf<V>(a.group[g].word[i])));
    }
  }
  return r;
}
template <typename Op, typename V, int groups, int near>
DEVICE IslandValue<groups, near> islandBinary(const IslandValue<groups, near>& a, const IslandValue<groups, near>& b) {
  IslandValue<groups, near> r;
#pragma unroll
  for (int g = 0; g < groups; ++g) {
#pragma unroll
    for (int i = 0; i < near; ++i) {
      r.group[g].word[i] =
          lane::wordOf(Op::run(lane::laneOf<V>(a.group[g].word[i]), lane::laneOf<V>(b.group[g].word[i])));
    }
  }
  return r;
}
template <typename Op, typename A, typename V, int groups, int near>
DEVICE IslandValue<groups, near> islandTernary(const IslandValue<groups, near>& a, const IslandValue<groups, near>& b,
                                               const IslandValue<groups, near>& c) {
  IslandValue<groups, near> r;
#pragma unroll
  for (int g = 0; g < groups; ++g) {
#pragma unroll
    for (int i = 0; i < near; ++i) {
      r.group[g].word[i] =
          lane::wordOf(Op::run(lane::laneOf<A>(a.group[g].word[i]), lane::laneOf<V>(b.group[g].word[i]),
                               lane::laneOf<V>(c.group[g].word[i])));
    }
  }
  return r;
}

template <int groups, int near>
DEVICE IslandValue<groups, near> islandStep(Opcode op, const IslandValue<groups, near>& a,
                                            const IslandValue<groups, near>& b, const IslandValue<groups, near>& c) {
  switch (op) {
#define CASE(name, type, expression) \
  case Opcode::name##_##type:        \
    return expression;
#define UNARY_F(name) CASE(name, f32, (islandUnary<lane::name##Op, lane::Float>(a)))
#define UNARY_N(name) UNARY_F(name) CASE(name, i32, (islandUnary<lane::name##Op, lane::Int>(a)))
#define UNARY_P(name) UNARY_F(name)
#define UNARY_B(name) CASE(name, i32, (islandUnary<lane::name##Op, lane::Int>(a)))
#define BINARY_F(name) CASE(name, f32, (islandBinary<lane::name##Op, lane::Float>(a, b)))
#define BINARY_B(name) CASE(name, i32, (islandBinary<lane::name##Op, lane::Int>(a, b)))
#define BINARY_N(name) BINARY_F(name) BINARY_B(name)
#define BINARY_C(name) BINARY_N(name)
#define TERNARY_S(name)                                                             \
  CASE(name, f32, (islandTernary<lane::name##Op, lane::Int, lane::Float>(a, b, c))) \
  CASE(name, i32, (islandTernary<lane::name##Op, lane::Int, lane::Int>(a, b, c)))
#define UNARY(name, kind, forward, ga) UNARY_##kind(name)
#define BINARY(name, kind, forward, ga, gb) BINARY_##kind(name)
#define TERNARY(name, kind, forward, ga, gb, gc) TERNARY_##kind(name)
#define CAST_f32(name) islandUnary<lane::name##Op, lane::Float>(a)
#define CAST_i32(name) islandUnary<lane::name##Op, lane::Int>(a)
#define CAST(name, from, to, forward) \
  case Opcode::name:                  \
    return CAST_##from(name);
#include "ops/elementwise.def"
#define JOINED(name) \
  case Opcode::name: \
    return islandTernary<lane::name##Op, lane::Float, lane::Float>(a, b, c);
    JOINED(mulAdd)
    JOINED(mulSub)
    JOINED(subMul)
    JOINED(addMul)
    JOINED(subThenMul)
    JOINED(mulDiv)
    JOINED(lerp)
    JOINED(lerpSquare)
#undef JOINED
    case Opcode::sqrtAdd:
      return islandBinary<lane::sqrtAddOp, lane::Float>(a, b);
#undef CASE
#undef UNARY_F
#undef UNARY_N
#undef UNARY_P
#undef UNARY_B
#undef BINARY_F
#undef BINARY_B
#undef BINARY_N
#undef BINARY_C
#undef TERNARY_S
#undef CAST_f32
#undef CAST_i32
    default:
      return a;
  }
}

}  // namespace chainrule::cuda
