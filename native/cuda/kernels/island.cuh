#pragma once

// The interpreter of elementwise programs. A block walks over tiles of the space; a thread keeps its elements of the
// inputs, and results that aren't used at once, in its slice of shared memory. Inputs of the next tiles come while it
// computes one.

#include "cuda/kernels/island_store.cuh"

namespace chainrule::cuda {

// Asks for an input's elements from `first` on.
template <typename Island>
DEVICE void islandRequest(const Island& island, int input, IslandWords& to, int64_t first) {
  const IslandInput& in = island.inputs[input];
  const uint32_t* const words = static_cast<const uint32_t*>(in.data);
  const uint8_t* const bytes = static_cast<const uint8_t*>(in.data);
  const bool whole = first + kIslandNear <= island.elements;
  if (whole && in.move == IslandMove::four) {
    copyAsync<16>(&to, words + islandOffset(island, input, first), true);
    return;
  }
  if (whole && in.move == IslandMove::packed) {
    const int64_t offset = islandOffset(island, input, first);
    if (in.dtype == DType::bf16) {
      copyAsync<8>(&to, bytes + 2 * offset);
    } else {
      copyAsync<4>(&to, bytes + offset);
    }
    return;
  }
  int64_t offset[kIslandNear];
  if (whole && in.together) {
    offset[0] = islandOffset(island, input, first);
#pragma unroll
    for (int i = 1; i < kIslandNear; ++i) offset[i] = offset[i - 1] + in.step;
  } else {
#pragma unroll
    for (int i = 0; i < kIslandNear; ++i) {
      offset[i] = islandOffset(island, input, first + i < island.elements ? first + i : island.elements - 1);
    }
  }
  if (in.dtype == DType::bf16) {
#pragma unroll
    for (int i = 0; i < kIslandNear; ++i) to.word[i] = islandHalf(in.data, offset[i]);
    if (in.move == IslandMove::packed) to = {{islandPair(to.word), islandPair(to.word + 2)}};
    return;
  }
  if (!islandBytes(in.dtype)) {
#pragma unroll
    for (int i = 0; i < kIslandNear; ++i) copyAsync<4>(&to.word[i], words + offset[i]);
    return;
  }
  IslandWords values;
#pragma unroll
  for (int i = 0; i < kIslandNear; ++i) values.word[i] = bytes[offset[i]];
  if (in.move == IslandMove::packed) {
    values.word[0] |= values.word[1] << 8 | values.word[2] << 16 | values.word[3] << 24;
  }
  to = values;
}

DEVICE void islandUnpack(IslandWords& words, DType dtype) {
  if (dtype == DType::bf16) {
    const uint32_t low = words.word[0], high = words.word[1];
    words = {{low << 16, low & 0xFFFF0000, high << 16, high & 0xFFFF0000}};
    return;
  }
  const uint32_t bytes = words.word[0];
  words = {{bytes & 255, bytes >> 8 & 255, bytes >> 16 & 255, bytes >> 24}};
}

// The registers of a thread: its four neighbours of group g in a tile are at first(tile, g); those of a warp are
// neighbours too. Methods, not lambdas, which the compiler need not inline: then all they capture lies in memory.
template <int groups, typename Island>
struct IslandThread {
  const Island& island;
  IslandWords* registers;
  const uint32_t* scalars;

