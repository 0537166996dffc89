#pragma once

// Elementwise programs over inputs of whole words that lie as the space does, all in registers: as much of memory is
// under way as there are threads.

#include "cuda/kernels/island_store.cuh"

namespace chainrule::cuda {

constexpr int kChainThreads = 128, kChainGroups = 2, kAdamGroups = 1;

// A thread's four neighbours of group g; those of a warp are neighbours too.
template <int groups>
DEVICE int64_t islandFirst(int g) {
  return ((int64_t(blockIdx.x) * groups + g) * blockDim.x + threadIdx.x) * kIslandNear;
}
DEVICE IslandWords islandLoad(const SmallDeviceIsland& island, int input, int64_t first) {
  const uint32_t* const from = static_cast<const uint32_t*>(island.inputs[input].data) + first;
  if (first + kIslandNear <= island.elements) return *reinterpret_cast<const IslandWords*>(from);
  IslandWords words = {};
  for (int k = 0; k < kIslandNear; ++k) {
    if (first + k < island.elements) words.word[k] = from[k];
  }
  return words;
}
// `operand` of a code, from kIslandScalar on.
DEVICE uint32_t islandScalar(const SmallDeviceIsland& island, int inputs, int operand) {
  const int k = operand - kIslandScalar;
  return k < island.constantCount
             ? island.constants[k]
             : *static_cast<const uint32_t*>(island.inputs[inputs + k - island.constantCount].data);
}

// Codes each of which reads the result of the one before, inputs and scalars. A thread has `groups` times four
// neighbours.
template <int inputs, int groups>
DEVICE void islandChain(const SmallDeviceIsland& island) {
  int64_t first[groups];
  IslandValue<groups> in[inputs];
#pragma unroll
  for (int g = 0; g < groups; ++g) first[g] = islandFirst<groups>(g);
#pragma unroll
  for (int i = 0; i < inputs; ++i) {
#pragma unroll
    for (int g = 0; g < groups; ++g) in[i].group[g] = islandLoad(island, i, first[g]);
  }
  IslandValue<groups> previous = in[0];
  const auto operand = [&](int o) {
    if (o == kIslandPrevious) return previous;
    IslandValue<groups> value = in[0];
    if (o >= kIslandScalar) {
      const IslandWords words = islandAll(islandScalar(island, inputs, o));
#pragma unroll
      for (int g = 0; g < groups; ++g) value.group[g] = words;
    } else {
#pragma unroll
      for (int i = 1; i < inputs; ++i) {
        if (o == i) value = in[i];
      }
    }
    return value;
  };
  for (int k = 0; k < island.codeCount; ++k) {
    const IslandCodeWord code = island.code[k];
    const IslandValue<groups> a = operand(code.a);
    IslandValue<groups> b = a, c = a;
    if (code.b != code.a) b = operand(code.b);
    if (code.c != code.a) c = operand(code.c);
    previous = islandStep(code.op, a, b, c);
  }
#pragma unroll
  for (int g = 0; g < groups; ++g) {
    if (first[g] < island.elements) islandStore(island.outputs[0], first[g], island.elements, previous.group[g]);
  }
}

// The five codes of Adam's step (ops/island.cpp, isAdam): new mean, new square and new weights of four inputs.
template <int groups>
DEVICE void islandAdamStep(const SmallDeviceIsland& island) {
  using namespace lane;
  const IslandCodeWord* const code = island.code;
  const auto scalar = [&](int operand) { return laneOf<Float>(islandScalar(island, 4, operand)); };
  const Float meanShare = scalar(code[0].c), squareShare = scalar(code[1].c), epsilon = scalar(code[2].b),
              rate = scalar(code[3].b);
  IslandWords m[groups], g[groups], v[groups], w[groups];
#pragma unroll
  for (int k = 0; k < groups; ++k) {
    const int64_t first = islandFirst<groups>(k);
    m[k] = islandLoad(island, code[0].a, first);
    g[k] = islandLoad(island, code[0].b, first);
    v[k] = islandLoad(island, code[1].a, first);
    w[k] = islandLoad(island, code[4].a, first);
  }
#pragma unroll
  for (int k = 0; k < groups; ++k) {
#pragma unroll
    for (int i = 0; i < kIslandNear; ++i) {
      const auto of = [&](const IslandWords& words) { return laneOf<Float>(words.word[i]); };
      const Float mean = lerpOp::run(of(m[k]), of(g[k]), meanShare);
      const Float square = lerpSquareOp::run(of(v[k]), of(g[k]), squareShare);
      const Float part = mulDivOp::run(mean, rate, sqrtAddOp::run(square, epsilon));
      w[k].word[i] = wordOf(subOp::run(of(w[k]), part));
      m[k].word[i] = wordOf(mean);
      v[k].word[i] = wordOf(square);
    }
    const int64_t first = islandFirst<groups>(k);
    if (first >= island.elements) continue;
    islandStore(island.outputs[0], first, island.elements, m[k]);
    islandStore(island.outputs[1], first, island.elements, v[k]);
    islandStore(island.outputs[2], first, island.elements, w[k]);
  }
}

KERNEL_BODY __launch_bounds__(kChainThreads, 9) islandChain1(const __grid_constant__ SmallDeviceIsland island) {
  islandChain<1, kChainGroups>(island);
}
KERNEL_BODY __launch_bounds__(kChainThreads, 8) islandChain2(const __grid_constant__ SmallDeviceIsland island) {
  islandChain<2, kChainGroups>(island);
}
KERNEL_BODY __launch_bounds__(kChainThreads, 6) islandChain3(const __grid_constant__ SmallDeviceIsland island) {
  islandChain<3, kChainGroups>(island);
}
KERNEL_BODY __launch_bounds__(kChainThreads, 8) islandAdam(const __grid_constant__ SmallDeviceIsland island) {
  islandAdamStep<kAdamGroups>(island);
}

}  // namespace chainrule::cuda
