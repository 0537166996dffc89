#include "cuda/ops/island_program.h"

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace chainrule::cuda {
namespace {

// An instruction over value numbers (inputs and constants, then one per instruction).
struct Step {
  Opcode op;
  int value;
  int operand[3];
  int operands() const { return op == Opcode::none ? 1 : operandCount(op); }
};

// The instructions, several in one where the inner ones have no other user; then copies for outputs that are inputs.
std::vector<Step> stepsOf(const IslandCode& code) {
  const int base = int(code.inputs.size());
  std::vector<Step> all;
  std::vector<int> uses(code.inputs.size() + code.instructions.size(), 0);
  for (const auto& from : code.instructions) {
    all.push_back({from.opcode, base + int(all.size()), {from.a, from.b, from.c}});
    for (int k = 0; k < all.back().operands(); ++k) ++uses[size_t(all.back().operand[k])];
  }
  for (const auto& output : code.outputs) uses[output.value] = 2;
  std::vector<bool> dropped(all.size(), false);
  const auto joinable = [&](int value) {
    return value >= base && uses[size_t(value)] == 1 && !dropped[size_t(value - base)];
  };
  const auto stepOf = [&](int value) -> Step& { return all[size_t(value - base)]; };
  for (Step& outer : all) {
    for (int k = 0; k < 2 && outer.operands() == 2; ++k) {
      const int value = outer.operand[k], other = outer.operand[1 - k];
      if (!joinable(value)) continue;
      const Step inner = stepOf(value);
      const int* const x = inner.operand;
      if (outer.op == Opcode::add_f32 && inner.op == Opcode::subThenMul && x[1] == other) {
        outer = {Opcode::lerp, outer.value, {other, x[0], x[2]}};
        if (joinable(x[0]) && stepOf(x[0]).op == Opcode::square_f32) {
          outer = {Opcode::lerpSquare, outer.value, {other, stepOf(x[0]).operand[0], x[2]}};
          dropped[size_t(x[0] - base)] = true;
        }
      } else {
        const Opcode op = joined(inner.op, outer.op, k == 1);
        if (op == Opcode::none) continue;
        outer = {op, outer.value, {x[0], op == Opcode::sqrtAdd ? other : x[1], other}};
      }
      dropped[size_t(value - base)] = true;
    }
  }
  std::vector<Step> steps;
  for (const Step& step : all) {
    if (!dropped[size_t(step.value - base)]) steps.push_back(step);
  }
  for (const auto& output : code.outputs) {
    if (int(output.value) < base) steps.push_back({Opcode::none, -1 - int(output.value), {output.value}});
  }
  return steps;
}

// Strides of the inputs over the space; axes that every input walks through in one stride become one.
void layOut(DeviceIsland& island, const Dims& space, std::span<const TensorType> in) {
  int rank = 0;
  int64_t last[kIslandInputs] = {},
          wide[kIslandRank] = {};  // strides of the axis before; the largest of each axis left
  for (int axis = 0; axis < space.size(); ++axis) {
    if (space[axis] == 1) continue;
    int64_t strides[kIslandInputs];
    bool joins = rank > 0;
    for (size_t i = 0; i < in.size(); ++i) {
      const Dims& dims = in[i].dims;
      const int own = axis - (space.size() - dims.size());
      strides[i] = 0;
      if (own >= 0 && dims[own] != 1) {
        strides[i] = 1;
        for (int inner = own + 1; inner < dims.size(); ++inner) strides[i] *= dims[inner];
      }
      joins = joins && last[i] == strides[i] * space[axis];
    }
    if (!joins && rank == kIslandRank) fail("UNSUPPORTED", "an elementwise step over more than 8 axes");
    const int target = joins ? rank - 1 : rank++;
    island.dims[target] = joins ? island.dims[target] * space[axis] : space[axis];
    wide[target] =
        in.empty() ? 0 : *std::max_element(strides, strides + in.size());  // joined axes take the inner one's
    for (size_t i = 0; i < in.size(); ++i) {
      last[i] = strides[i];
      island.strides[i][target] = int32_t(strides[i]);
    }
  }
  for (int axis = 0; axis < rank; ++axis) {
    if (wide[axis] > INT32_MAX) fail("UNSUPPORTED", "an elementwise step that broadcasts over more than 2^31 elements");
  }
  island.rank = uint8_t(rank);
}

// Returns false for a scalar.
bool chooseAccess(const DeviceIsland& island, const int32_t* strides, IslandInput& in) {
  // Contiguous over some axes in a row, none before and after them.
  int begin = 0, end = island.rank;
  while (begin < end && strides[begin] == 0) ++begin;
  while (end > begin && strides[end - 1] == 0) --end;
  if (begin == end) return false;
  int64_t size = 1, after = 1;
  bool contiguous = true;
  for (int axis = end - 1; axis >= begin; --axis) {
    contiguous &= strides[axis] == size;
    size *= island.dims[axis];
  }
  for (int axis = end; axis < island.rank; ++axis) after *= island.dims[axis];
  in.step = strides[island.rank - 1];
  in.period = 1;
  in.together = island.dims[island.rank - 1] % kIslandNear == 0;
  if (!contiguous || (begin > 0 && end < island.rank)) {
    in.access = IslandAccess::general;
  } else if (begin > 0) {
    in.access = IslandAccess::repeats;
    in.period = size;
    in.together = size % kIslandNear == 0;
  } else if (end < island.rank) {
    in.access = IslandAccess::stretches;
    in.period = after;
    in.together = after % kIslandNear == 0;
  } else {
    in.access = IslandAccess::same;
    in.together = true;
  }
  return true;
}

// Where each value is: a register or a scalar; results take registers from where they are made to where they are last
// read by a step that isn't the next one.
class Places {
 public:
  Places(size_t values, const std::vector<Step>& steps) : place_(values, kIslandNoRegister), lastRead_(values, -1) {
    for (size_t k = 0; k < steps.size(); ++k) {
      for (int i = 0; i < steps[k].operands(); ++i) {
        const int value = steps[k].operand[i];
        if (k == 0 || value != steps[k - 1].value) lastRead_[size_t(value)] = int(k);
      }
    }
  }
  void put(size_t value, int place) { place_[value] = uint8_t(place); }
  uint8_t of(int value) const { return place_[size_t(value)]; }
  bool kept(int value) const { return value >= 0 && lastRead_[size_t(value)] >= 0; }
  void take(int value, int firstRegister) {
    const auto free = std::find(used_.begin(), used_.end(), -1);
    const size_t r = size_t(free - used_.begin());
    if (free == used_.end()) used_.push_back(0);
    used_[r] = lastRead_[size_t(value)];
    put(size_t(value), firstRegister + int(r));
  }
  void dropAfter(int step) { std::replace(used_.begin(), used_.end(), step, -1); }
  size_t registers() const { return used_.size(); }

 private:
  std::vector<uint8_t> place_;
  std::vector<int> lastRead_, used_;  // used_: of a register, the step that last reads it, or -1
};

}  // namespace

IslandProgram islandProgram(const IslandCode& code, const Dims& space, std::span<const TensorType> in) {
  IslandProgram program;
  DeviceIsland& island = program.island;
  island.elements = elementCount(space);
  layOut(island, space, in);
  const std::vector<Step> steps = stepsOf(code);
  Places places(code.inputs.size() + code.instructions.size(), steps);

  std::vector<IslandInput> inputs(in.size());
  std::vector<bool> varies(in.size());
  for (size_t i = 0; i < in.size(); ++i) varies[i] = chooseAccess(island, island.strides[i], inputs[i]);
  int32_t strides[kIslandInputs][kIslandRank];
  std::copy(&island.strides[0][0], &island.strides[0][0] + kIslandInputs * kIslandRank, &strides[0][0]);
  // Rows stand behind what moves with the space, and scalars at the end.
  enum class Kind { moves, row, scalar };
  const auto kindOf = [&](size_t bound) {
    if (!varies[bound]) return Kind::scalar;
    return inputs[bound].access == IslandAccess::repeats ? Kind::row : Kind::moves;
  };
  for (Kind kind : {Kind::moves, Kind::row, Kind::scalar}) {
    const bool scalar = kind == Kind::scalar;
    size_t bound = 0;
    for (size_t i = 0; i < code.inputs.size(); ++i) {
      const auto& input = code.inputs[i];
      if (input.constant) {
        if (kind != Kind::moves) continue;
        places.put(i, kIslandScalar + island.constantCount);
        island.constants[island.constantCount++] = input.bits;
        continue;
      }
      if (kindOf(bound) == kind) {
        const int target = island.inputCount + island.scalarInputCount;
        island.inputs[target] = inputs[bound];
        island.inputs[target].dtype = input.dtype;
        std::copy(strides[bound], strides[bound] + kIslandRank, island.strides[target]);
        program.inputFrom[target] = uint8_t(bound);
        places.put(i, scalar ? kIslandScalar + island.constantCount + island.scalarInputCount : int(island.inputCount));
        ++(scalar ? island.scalarInputCount : island.inputCount);
      }
      ++bound;
    }
  }
  for (size_t k = 0; k < steps.size(); ++k) {
    const Step& step = steps[k];
    IslandCodeWord& to = island.code[island.codeCount++];
    to = {step.op, kIslandNoRegister, kIslandPrevious, kIslandPrevious, kIslandPrevious, 0};
    uint8_t* const operands[] = {&to.a, &to.b, &to.c};
    for (int i = 0; i < step.operands(); ++i) {
      const int value = step.operand[i];
      if (k == 0 || value != steps[k - 1].value) *operands[i] = places.of(value);
    }
    places.dropAfter(int(k));
    if (places.kept(step.value)) {
      places.take(step.value, island.inputCount);
      to.dst = places.of(step.value);
    }
    for (size_t i = 0; i < code.outputs.size(); ++i) {
      const auto& output = code.outputs[i];
      const bool copied = step.value < 0;  // one step for each output of an input
      if (int(output.value) != (copied ? -1 - step.value : step.value)) continue;
      const auto stored = program.outputFrom, end = stored + island.outputCount;
      if (copied && std::find(stored, end, uint8_t(i)) != end) continue;
      program.outputFrom[island.outputCount] = uint8_t(i);
      island.outputs[island.outputCount++] = {nullptr, output.dtype, false};
      ++to.stores;
    }
  }
  program.temporaries = int(places.registers());
  return program;
}

}  // namespace chainrule::cuda