  DEVICE_MEMBER IslandWords& at(int r, int g) const { return registers[(r * groups + g) * int(blockDim.x)]; }
  DEVICE_MEMBER int64_t first(int64_t tile, int g) const {
    return ((tile * groups + g) * int(blockDim.x) + int(threadIdx.x)) * kIslandNear;
  }
  DEVICE_MEMBER void request(int64_t tile, int stage) const {
    const int64_t begin = first(tile, 0);
    if (tile < island.tiles && begin < island.elements) {
      for (int input = 0; input < island.inputCount; ++input) {
#pragma unroll
        for (int g = 0; g < groups; ++g) {
          const int64_t own = first(tile, g);  // beyond the end anything goes
          islandRequest(island, input, at(stage * island.inputCount + input, g), own < island.elements ? own : begin);
        }
      }
    }
    commitCopies();
  }
  // Registers of inputs are `shift` behind their numbers, the others `behind`.
  DEVICE_MEMBER IslandValue<groups> operand(int o, const IslandValue<groups>& previous, int shift, int behind) const {
    IslandValue<groups> value = previous;
    if (o < kIslandScalar) {
      const int r = o + (o < island.inputCount ? shift : behind);
#pragma unroll
      for (int g = 0; g < groups; ++g) value.group[g] = at(r, g);
    } else if (o != kIslandPrevious) {
      const IslandWords words = islandAll(scalars[o - kIslandScalar]);
#pragma unroll
      for (int g = 0; g < groups; ++g) value.group[g] = words;
    }
    return value;
  }
};

template <int groups, typename Island>
DEVICE void islandRun(const Island& island) {
  __shared__ uint32_t scalars[kIslandScalars];
  const IslandThread<groups, Island> own{island, dynamicShared<IslandWords>() + threadIdx.x, scalars};
  const int inputs = island.inputCount, stages = island.stages;
  for (int k = int(threadIdx.x); k < island.constantCount + island.scalarInputCount; k += int(blockDim.x)) {
    const int input = k - island.constantCount;
    scalars[k] = input < 0 ? island.constants[k] : islandWord(island.inputs[inputs + input], 0);
  }
  for (int stage = 0; stage < stages - 1; ++stage) own.request(blockIdx.x + int64_t(stage) * gridDim.x, stage);
  syncBlock();

  int stage = 0;
  for (int64_t tile = blockIdx.x; tile < island.tiles; tile += gridDim.x) {
    own.request(tile + int64_t(stages - 1) * gridDim.x, stage == 0 ? stages - 1 : stage - 1);
    switch (stages) {
      case 1:
        waitCopies<0>();
        break;
      case 2:
        waitCopies<1>();
        break;
      case 3:
        waitCopies<2>();
        break;
      default:
        waitCopies<3>();
    }
    if (own.first(tile, 0) >= island.elements) break;
    const int shift = stage * inputs, behind = (stages - 1) * inputs;
    if (island.packed) {
      for (int input = 0; input < inputs; ++input) {
        if (island.inputs[input].move != IslandMove::packed) continue;
#pragma unroll
        for (int g = 0; g < groups; ++g) islandUnpack(own.at(shift + input, g), island.inputs[input].dtype);
      }
    }
    IslandValue<groups> previous = {};
    int output = 0;
    for (int k = 0; k < island.codeCount; ++k) {
      const IslandCodeWord code = island.code[k];
      const IslandValue<groups> a = own.operand(code.a, previous, shift, behind),
                                b = own.operand(code.b, previous, shift, behind),
                                c = own.operand(code.c, previous, shift, behind);
      previous = islandStep(code.op, a, b, c);
      if (code.dst != kIslandNoRegister) {
#pragma unroll
        for (int g = 0; g < groups; ++g) own.at(code.dst + behind, g) = previous.group[g];
      }
      for (int left = code.stores; left > 0; --left, ++output) {
#pragma unroll
        for (int g = 0; g < groups; ++g) {
          islandStore(island.outputs[output], own.first(tile, g), island.elements, previous.group[g]);
        }
      }
    }
    stage = stage + 1 == stages ? 0 : stage + 1;
  }
}

KERNEL_BODY __launch_bounds__(128, 8) islandLarge(const __grid_constant__ DeviceIsland island) { islandRun<1>(island); }
KERNEL_BODY __launch_bounds__(128, 8) islandSmall(const __grid_constant__ SmallDeviceIsland island) {
  islandRun<1>(island);
}
KERNEL_BODY __launch_bounds__(128, 6) islandWide(const __grid_constant__ SmallDeviceIsland island) {
  islandRun<2>(island);
}

}  // namespace chainrule::cuda
