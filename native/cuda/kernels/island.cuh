#pragma once

// The interpreter of elementwise programs. A thread owns four neighbouring elements and keeps their values in its slice
// of shared memory: every op of the table is one case.

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

struct alignas(16) IslandWords {
  uint32_t word[kIslandWide];
};

template <typename Op, typename V>
DEVICE IslandWords islandUnary(const IslandWords& a) {
  IslandWords r;
  for (int i = 0; i < kIslandWide; ++i) r.word[i] = lane::wordOf(Op::run(lane::laneOf<V>(a.word[i])));
  return r;
}
template <typename Op, typename V>
DEVICE IslandWords islandBinary(const IslandWords& a, const IslandWords& b) {
  IslandWords r;
  for (int i = 0; i < kIslandWide; ++i) {
    r.word[i] = lane::wordOf(Op::run(lane::laneOf<V>(a.word[i]), lane::laneOf<V>(b.word[i])));
  }
  return r;
}
template <typename Op, typename V>
DEVICE IslandWords islandTernary(const IslandWords& a, const IslandWords& b, const IslandWords& c) {
  IslandWords r;
  for (int i = 0; i < kIslandWide; ++i) {
    r.word[i] = lane::wordOf(
        Op::run(lane::laneOf<lane::Int>(a.word[i]), lane::laneOf<V>(b.word[i]), lane::laneOf<V>(c.word[i])));
  }
  return r;
}

// `at(r)`: the words of register r.
template <typename At>
DEVICE void islandStep(const DeviceIsland::Code code, At at) {
  const IslandWords a = at(code.a);
  IslandWords result;
  switch (code.op) {
#define CASE(name, type, expression) \
  case Opcode::name##_##type:        \
    result = expression;             \
    break;
#define UNARY_F(name) CASE(name, f32, (islandUnary<lane::name##Op, lane::Float>(a)))
#define UNARY_N(name) UNARY_F(name) CASE(name, i32, (islandUnary<lane::name##Op, lane::Int>(a)))
#define UNARY_P(name) UNARY_F(name)
#define UNARY_B(name) CASE(name, i32, (islandUnary<lane::name##Op, lane::Int>(a)))
#define BINARY_F(name) CASE(name, f32, (islandBinary<lane::name##Op, lane::Float>(a, at(code.b))))
#define BINARY_B(name) CASE(name, i32, (islandBinary<lane::name##Op, lane::Int>(a, at(code.b))))
#define BINARY_N(name) BINARY_F(name) BINARY_B(name)
#define BINARY_C(name) BINARY_N(name)
#define TERNARY_S(name)                                                                    \
  CASE(name, f32, (islandTernary<lane::name##Op, lane::Float>(a, at(code.b), at(code.c)))) \
  CASE(name, i32, (islandTernary<lane::name##Op, lane::Int>(a, at(code.b), at(code.c))))
#define UNARY(name, kind, forward, ga) UNARY_##kind(name)
#define BINARY(name, kind, forward, ga, gb) BINARY_##kind(name)
#define TERNARY(name, kind, forward, ga, gb, gc) TERNARY_##kind(name)
#define CAST_f32(name) islandUnary<lane::name##Op, lane::Float>(a)
#define CAST_i32(name) islandUnary<lane::name##Op, lane::Int>(a)
#define CAST(name, from, to, forward) \
  case Opcode::name:                  \
    result = CAST_##from(name);       \
    break;
#include "ops/elementwise.def"
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
      result = a;
  }
  at(code.dst) = result;
}

DEVICE int64_t islandOffset(const DeviceIsland& island, int input, int64_t i) {
  const DeviceIsland::Input& in = island.inputs[input];
  switch (in.access) {
    case DeviceIsland::Access::same:
      return i;
    case DeviceIsland::Access::scalar:
      return 0;
    case DeviceIsland::Access::repeats:
      return i % in.period;
    case DeviceIsland::Access::stretches:
      return i / in.period;
    default:
      break;
  }
  int64_t offset = 0;
  for (int axis = island.rank - 1; axis >= 0; --axis) {
    const int64_t rest = i / island.dims[axis];
    offset += (i - rest * island.dims[axis]) * island.strides[input][axis];
    i = rest;
  }
  return offset;
}

DEVICE uint32_t islandLoad(const void* data, DType dtype, int64_t i) {
  const bool byte = dtype == DType::u8 || dtype == DType::boolean;
  return byte ? uint32_t(static_cast<const uint8_t*>(data)[i]) : static_cast<const uint32_t*>(data)[i];
}
DEVICE void islandStore(void* data, DType dtype, int64_t i, uint32_t word) {
  if (dtype == DType::u8) {
    static_cast<uint8_t*>(data)[i] = uint8_t(word);
  } else if (dtype == DType::boolean) {
    static_cast<uint8_t*>(data)[i] = word != 0;
  } else {
    static_cast<uint32_t*>(data)[i] = word;
  }
}
DEVICE bool islandWide(const void* data, DType dtype) {
  return dtype != DType::u8 && dtype != DType::boolean && (reinterpret_cast<uintptr_t>(data) & 15) == 0;
}

KERNEL_BODY islandKernel(const __grid_constant__ DeviceIsland island) {
  IslandWords* const registers = dynamicShared<IslandWords>();
  const auto at = [&](int r) -> IslandWords& { return registers[r * int(blockDim.x) + int(threadIdx.x)]; };
  const int64_t first = globalThread() * kIslandWide;
  if (first >= island.elements) return;
  const int64_t left = island.elements - first;
  const int count = left < kIslandWide ? int(left) : kIslandWide;

  for (int input = 0; input < island.inputCount; ++input) {
    const DeviceIsland::Input& in = island.inputs[input];
    IslandWords words;
    if (in.access == DeviceIsland::Access::same && count == kIslandWide && islandWide(in.data, in.dtype)) {
      words = static_cast<const IslandWords*>(in.data)[first / kIslandWide];
    } else {
      for (int i = 0; i < kIslandWide; ++i) {
        words.word[i] = islandLoad(in.data, in.dtype, islandOffset(island, input, first + (i < count ? i : count - 1)));
      }
    }
    at(in.target) = words;
  }
  for (int k = 0; k < island.constantCount; ++k) {
    const uint32_t word = island.constants[k];
    at(island.constantTarget[k]) = {{word, word, word, word}};
  }
  for (int k = 0; k < island.codeCount; ++k) islandStep(island.code[k], at);
  for (int output = 0; output < island.outputCount; ++output) {
    const DeviceIsland::Output& out = island.outputs[output];
    const IslandWords words = at(out.source);
    if (count == kIslandWide && islandWide(out.data, out.dtype)) {
      static_cast<IslandWords*>(out.data)[first / kIslandWide] = words;
    } else {
      for (int i = 0; i < count; ++i) islandStore(out.data, out.dtype, first + i, words.word[i]);
    }
  }
}

}  // namespace chainrule::cuda
