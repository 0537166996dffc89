#pragma once

// Elementwise programs over a space [rows][columns] whose inputs lie as it does, or are a row or a column of it. A
// thread stays with four columns: it reads rows once and divides nothing. What moves with the rows waits in registers,
// the next ones under way; rows and results that are used later are in the thread's slice of shared memory.

#include "cuda/kernels/island_store.cuh"

namespace chainrule::cuda {

constexpr int kRowThreads = 128;

// How threads share the space: thread t has four columns of row t / fours and of every sweep-th after it. Without
// columns, as where all inputs lie as the space does, it has every four that are `sweep` fours apart.
struct IslandSweep {
  int64_t columns;
  int32_t fours, sweep;
};

// Four neighbours of an input, from element `at` on; `count` of them are there.
DEVICE IslandWords islandNeighbours(const IslandInput& in, int64_t at, int64_t count) {
  IslandWords words = {};
  if (count >= kIslandNear && in.move == IslandMove::four) {
    return *reinterpret_cast<const IslandWords*>(static_cast<const uint32_t*>(in.data) + at);
  }
  if (count >= kIslandNear && in.move == IslandMove::packed && in.dtype == DType::bf16) {
    const IslandPairs pairs = *reinterpret_cast<const IslandPairs*>(static_cast<const uint16_t*>(in.data) + at);
    return {{pairs.low << 16, pairs.low & 0xFFFF0000, pairs.high << 16, pairs.high & 0xFFFF0000}};
  }
#pragma unroll
  for (int i = 0; i < kIslandNear; ++i) {
    if (i < count) words.word[i] = islandWord(in, at + i);
  }
  return words;
}

// The first `moving` inputs move with the rows (columns are those that stretch), the others are rows.
template <int moving, int groups>
struct IslandRowThread {
  const SmallDeviceIsland& island;
  IslandWords* slots;
  int64_t at, sweep;  // its first element; elements between groups

  DEVICE_MEMBER IslandWords& slot(int k) const { return slots[k * kRowThreads]; }
  DEVICE_MEMBER void load(IslandValue<groups> (&to)[moving]) const {
#pragma unroll
    for (int i = 0; i < moving; ++i) {
      const IslandInput& in = island.inputs[i];
#pragma unroll
      for (int g = 0; g < groups; ++g) {
        const int64_t from = at + g * sweep;
        if (from >= island.elements) continue;
        to[i].group[g] = in.access == IslandAccess::same ? islandNeighbours(in, from, island.elements - from)
                                                         : islandAll(islandWord(in, divide(from, in.period).quotient));
      }
    }
  }
};

template <int moving, int groups>
DEVICE void islandRows(const SmallDeviceIsland& island, const IslandSweep& by) {
  __shared__ uint32_t scalars[kIslandScalars];
  for (int k = int(threadIdx.x); k < island.constantCount + island.scalarInputCount; k += kRowThreads) {
    const int input = k - island.constantCount;
    scalars[k] = input < 0 ? island.constants[k] : islandWord(island.inputs[island.inputCount + input], 0);
  }
  syncBlock();
  const int64_t thread = globalThread();
  IslandRowThread<moving, groups> own{island, dynamicShared<IslandWords>() + threadIdx.x};
  if (by.columns == 0) {
    own.at = thread * kIslandNear;
    own.sweep = int64_t(by.sweep) * kIslandNear;
    if (thread >= by.sweep) return;
  } else {
    const Quotient place = divide(thread, by.fours);
    own.sweep = by.sweep * by.columns;
    own.at = place.quotient * by.columns + place.rest * kIslandNear;
    if (place.quotient >= by.sweep) return;
    for (int i = moving; i < island.inputCount; ++i)
      own.slot(i - moving) = islandNeighbours(island.inputs[i], place.rest * kIslandNear, kIslandNear);
  }
  const int rows = island.inputCount - moving;
  IslandValue<groups> next[moving] = {};
  own.load(next);
  while (own.at < island.elements) {
    IslandValue<groups> in[moving];
#pragma unroll
    for (int i = 0; i < moving; ++i) in[i] = next[i];
    const int64_t at = own.at;
    own.at += groups * own.sweep;
    own.load(next);
    IslandValue<groups> previous = in[0];
    const auto operand = [&](int o) {
      IslandValue<groups> value = previous;
      if (o == kIslandPrevious) return value;
      if (o < moving) {
        value = in[0];
#pragma unroll
        for (int i = 1; i < moving; ++i) {
          if (o == i) value = in[i];
        }
      } else if (o < kIslandScalar && o >= island.inputCount) {
#pragma unroll
        for (int g = 0; g < groups; ++g) value.group[g] = own.slot(rows + (o - island.inputCount) * groups + g);
      } else {
        const IslandWords words = o < kIslandScalar ? own.slot(o - moving) : islandAll(scalars[o - kIslandScalar]);
#pragma unroll
        for (int g = 0; g < groups; ++g) value.group[g] = words;
      }
      return value;
    };
    int output = 0;
    for (int k = 0; k < island.codeCount; ++k) {
      const IslandCodeWord code = island.code[k];
      const IslandValue<groups> a = operand(code.a);
      IslandValue<groups> b = a, c = a;
      if (code.b != code.a) b = operand(code.b);
      if (code.c != code.a) c = operand(code.c);
      previous = islandStep(code.op, a, b, c);
      if (code.dst != kIslandNoRegister) {
#pragma unroll
        for (int g = 0; g < groups; ++g)
          own.slot(rows + (code.dst - island.inputCount) * groups + g) = previous.group[g];
      }
      for (int left = code.stores; left > 0; --left, ++output) {
#pragma unroll
        for (int g = 0; g < groups; ++g) {
          const int64_t to = at + g * own.sweep;
          if (to < island.elements) islandStore(island.outputs[output], to, island.elements, previous.group[g]);
        }
      }
    }
  }
}

// As many of a thread's fours as the registers hold for six blocks on a multiprocessor.
constexpr int rowGroups(int moving) { return moving < 3 ? 2 : 1; }
constexpr int kRowBlocks = 6, kRowMoving = 4;
#define ISLAND_ROWS(moving)                                                                        \
  KERNEL_BODY __launch_bounds__(kRowThreads, kRowBlocks)                                           \
      islandRows##moving(const __grid_constant__ SmallDeviceIsland island, const IslandSweep by) { \
    islandRows<moving, rowGroups(moving)>(island, by);                                             \
  }
ISLAND_ROWS(1)
ISLAND_ROWS(2)
ISLAND_ROWS(3)
ISLAND_ROWS(4)
#undef ISLAND_ROWS

}  // namespace chainrule::cuda
