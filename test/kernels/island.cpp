#include <memory>

#include "base/bfloat16.h"
#include "check.h"
#include "island_reference.h"

// Random elementwise programs over random strided operands, against an element-by-element evaluation.
using namespace check;

namespace {

struct Pick {
  Opcode op;
  const char* types;  // of the operands, then the result
};
constexpr Pick picks[] = {
    {Opcode::add_f32, "fff"},          {Opcode::sub_f32, "fff"},      {Opcode::mul_f32, "fff"},
    {Opcode::mul_f32, "fff"},          {Opcode::add_f32, "fff"},      {Opcode::neg_f32, "ff"},
    {Opcode::square_f32, "ff"},        {Opcode::maximum_f32, "fff"},  {Opcode::minimum_f32, "fff"},
    {Opcode::whenPositive_f32, "fff"}, {Opcode::relu_f32, "ff"},      {Opcode::less_f32, "ffi"},
    {Opcode::equal_f32, "ffi"},        {Opcode::castF32ToI32, "fi"},  {Opcode::add_i32, "iii"},
    {Opcode::mul_i32, "iii"},          {Opcode::maximum_i32, "iii"},  {Opcode::greaterEqual_i32, "iii"},
    {Opcode::castI32ToF32, "if"},      {Opcode::castI32ToBool, "ii"}, {Opcode::castI32ToU8, "ii"},
    {Opcode::select_f32, "ifff"},      {Opcode::select_i32, "iiii"},  {Opcode::floorDivide_i32, "iii"},
    {Opcode::sub_f32, "fff"},          {Opcode::castF32ToBf16, "ff"},
};

struct Program {
  Island island;
  std::vector<char> types;                   // f or i per value
  std::vector<std::vector<uint8_t>> memory;  // of inputs
  std::vector<int> aliases;                  // output -> the input that it overwrites, or -1
};

void randomSpace(Island& island) {
  island.rank = int(pick(0, 4));
  int64_t total = 1;
  for (int axis = 0; axis < island.rank; ++axis) {
    const int64_t options[] = {size(), pick(1, 4), pick(500, 1200), pick(1, 70)};
    island.dims[axis] = options[pick(0, 3)];
    if (total * island.dims[axis] > 20000) island.dims[axis] = 1;
    total *= island.dims[axis];
  }
}

void randomInput(Program& program, IslandInput& input) {
  Island& island = program.island;
  const DType dtypes[] = {DType::f32, DType::f32, DType::f32, DType::i32, DType::u8, DType::boolean, DType::bf16};
  input.dtype = dtypes[pick(0, 6)];
  // Broadcast some axes; now and then permute or pad the rest.
  const int style = int(pick(0, 5));
  int64_t stride = 1, span = 1;
  int order[kIslandRank];
  for (int axis = 0; axis < island.rank; ++axis) order[axis] = axis;
  if (style == 5) {
    for (int axis = island.rank - 1; axis > 0; --axis) std::swap(order[axis], order[pick(0, axis)]);
  }
  for (int k = island.rank - 1; k >= 0; --k) {
    const int axis = order[k];
    const bool broadcast = style == 1 || (style >= 2 && pick(0, 1));
    input.strides[axis] = broadcast ? 0 : stride;
    if (broadcast) continue;
    span += stride * (island.dims[axis] - 1);
    stride *= island.dims[axis] + (style == 4 ? pick(0, 1) : 0);
  }
  const int64_t bytes = byteSize(input.dtype);
  std::vector<uint8_t> memory(size_t(span * bytes));
  for (int64_t i = 0; i < span; ++i) {
    if (input.dtype == DType::f32) {
      const float v = uniform(-3, 3);
      std::memcpy(&memory[i * 4], &v, 4);
    } else if (input.dtype == DType::bf16) {
      const uint16_t v = roundToBfloat16(uniform(-3, 3));
      std::memcpy(&memory[i * 2], &v, 2);
    } else if (input.dtype == DType::i32) {
      const int32_t v = int32_t(pick(-9, 9));
      std::memcpy(&memory[i * 4], &v, 4);
    } else {
      memory[i] = uint8_t(input.dtype == DType::u8 ? pick(0, 255) : pick(0, 1));
    }
  }
  program.memory.push_back(std::move(memory));
}

Program randomProgram() {
  Program program;
  Island& island = program.island;
  randomSpace(island);
  island.inputCount = int(pick(1, 5));
  for (int i = 0; i < island.inputCount; ++i) {
    randomInput(program, island.inputs[i]);
    const DType dtype = island.inputs[i].dtype;
    program.types.push_back(dtype == DType::f32 || dtype == DType::bf16 ? 'f' : 'i');
  }
  island.constantCount = int(pick(1, 3));
  for (int i = 0; i < island.constantCount; ++i) {
    Lane lane;
    if (pick(0, 1))
      lane.f = uniform(-2, 2), program.types.push_back('f');
    else
      lane.i = int32_t(pick(-3, 3)), program.types.push_back('i');
    island.constants[i] = uint32_t(lane.i);
  }
  const int wanted = int(pick(1, 12));
  for (int tries = 0; tries < 400 && island.instructionCount < wanted; ++tries) {
    const Pick& p = picks[pick(0, int64_t(std::size(picks)) - 1)];
    const int operands = int(std::strlen(p.types)) - 1;
    uint8_t values[3] = {};
    bool fits = true;
    for (int k = 0; k < operands; ++k) {
      const int newest = int(program.types.size()) - 1;
      values[k] = uint8_t(pick(0, 1) ? newest : pick(0, newest));
      fits &= program.types[values[k]] == p.types[k];
    }
    if (!fits) continue;
    island.instructions[island.instructionCount++] = {p.op, values[0], values[1], values[2]};
    program.types.push_back(p.types[operands]);
  }
  island.outputCount = int(pick(1, 3));
  for (int i = 0; i < island.outputCount; ++i) {
    const int value = island.instructionCount == 0
                          ? 0
                          : int(program.types.size()) - 1 - int(pick(0, std::min(2, island.instructionCount - 1)));
    const DType integerTypes[] = {DType::i32, DType::u8, DType::boolean};
    const DType floatType = pick(0, 3) ? DType::f32 : DType::bf16;
    island.outputs[i] = {uint8_t(value), program.types[value] == 'f' ? floatType : integerTypes[pick(0, 2)]};
  }
  return program;
}

std::vector<std::vector<uint8_t>> reference(const Program& program, int64_t elements) {
  const Island& island = program.island;
  std::vector<std::vector<uint8_t>> outputs;
  for (int i = 0; i < island.outputCount; ++i)
    outputs.emplace_back(size_t(elements * byteSize(island.outputs[i].dtype)));
  for (int64_t e = 0; e < elements; ++e) {
    Lane values[256];
    int count = 0;
    for (int i = 0; i < island.inputCount; ++i) {
      int64_t offset = 0, rest = e;
      for (int axis = island.rank - 1; axis >= 0; --axis) {
        offset += rest % island.dims[axis] * island.inputs[i].strides[axis];
        rest /= island.dims[axis];
      }
      const uint8_t* p = program.memory[i].data() + offset * byteSize(island.inputs[i].dtype);
      Lane lane{};
      if (byteSize(island.inputs[i].dtype) == 4)
        std::memcpy(&lane, p, 4);
      else if (island.inputs[i].dtype == DType::bf16)
        lane.i = int32_t(uint32_t(p[1]) << 24 | uint32_t(p[0]) << 16);
      else
        lane.i = *p;
      values[count++] = lane;
    }
    for (int i = 0; i < island.constantCount; ++i) std::memcpy(&values[count++], &island.constants[i], 4);
    for (int i = 0; i < island.instructionCount; ++i) {
      const IslandInstruction& in = island.instructions[i];
      values[count++] = evaluate(in.op, values[in.a], values[in.b], values[in.c]);
    }
    for (int i = 0; i < island.outputCount; ++i) {
      const Lane lane = values[island.outputs[i].value];
      const DType dtype = island.outputs[i].dtype;
      if (byteSize(dtype) == 4)
        std::memcpy(&outputs[i][e * 4], &lane, 4);
      else if (dtype == DType::bf16)  // the upper half
        std::memcpy(&outputs[i][e * 2], reinterpret_cast<const uint8_t*>(&lane) + 2, 2);
      else
        outputs[i][e] = dtype == DType::boolean ? lane.i != 0 : uint8_t(lane.i);
    }
  }
  return outputs;
}

}  // namespace

