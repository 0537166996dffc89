#pragma once

// Elementwise programs over few elements, a thread for each. What takes time there is to fetch the instructions of the
// kernel, so that it has as few as can be.

#include "cuda/kernels/island_store.cuh"

namespace chainrule::cuda {

constexpr int kTinyThreads = 128;

DEVICE void islandStoreWord(const IslandOutput& out, int64_t at, uint32_t word) {
  if (out.dtype == DType::bf16) {
    static_cast<uint16_t*>(out.data)[at] = uint16_t(word >> 16);
  } else if (islandBytes(out.dtype)) {
    static_cast<uint8_t*>(out.data)[at] = uint8_t(out.dtype == DType::boolean ? word != 0 : word);
  } else {
    static_cast<uint32_t*>(out.data)[at] = word;
  }
}

// Inputs are read before anything is stored: results may take their place.
KERNEL_BODY __launch_bounds__(kTinyThreads) islandTiny(const __grid_constant__ SmallDeviceIsland island) {
  __shared__ uint32_t scalars[kIslandScalars];
  uint32_t* const registers = dynamicShared<uint32_t>() + threadIdx.x;  // inputs, then what codes keep
  const int64_t element = globalThread();
  const bool inside = element < island.elements;
  for (int k = int(threadIdx.x); k < island.constantCount + island.scalarInputCount; k += kTinyThreads) {
    const int input = k - island.constantCount;
    scalars[k] = input < 0 ? island.constants[k] : islandWord(island.inputs[island.inputCount + input], 0);
  }
#pragma unroll 1
  for (int i = 0; inside && i < island.inputCount; ++i)
    registers[i * kTinyThreads] = islandWord(island.inputs[i], islandOffset(island, i, element));
  syncBlock();

  using One = IslandValue<1, 1>;
  One previous = {};
  int output = 0;
#pragma unroll 1
  for (int k = 0; inside && k < island.codeCount; ++k) {
    const IslandCodeWord code = island.code[k];
    const auto operand = [&](int o) -> One {
      if (o == kIslandPrevious) return previous;
      return {{{{o < kIslandScalar ? registers[o * kTinyThreads] : scalars[o - kIslandScalar]}}}};
    };
    previous = islandStep(code.op, operand(code.a), operand(code.b), operand(code.c));
    const uint32_t word = previous.group[0].word[0];
    if (code.dst != kIslandNoRegister) registers[code.dst * kTinyThreads] = word;
#pragma unroll 1
    for (int left = code.stores; left > 0; --left, ++output) islandStoreWord(island.outputs[output], element, word);
  }
}

}  // namespace chainrule::cuda
