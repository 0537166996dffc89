#include "cpu/island_runs.h"

#include "check.h"
#include "island_reference.h"

// Runs of codes as one loop, against an element-by-element evaluation.
using namespace check;

namespace {

// The ops that a code is made of: what evaluates its first two operands, and the result of that with the third.
std::pair<Opcode, Opcode> apart(Opcode op) {
  if (op == Opcode::mulAdd) return {Opcode::mul_f32, Opcode::add_f32};
  if (op == Opcode::addMul) return {Opcode::add_f32, Opcode::mul_f32};
  if (op == Opcode::subThenMul) return {Opcode::sub_f32, Opcode::mul_f32};
  return {op, Opcode::none};
}

// Every run of codes against its ops element by element, the results in between as outputs of their own if `all`.
void checkRun(const IslandRunPattern& pattern, int number, bool all) {
  constexpr int64_t rows = 61, columns = 29, count = rows * columns;
  Island island;
  island.rank = 2;
  island.dims[0] = rows, island.dims[1] = columns;
  island.inputCount = kRunSources;
  std::vector<float> sources[kRunSources];
  for (int s = 0; s < kRunSources; ++s) {  // tensors, rows and scalars by turns
    sources[s] = floats(count);
    island.inputs[s].strides[0] = s % 3 == 0 ? columns : 0;
    island.inputs[s].strides[1] = s % 3 == 2 ? 0 : 1;
  }
  const auto emit = [&](Opcode op, int a, int b, int c) {
    island.instructions[island.instructionCount++] = {op, uint8_t(a), uint8_t(b), uint8_t(c)};
    return island.inputCount + island.instructionCount - 1;
  };
  int value[kRunCodes];
  for (int k = 0; k < pattern.count; ++k) {
    const auto& code = pattern.codes[k];
    int operands[3];
    for (int i = 0; i < 3; ++i) {
      const int operand = code.operands[i];
      operands[i] = i >= operandCount(code.op) ? 0 : operand >= kSource ? operand - kSource : value[operand];
    }
    const auto [first, second] = apart(code.op);
    value[k] = emit(first, operands[0], operands[1], operands[2]);
    if (second != Opcode::none) value[k] = emit(second, value[k], operands[2], 0);
    if ((all && code.op != Opcode::lessEqual_f32) || k + 1 == pattern.count)
      island.outputs[island.outputCount++] = {uint8_t(value[k]), DType::f32};
  }
  finishIsland(island);
  expect(island.runCount == 1 && island.runs[0].pattern == number, "run %d is not found", number);

  for (const KernelTable* table : tables()) {
    std::vector<std::vector<float>> results(size_t(island.outputCount), std::vector<float>(count));
    const void* in[kRunSources];
    void* out[kRunCodes];
    for (int s = 0; s < kRunSources; ++s) in[s] = sources[s].data();
    for (int i = 0; i < island.outputCount; ++i) out[i] = results[size_t(i)].data();
    Scratch scratch(islandScratchBytes(island));
    table->island(island, in, out, 0, count, scratch.data());
    for (int64_t e = 0; e < count; ++e) {
      std::vector<Lane> lanes;
      for (int s = 0; s < kRunSources; ++s)
        lanes.push_back({sources[s][size_t(e / columns * island.inputs[s].strides[0] +
                                           e % columns * island.inputs[s].strides[1])]});
      for (int i = 0; i < island.instructionCount; ++i) {
        const auto& step = island.instructions[i];
        lanes.push_back(evaluate(step.op, lanes[step.a], lanes[step.b], lanes[step.c]));
      }
      for (int i = 0; i < island.outputCount; ++i) {
        const float expected = lanes[island.outputs[i].value].f;
        if (results[size_t(i)][size_t(e)] == expected) continue;
        return expect(false, "%s: run %d, output %d, element %lld is %g, expected %g", table->isa, number, i,
                      static_cast<long long>(e), results[size_t(i)][size_t(e)], expected);
      }
    }
  }
}
KERNEL_CASE(islandRunLoops) {
  for (int p = 0; p < kRunPatterns; ++p) {
    checkRun(islandRuns[p], p, false);
    checkRun(islandRuns[p], p, true);
  }
}

}  // namespace