KERNEL_CASE(islandRandomPrograms) {
  for (int round = 0; round < 1500; ++round) {
    const Program program = randomProgram();
    int64_t elements = 1;
    for (int axis = 0; axis < program.island.rank; ++axis) elements *= program.island.dims[axis];
    const auto expected = reference(program, elements);
    Island island = program.island;
    finishIsland(island);
    island.streams = pick(0, 1);
    expect(island.elements == elements, "elements %lld", static_cast<long long>(island.elements));
    for (const KernelTable* table : tables()) {
      auto memory = program.memory;
      auto outputs = expected;
      std::vector<const void*> in;
      std::vector<void*> out;
      std::vector<std::unique_ptr<Scratch>> places;
      for (auto& m : memory) in.push_back(m.data());
      for (size_t o = 0; o < outputs.size(); ++o) {
        const int64_t offset = pick(0, 1) * pick(0, 15) * 4;
        places.push_back(std::make_unique<Scratch>(int64_t(outputs[o].size()) + offset));
        out.push_back(static_cast<uint8_t*>(places[o]->data()) + offset);
      }
      // The first output overwrites an input of the same size and indexing where there is one.
      int alias = -1;
      for (int i = 0; i < island.inputCount; ++i) {
        if (island.access[i] == Island::Access::inPlace &&
            byteSize(island.inputs[i].dtype) == byteSize(island.outputs[0].dtype) && pick(0, 1))
          alias = i;
      }
      if (alias >= 0) out[0] = memory[alias].data();
      Scratch scratch(islandScratchBytes(island));
      randomSplit(elements, [&](int64_t begin, int64_t end) {
        table->island(island, in.data(), out.data(), begin, end, scratch.data());
      });
      for (size_t o = 0; o < outputs.size(); ++o) std::memcpy(outputs[o].data(), out[o], outputs[o].size());
      for (size_t o = 0; o < outputs.size(); ++o) {
        for (size_t i = 0; i < outputs[o].size(); ++i) {
          if (outputs[o][i] == expected[o][i]) continue;
          expect(false,
                 "%s round %d: output %zu byte %zu of %zu (rank %d, inner %lld, rowWise %d, alias %d, streams %d)",
                 table->isa, round, o, i, outputs[o].size(), island.rank,
                 static_cast<long long>(island.dims[island.rank - 1]), island.rowWise, alias, island.streams);
          break;
        }
      }
    }
  }
}

