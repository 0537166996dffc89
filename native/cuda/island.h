#pragma once

#include <cstdint>

#include "base/opcode.h"

// An elementwise program as the interpreter kernel takes it: by value, in the kernel's parameters (4 KiB at most).
namespace chainrule::cuda {

constexpr int kIslandInputs = 24, kIslandConstants = 24, kIslandOutputs = 16, kIslandRank = 8;
constexpr int kIslandCode = 160;
constexpr int kIslandScalars = kIslandInputs + kIslandConstants;
constexpr int kIslandStages = 4;  // tiles at most of which the inputs are under way or being worked on
constexpr int kIslandNear = 4;    // neighbouring elements that a thread handles together

// Operands of a code: registers (those of the inputs first), scalars, the result of the code before.
constexpr uint8_t kIslandScalar = 128, kIslandPrevious = 255;
constexpr uint8_t kIslandNoRegister = 255;  // as dst: nobody but the next code reads it

struct IslandCodeWord {
  Opcode op;
  uint8_t dst, a, b, c;
  uint8_t stores;  // outputs that the result goes to
  uint8_t unused[2] = {};
};
static_assert(sizeof(IslandCodeWord) == 8);

// How element i of the space finds its operand: i; i % period; i / period; by the strides. And how four neighbours
// come: in one copy; in one copy of packed bytes; as words or bytes `step` apart or anywhere.
enum class IslandAccess : uint8_t { same, repeats, stretches, general };
enum class IslandMove : uint8_t { four, packed, words, bytes };

struct IslandInput {
  const void* data;
  int64_t period;
  int32_t step;
  bool together;  // four neighbours are `step` apart
  DType dtype;
  IslandAccess access;
  IslandMove move;
};
struct IslandOutput {
  void* data;
  DType dtype;
  bool wide;  // four neighbours at once
};

template <int inputs_, int constants_, int outputs_, int codes_>
struct DeviceIslandOf {
  static constexpr int inputLimit = inputs_, constantLimit = constants_, outputLimit = outputs_, codeLimit = codes_;
  int64_t elements, tiles;
  int64_t dims[kIslandRank];
  uint8_t rank, inputCount, scalarInputCount, constantCount, codeCount, outputCount;
  uint8_t stages;
  bool packed;                     // some input comes as packed bytes
  IslandInput inputs[inputs_];     // after those that vary come the scalars
  IslandOutput outputs[outputs_];  // in the order in which codes store them
  uint32_t constants[constants_];
  IslandCodeWord code[codes_];
  int32_t strides[inputs_][kIslandRank];
};
using DeviceIsland = DeviceIslandOf<kIslandInputs, kIslandConstants, kIslandOutputs, kIslandCode>;
using SmallDeviceIsland = DeviceIslandOf<8, 12, 6, 32>;

static_assert(sizeof(DeviceIsland) <= 4000);

}  // namespace chainrule::cuda
