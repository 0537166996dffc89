#pragma once

#include <cstdint>
#include <string_view>

#include "base/opcode.h"
#include "cpu/island_runs.h"

namespace chainrule::cpu {

// `name` applied to lanes of `operand` (the dtype of the data operands: of b and c for select); none if there is no
// such op. u8, boolean and u32 operands use the i32 lanes.
Opcode opcodeFor(std::string_view name, DType operand);
// none means that the lanes already are what `to` stores.
Opcode castOpcode(DType from, DType to);

constexpr int kIslandRank = 8;
constexpr int kIslandInputs = 24;
constexpr int kIslandConstants = 24;
constexpr int kIslandInstructions = 160;
constexpr int kIslandOutputs = 16;
constexpr int kIslandTile = 512;  // elements
constexpr int kAdamCodes = 5;
constexpr int kIslandRuns = 8;

struct IslandInput {
  DType dtype = DType::f32;           // u8 and boolean widen to i32 lanes, bf16 to f32
  int64_t strides[kIslandRank] = {};  // in elements, one per axis of the iteration space; 0 = broadcast
};
struct IslandInstruction {
  Opcode op = Opcode::none;
  uint8_t a = 0, b = 0, c = 0;  // value numbers; unused ones are ignored
};
struct IslandOutput {
  uint8_t value = 0;
  DType dtype = DType::f32;  // u8 keeps the low byte, bf16 the upper half, boolean stores lane != 0
};

// A fused elementwise program over an iteration space. Values are numbered: inputs, then constants, then one per
// instruction. Outputs are contiguous over the space. An output may be the memory of an input with the same
// (contiguous) indexing.
struct Island {
  int rank = 0;
  int64_t dims[kIslandRank] = {};
  int inputCount = 0, constantCount = 0, instructionCount = 0, outputCount = 0;
  IslandInput inputs[kIslandInputs];
  uint32_t constants[kIslandConstants] = {};  // bits of an f32 or i32 lane
  IslandInstruction instructions[kIslandInstructions];
  IslandOutput outputs[kIslandOutputs];

  // What finishIsland derives.
  struct Code {
    Opcode op;
    uint8_t dst, a, b, c;  // registers
  };
  enum class Access : uint8_t { inPlace, scalar, periodic, general };
  int64_t elements = 0;
  int64_t tile = kIslandTile;
  int codeCount = 0, registerCount = 0, tileCount = 0;
  Code code[kIslandInstructions];
  Access access[kIslandInputs];
  int64_t period[kIslandInputs];
  uint8_t lastRead[kIslandInputs];  // index of the last code that reads the input
  uint8_t outputRegister[kIslandOutputs];
  int16_t outputCode[kIslandOutputs];  // the code that writes it, -1 for inputs and constants
  bool outputRead[kIslandOutputs];     // by other codes
  uint8_t tileOf[kIslandInputs + kIslandConstants + kIslandInstructions];
  bool rowWise = false;  // tiles stay within a row of the last axis
  bool streams = false;  // outputs of whole words are too large to stay in cache: lowering sets it
  int runCount = 0;
  IslandRunPlace runs[kIslandRuns];  // in order
  int adam = -1;                     // the first of the five codes that are Adam's step and run as one loop, -1: none
};

// Collapses axes, joins instructions, assigns registers. Call once after filling in; the island is then
// read-only.
void finishIsland(Island& island);
// Bytes of scratch that one member needs to run it (64-byte aligned).
int64_t islandScratchBytes(const Island& island);

}  // namespace chainrule::cpu