// Adam over one parameter: its twelve instructions run as five in one loop, with the bits of the twelve. `more`: what
// the loop does not keep is a result as well, so that it cannot be one.
static void checkAdam(bool more) {
  constexpr int64_t count = 1000 + 13;
  enum { p, m, v, g, rate, keep1, keep2, epsilon };  // inputs, the last four scalars
  Island island;
  island.rank = 1;
  island.dims[0] = count;
  island.inputCount = 8;
  for (int i = p; i <= g; ++i) island.inputs[i].strides[0] = 1;
  const auto emit = [&](Opcode op, int a, int b) {
    island.instructions[island.instructionCount++] = {op, uint8_t(a), uint8_t(b), 0};
    return island.inputCount + island.instructionCount - 1;
  };
  const int m1 = emit(Opcode::add_f32, m, emit(Opcode::mul_f32, emit(Opcode::sub_f32, g, m), keep1));
  const int square = emit(Opcode::square_f32, g, g);
  const int v1 = emit(Opcode::add_f32, v, emit(Opcode::mul_f32, emit(Opcode::sub_f32, square, v), keep2));
  const int root = emit(Opcode::add_f32, emit(Opcode::sqrt_f32, v1, v1), epsilon);
  const int p1 = emit(Opcode::sub_f32, p, emit(Opcode::div_f32, emit(Opcode::mul_f32, m1, rate), root));
  const int p2 = emit(Opcode::neg_f32, p1, p1);  // a code behind the loop
  for (int value : {p1, m1, v1, p2}) island.outputs[island.outputCount++] = {uint8_t(value), DType::f32};
  if (more) island.outputs[island.outputCount++] = {uint8_t(root), DType::f32};
  finishIsland(island);
  expect(island.codeCount == 6, "%d codes", island.codeCount);
  expect(island.adam == (more ? -1 : 0), "the loop begins at code %d", island.adam);

  const std::vector<float> start[4] = {floats(count), floats(count), floats(count, 0, 1), floats(count)};
  const float scalars[4] = {0.001f, 0.1f, 0.001f, 1e-7f};
  for (const KernelTable* table : tables()) {
    std::vector<float> memory[4] = {start[0], start[1], start[2], start[3]}, negated(count), roots(count);
    const void* in[8];
    for (int i = 0; i < 4; ++i) in[i] = memory[i].data();
    for (int i = 0; i < 4; ++i) in[4 + i] = scalars + i;
    void* out[5] = {memory[p].data(), memory[m].data(), memory[v].data(), negated.data(), roots.data()};
    Scratch scratch(islandScratchBytes(island));
    table->island(island, in, out, 0, count, scratch.data());
    for (int64_t i = 0; i < count; ++i) {
      const float grad = start[g][i];
      const float mean = start[m][i] + (grad - start[m][i]) * scalars[1];
      const float variance = start[v][i] + (grad * grad - start[v][i]) * scalars[2];
      const float divisor = std::sqrt(variance) + scalars[3];
      const float value = start[p][i] - mean * scalars[0] / divisor;
      if (memory[p][i] == value && memory[m][i] == mean && memory[v][i] == variance && negated[i] == -value &&
          (!more || roots[i] == divisor))
        continue;
      expect(false, "%s: element %lld is %g, expected %g", table->isa, static_cast<long long>(i), memory[p][i], value);
      break;
    }
  }
}
KERNEL_CASE(islandAdam) {
  checkAdam(false);
  checkAdam(true);
}

