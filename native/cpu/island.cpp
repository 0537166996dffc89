#include "cpu/island.h"

#include <algorithm>
#include <numeric>

namespace chainrule::cpu {
namespace {

// What the table of primitives says of an op: its opcodes by lane type.
struct OpRow {
  std::string_view name;
  Opcode f32, i32;
};

#define ROW_F(name) {#name, Opcode::name##_f32, Opcode::none},
#define ROW_N(name) {#name, Opcode::name##_f32, Opcode::name##_i32},
#define ROW_C(name) {#name, Opcode::name##_f32, Opcode::name##_i32},
#define ROW_P(name) {#name, Opcode::name##_f32, Opcode::none},
#define ROW_B(name) {#name, Opcode::none, Opcode::name##_i32},
#define ROW_S(name) {#name, Opcode::name##_f32, Opcode::name##_i32},
#define UNARY(name, kind, forward, ga) ROW_##kind(name)
#define BINARY(name, kind, forward, ga, gb) ROW_##kind(name)
#define TERNARY(name, kind, forward, ga, gb, gc) ROW_##kind(name)
constexpr OpRow opRows[] = {
#include "ops/elementwise.def"
};

uint8_t operand(const Island::Code& code, int i) { return i == 0 ? code.a : i == 1 ? code.b : code.c; }
int operands(const Island::Code& code) { return operandCount(code.op); }

void collapseAxes(Island& island) {
  int rank = 0;
  for (int axis = 0; axis < island.rank; ++axis) {
    if (island.dims[axis] == 1) continue;
    bool joins = rank > 0;
    for (int i = 0; joins && i < island.inputCount; ++i) {
      const int64_t* strides = island.inputs[i].strides;
      joins = strides[rank - 1] == strides[axis] * island.dims[axis];
    }
    const int target = joins ? rank - 1 : rank++;
    island.dims[target] = joins ? island.dims[target] * island.dims[axis] : island.dims[axis];
    for (int i = 0; i < island.inputCount; ++i) island.inputs[i].strides[target] = island.inputs[i].strides[axis];
  }
  if (rank == 0) {
    island.dims[0] = 1;
    for (int i = 0; i < island.inputCount; ++i) island.inputs[i].strides[0] = 0;
    rank = 1;
  }
  island.rank = rank;
  island.elements = 1;
  for (int axis = 0; axis < rank; ++axis) island.elements *= island.dims[axis];
}

// The number of elements after which the input repeats, if it is contiguous up to there; 0 if it is not of this kind.
int64_t periodOf(const Island& island, const IslandInput& input) {
  int64_t size = 1;
  int axis = island.rank - 1;
  for (; axis >= 0 && input.strides[axis] == size; --axis) size *= island.dims[axis];
  for (; axis >= 0; --axis) {
    if (input.strides[axis] != 0) return 0;
  }
  return size;
}

void classifyInputs(Island& island) {
  using Access = Island::Access;
  const int64_t inner = island.dims[island.rank - 1];
  bool expands = false;
  island.tile = kIslandTile;
  for (int i = 0; i < island.inputCount; ++i) {
    const IslandInput& input = island.inputs[i];
    const int64_t period = periodOf(island, input);
    const bool scalar =
        std::all_of(input.strides, input.strides + island.rank, [](int64_t stride) { return stride == 0; });
    island.period[i] = period;
    island.access[i] = scalar                      ? Access::scalar
                       : period == island.elements ? Access::inPlace
                       : period > 0                ? Access::periodic
                                                   : Access::general;
    expands |= island.access[i] == Access::periodic || island.access[i] == Access::general;
    // Tiles of whole periods find the expanded input of the tile before still valid.
    const int64_t common = period > 0 ? std::lcm(period, int64_t(16)) : kIslandTile + 1;
    if (island.access[i] == Access::periodic && island.tile == kIslandTile && common <= kIslandTile) {
      island.tile = kIslandTile / common * common;
    }
  }
  island.rowWise = expands && inner >= kIslandTile;
  if (island.rowWise) island.tile = kIslandTile;
}

// Copies the instructions to code, putting several into one op where the inner ones have no other user.
void joinInstructions(Island& island) {
  const int base = island.inputCount + island.constantCount;
  uint8_t uses[256] = {};
  for (int i = 0; i < island.instructionCount; ++i) {
    const IslandInstruction& in = island.instructions[i];
    island.code[i] = {in.op, uint8_t(base + i), in.a, in.b, in.c};
    for (int k = 0; k < operands(island.code[i]); ++k) {
      uint8_t& count = uses[operand(island.code[i], k)];
      if (count < 2) ++count;
    }
  }
  for (int i = 0; i < island.outputCount; ++i) uses[island.outputs[i].value] = 2;
  bool dropped[kIslandInstructions] = {};
  const auto joinable = [&](int value) { return value >= base && uses[value] == 1 && !dropped[value - base]; };
  for (int i = 0; i < island.instructionCount; ++i) {
    Island::Code& outer = island.code[i];
    for (int k = 0; k < 2 && operands(outer) == 2; ++k) {
      const int value = operand(outer, k);
      if (!joinable(value)) continue;
      const Island::Code inner = island.code[value - base];
      const uint8_t other = operand(outer, 1 - k);
      if (outer.op == Opcode::add_f32 && inner.op == Opcode::subThenMul && inner.b == other) {
        outer = {Opcode::lerp, outer.dst, other, inner.a, inner.c};
        if (joinable(inner.a) && island.code[inner.a - base].op == Opcode::square_f32) {
          outer = {Opcode::lerpSquare, outer.dst, other, island.code[inner.a - base].a, inner.c};
          dropped[inner.a - base] = true;
        }
      } else if (outer.op == Opcode::mul_f32 && inner.op == Opcode::geluSlope_f32) {
        outer = {Opcode::slopeMul, outer.dst, inner.a, other, other};
      } else {
        const Opcode op = joined(inner.op, outer.op, k == 1);
        if (op == Opcode::none) continue;
        outer = {op, outer.dst, inner.a, inner.b, other};
        if (op == Opcode::sqrtAdd) outer.b = other;
      }
      dropped[value - base] = true;
    }
  }
  island.codeCount = 0;
  for (int i = 0; i < island.instructionCount; ++i) {
    if (!dropped[i]) island.code[island.codeCount++] = island.code[i];
  }
  island.registerCount = base + island.instructionCount;
}

// The codes of Adam's step: mean = lerp(..), square = lerpSquare(..), root = sqrtAdd(square, ..), part = mulDiv(mean,
// .., root), next = sub(.., part), where nobody else reads root and part.
bool isAdam(const Island& island, int first) {
  const Island::Code* const c = island.code + first;
  constexpr Opcode ops[] = {Opcode::lerp, Opcode::lerpSquare, Opcode::sqrtAdd, Opcode::mulDiv, Opcode::sub_f32};
  for (int i = 0; i < kAdamCodes; ++i) {
    if (c[i].op != ops[i]) return false;
  }
  const uint8_t mean = c[0].dst, square = c[1].dst, root = c[2].dst, part = c[3].dst;
  if (c[2].a != square || c[3].a != mean || c[3].c != root || c[4].b != part) return false;
  const uint8_t given[] = {c[1].a, c[1].b, c[1].c, c[2].b, c[3].b, c[4].a};
  const auto isGiven = [&](uint8_t value) {
    return std::find(std::begin(given), std::end(given), value) != std::end(given);
  };
  if (isGiven(mean) || isGiven(square) || isGiven(root) || isGiven(part)) return false;
  for (int i = first + kAdamCodes; i < island.codeCount; ++i) {
    for (int k = 0; k < operands(island.code[i]); ++k) {
      if (operand(island.code[i], k) == root || operand(island.code[i], k) == part) return false;
    }
  }
  return std::none_of(island.outputs, island.outputs + island.outputCount,
                      [&](const IslandOutput& output) { return output.value == root || output.value == part; });
}

// Whether the codes from `first` on are those of the pattern, whose results in between nobody else reads unless they
// are stored.
bool isRun(const Island& island, int first, const IslandRunPattern& pattern, IslandRunPlace& place) {
  if (first + pattern.count > island.codeCount) return false;
  const Island::Code* const c = island.code + first;
  int bound[kRunSources];
  std::fill(std::begin(bound), std::end(bound), -1);
  for (int k = 0; k < pattern.count; ++k) {
    if (c[k].op != pattern.codes[k].op) return false;
    for (int i = 0; i < operands(c[k]); ++i) {
      const int wanted = pattern.codes[k].operands[i], given = operand(c[k], i);
      if (wanted < kSource) {
        if (c[wanted].dst != given) return false;
        continue;
      }
      int& source = bound[wanted - kSource];
      if (source >= 0 && source != given) return false;
      source = given;
    }
  }
  for (int s = 0; s < kRunSources && bound[s] >= 0; ++s) {
    for (int k = 0; k < pattern.count; ++k) {
      if (c[k].dst == bound[s]) return false;
    }
    place.sources[s] = uint8_t(bound[s]);
    if (bound[s] < island.inputCount && island.access[bound[s]] == Island::Access::inPlace)
      place.streams |= uint8_t(1 << s);
  }
  for (int k = 0; k < pattern.count; ++k) {
    bool read = std::any_of(island.outputs, island.outputs + island.outputCount,
                            [&](const IslandOutput& output) { return output.value == c[k].dst; });
    for (int i = first + pattern.count; i < island.codeCount; ++i) {
      for (int j = 0; j < operands(island.code[i]); ++j) read |= operand(island.code[i], j) == c[k].dst;
    }
    if (read && c[k].op == Opcode::lessEqual_f32) return false;
    if (read) place.stores |= uint8_t(1 << k);
  }
  return true;
}

void findRuns(Island& island) {
  island.runCount = 0;
  for (int i = 0; i < island.codeCount && island.runCount < kIslandRuns;) {
    int next = i == island.adam ? i + kAdamCodes : i + 1;
    for (int p = 0; p < kRunPatterns && next == i + 1; ++p) {
      IslandRunPlace place;
      if (!isRun(island, i, islandRuns[p], place)) continue;
      place.first = uint8_t(i), place.pattern = uint8_t(p);
      island.runs[island.runCount++] = place;
      next = i + islandRuns[p].count;
    }
    i = next;
  }
}

// Tiles of scratch for the registers; a temporary's tile is free again after its last reader.
void assignTiles(Island& island) {
  const int base = island.inputCount + island.constantCount;
  int lastRead[256];
  std::fill(lastRead, lastRead + 256, -1);
  for (int i = 0; i < island.codeCount; ++i) {
    for (int k = 0; k < operands(island.code[i]); ++k) lastRead[operand(island.code[i], k)] = i;
  }
  for (int i = 0; i < island.outputCount; ++i) {
    const int value = island.outputs[i].value;
    island.outputRegister[i] = uint8_t(value);
    island.outputCode[i] = -1;
    for (int k = 0; k < island.codeCount; ++k) {
      if (island.code[k].dst == value) island.outputCode[i] = int16_t(k);
    }
    island.outputRead[i] = lastRead[value] >= 0;
    lastRead[value] = island.codeCount;  // outputs live to the end
  }
  int tiles = 0;
  for (int i = 0; i < base; ++i) {
    island.tileOf[i] = uint8_t(tiles++);
    if (i < island.inputCount) island.lastRead[i] = uint8_t(lastRead[i] < 0 ? 0 : lastRead[i]);
  }
  uint8_t free[256];
  int freeCount = 0;
  for (int i = 0; i < island.codeCount; ++i) {
    Island::Code& code = island.code[i];
    uint8_t dying[3];
    int dyingCount = 0;
    for (int k = 0; k < operands(code); ++k) {
      const uint8_t value = operand(code, k);
      if (value < base || lastRead[value] != i) continue;
      lastRead[value] = -1;  // once, should it be read twice
      dying[dyingCount++] = island.tileOf[value];
    }
    for (int k = 0; k < dyingCount; ++k) free[freeCount++] = dying[k];
    island.tileOf[code.dst] = freeCount > 0 ? free[--freeCount] : uint8_t(tiles++);
  }
  island.tileCount = tiles;
}

}  // namespace

Opcode opcodeFor(std::string_view name, DType operand) {
  for (const OpRow& row : opRows) {
    if (row.name == name) return operand == DType::f32 ? row.f32 : row.i32;
  }
  return Opcode::none;
}

Opcode castOpcode(DType from, DType to) {
  if (from == to) return Opcode::none;
  if (from == DType::bf16) return castOpcode(DType::f32, to);  // its lanes are floats
  if (from == DType::f32) {
    if (to == DType::boolean) return Opcode::castF32ToBool;
    if (to == DType::bf16) return Opcode::castF32ToBf16;
    if (to == DType::u32) return Opcode::castF32ToU32;
    return Opcode::castF32ToI32;  // a u8 store keeps the low byte
  }
  if (to == DType::f32) return from == DType::u32 ? Opcode::castU32ToF32 : Opcode::castI32ToF32;
  if (to == DType::boolean) return Opcode::castI32ToBool;
  if (to == DType::u8) return from == DType::boolean ? Opcode::none : Opcode::castI32ToU8;
  return Opcode::none;
}

void finishIsland(Island& island) {
  collapseAxes(island);
  classifyInputs(island);
  joinInstructions(island);
  assignTiles(island);
  island.adam = -1;
  for (int i = 0; i + kAdamCodes <= island.codeCount && island.adam < 0; ++i) {
    if (isAdam(island, i)) island.adam = i;
  }
  findRuns(island);
}

int64_t islandScratchBytes(const Island& island) { return int64_t(island.tileCount) * kIslandTile * 4; }

}  // namespace chainrule::cpu