// No code at all, in more elements than tiles are fetched ahead for: bfloat16 as the floats that they are.
KERNEL_CASE(islandWidensOnly) {
  constexpr int64_t count = 100003;
  Island island;
  island.rank = 1;
  island.dims[0] = count;
  island.inputCount = island.outputCount = 1;
  island.inputs[0].dtype = DType::bf16;
  island.inputs[0].strides[0] = 1;
  island.outputs[0] = {0, DType::f32};
  finishIsland(island);
  expect(island.codeCount == 0, "%d codes", island.codeCount);
  std::vector<uint16_t> halves(count);
  for (int64_t i = 0; i < count; ++i) halves[size_t(i)] = roundToBfloat16(float(i % 251) - 100);
  for (const KernelTable* table : tables()) {
    std::vector<float> result(count);
    const void* in[] = {halves.data()};
    void* out[] = {result.data()};
    Scratch scratch(islandScratchBytes(island));
    table->island(island, in, out, 0, count, scratch.data());
    int64_t wrong = 0;
    for (int64_t i = 0; i < count; ++i) wrong += result[size_t(i)] != float(i % 251) - 100;
    expect(wrong == 0, "%s: %lld elements differ", table->isa, static_cast<long long>(wrong));
  }
}

// The gradient of gelu is one op, with the bits of the two that it is where the slope is a result as well.
KERNEL_CASE(islandSlopeMul) {
  constexpr int64_t count = 200 + 13;
  const std::vector<float> x = floats(count, -6, 6), dy = floats(count);
  for (const bool second : {false, true}) {
    std::vector<float> both(count);
    for (const bool joined : {false, true}) {
      Island island;
      island.rank = 1;
      island.dims[0] = count;
      island.inputCount = 2;
      island.inputs[0].strides[0] = island.inputs[1].strides[0] = 1;
      island.instructionCount = 2;
      island.instructions[0] = {Opcode::geluSlope_f32, 0, 0, 0};
      island.instructions[1] = {Opcode::mul_f32, uint8_t(second ? 1 : 2), uint8_t(second ? 2 : 1), 0};
      island.outputs[island.outputCount++] = {3, DType::f32};
      if (!joined) island.outputs[island.outputCount++] = {2, DType::f32};
      finishIsland(island);
      expect(island.codeCount == (joined ? 1 : 2), "%d codes", island.codeCount);
      for (const KernelTable* table : tables()) {
        std::vector<float> dx(count), slope(count);
        const void* in[] = {x.data(), dy.data()};
        void* out[] = {dx.data(), slope.data()};
        Scratch scratch(islandScratchBytes(island));
        table->island(island, in, out, 0, count, scratch.data());
        if (!joined && table == tables()[0]) both = dx;
        expectSame(both, dx, "geluSlope * dy");
      }
    }
  }
}

KERNEL_CASE(islandOpcodes) {
  expect(opcodeFor("add", DType::f32) == Opcode::add_f32, "add");
  expect(opcodeFor("add", DType::u32) == Opcode::add_i32, "add of u32");
  expect(opcodeFor("exp", DType::i32) == Opcode::none, "exp of i32");
  expect(opcodeFor("logicalNot", DType::boolean) == Opcode::logicalNot_i32, "logicalNot");
  expect(opcodeFor("nothing", DType::f32) == Opcode::none, "unknown op");
  expect(castOpcode(DType::u8, DType::f32) == Opcode::castI32ToF32, "u8 to f32");
  expect(castOpcode(DType::boolean, DType::i32) == Opcode::none, "bool to i32");
  expect(castOpcode(DType::f32, DType::bf16) == Opcode::castF32ToBf16, "f32 to bf16");
  expect(castOpcode(DType::bf16, DType::f32) == Opcode::none, "bf16 to f32");
}
