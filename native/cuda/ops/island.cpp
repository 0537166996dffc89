#include "cuda/ops/island.h"

#include <algorithm>
#include <optional>

#include "cuda/kernels/island.cuh"

namespace chainrule::cuda {
namespace {

constexpr int64_t kRegisterBytes = kIslandWide * 4;
constexpr int64_t kSharedBytes = 48 << 10;  // that a block may have without asking

// Strides of the inputs over the space; axes that every input walks through in one stride become one.
void layOut(DeviceIsland& island, const Dims& space, std::span<const TensorType> in) {
  int rank = 0;
  for (int axis = 0; axis < space.size(); ++axis) {
    if (space[axis] == 1) continue;
    int32_t strides[kIslandInputs];
    bool joins = rank > 0;
    for (size_t i = 0; i < in.size(); ++i) {
      const Dims& dims = in[i].dims;
      const int own = axis - (space.size() - dims.size());
      strides[i] = 0;
      if (own >= 0 && dims[own] != 1) {
        strides[i] = 1;
        for (int inner = own + 1; inner < dims.size(); ++inner) strides[i] *= int32_t(dims[inner]);
      }
      joins = joins && island.strides[i][rank - 1] == strides[i] * space[axis];
    }
    if (!joins && rank == kIslandRank) fail("UNSUPPORTED", "an elementwise step over more than 8 axes");
    const int target = joins ? rank - 1 : rank++;
    island.dims[target] = joins ? island.dims[target] * space[axis] : space[axis];
    for (size_t i = 0; i < in.size(); ++i) island.strides[i][target] = strides[i];
  }
  island.rank = uint8_t(rank);
}

void chooseAccess(DeviceIsland& island, int input) {
  using Access = DeviceIsland::Access;
  DeviceIsland::Input& in = island.inputs[input];
  const int32_t* strides = island.strides[input];
  // Contiguous over some axes in a row, none before and after them.
  int begin = 0, end = island.rank;
  while (begin < end && strides[begin] == 0) ++begin;
  while (end > begin && strides[end - 1] == 0) --end;
  int64_t size = 1, after = 1;
  bool contiguous = true;
  for (int axis = end - 1; axis >= begin; --axis) {
    contiguous &= strides[axis] == size;
    size *= island.dims[axis];
  }
  for (int axis = end; axis < island.rank; ++axis) after *= island.dims[axis];
  if (begin == end) {
    in.access = Access::scalar;
  } else if (!contiguous || (begin > 0 && end < island.rank)) {
    in.access = Access::general;
  } else if (begin > 0) {
    in.access = Access::repeats;
    in.period = size;
  } else if (end < island.rank) {
    in.access = Access::stretches;
    in.period = after;
  } else {
    in.access = Access::same;
  }
}

// Registers for values that live from where they are made to where they are last read.
class Registers {
 public:
  Registers(const IslandCode& code) : lastRead_(code.inputs.size() + code.instructions.size(), -1) {
    const int end = int(code.instructions.size());
    for (int k = 0; k < end; ++k) {
      for (uint16_t value : {code.instructions[k].a, code.instructions[k].b, code.instructions[k].c})
        lastRead_[value] = std::max(lastRead_[value], k);
    }
    for (const auto& output : code.outputs) lastRead_[output.value] = end;
    of_.resize(lastRead_.size());
  }
  uint8_t take(size_t value) {
    const auto free = std::find(used_.begin(), used_.end(), false);
    const size_t r = size_t(free - used_.begin());
    if (free == used_.end()) used_.push_back(false);
    used_[r] = true;
    of_[value] = uint8_t(r);
    return of_[value];
  }
  void dropAfter(size_t value, int instruction) {
    if (lastRead_[value] == instruction) used_[of_[value]] = false;
  }
  uint8_t of(size_t value) const { return of_[value]; }
  size_t count() const { return used_.size(); }

 private:
  std::vector<int> lastRead_;
  std::vector<uint8_t> of_;
  std::vector<bool> used_;
};

Lowering lowerIsland(const LowerContext& c) {
  const IslandCode& code = islandAttr(c.attrs());
  Lowering lowering;
  lowering.launch = [island = IslandLaunch(code, concrete(code.space, c.batch), c.in), inputs = int(c.in.size()),
                     outputs = int(code.outputs.size())](const StepArgs& args) {
    const void* in[kIslandInputs];
    void* out[kIslandOutputs];
    for (int i = 0; i < inputs; ++i) in[i] = args.in<void>(i);
    for (int i = 0; i < outputs; ++i) out[i] = args.out<void>(i);
    island.run(queueOf(args), in, out);
  };
  return lowering;
}

constexpr Launcher table[] = {{"island", lowerIsland}};

}  // namespace

IslandLaunch::IslandLaunch(const IslandCode& code, const Dims& space, std::span<const TensorType> in) {
  island_.elements = elementCount(space);
  layOut(island_, space, in);
  Registers registers(code);
  size_t bound = 0;
  for (size_t i = 0; i < code.inputs.size(); ++i) {
    const auto& input = code.inputs[i];
    if (input.constant) {
      island_.constants[island_.constantCount] = input.bits;
      island_.constantTarget[island_.constantCount++] = registers.take(i);
      continue;
    }
    island_.inputs[bound] = {nullptr, 1, input.dtype, DeviceIsland::Access::general, registers.take(i)};
    chooseAccess(island_, int(bound++));
  }
  island_.inputCount = uint8_t(bound);
  for (size_t k = 0; k < code.instructions.size(); ++k) {
    const auto& from = code.instructions[k];
    DeviceIsland::Code& to = island_.code[island_.codeCount++];
    to = {from.opcode, 0, registers.of(from.a), registers.of(from.b), registers.of(from.c)};
    for (size_t value : {from.a, from.b, from.c}) registers.dropAfter(value, int(k));
    to.dst = registers.take(code.inputs.size() + k);
  }
  for (const auto& output : code.outputs) {
    island_.outputs[island_.outputCount++] = {nullptr, output.dtype, registers.of(output.value)};
  }
  island_.registers = uint8_t(std::max<size_t>(1, registers.count()));
}

void IslandLaunch::run(Queue& queue, const void* const* in, void* const* out) const {
  DeviceIsland island = island_;
  for (int i = 0; i < island.inputCount; ++i) island.inputs[i].data = in[i];
  for (int i = 0; i < island.outputCount; ++i) island.outputs[i].data = out[i];
  const int64_t fit = kSharedBytes / (island.registers * kRegisterBytes) / kWarp * kWarp;
  const int64_t threads = std::clamp<int64_t>(fit, kWarp, 256);
  LaunchSize size = threadsFor((island.elements + kIslandWide - 1) / kIslandWide, threads);
  size.sharedBytes = threads * island.registers * kRegisterBytes;
  queue.launch(KERNEL(islandKernel), size, island);
}

Epilogue::Epilogue(const LowerContext& c, int opInputs)
    : firstInput_(opInputs), extraInputs_(int(c.in.size()) - opInputs) {
  if (!c.attrs().extra) return;
  std::vector<TensorType> in{c.out[0]};
  in.insert(in.end(), c.in.begin() + opInputs, c.in.end());
  island_ = std::make_shared<IslandLaunch>(islandAttr(c.attrs()), c.out[0].dims, in);
  bias_ = biasOf(islandAttr(c.attrs()), in);
}

int Epilogue::takeBias(bool& relu) {
  if (!bias_) return -1;
  island_ = nullptr;
  relu = bias_->relu;
  return firstInput_;
}

void Epilogue::run(const StepArgs& args) const {
  if (!island_) return;
  const void* in[kIslandInputs] = {args.out<void>()};
  void* out[1] = {args.out<void>()};
  for (int i = 0; i < extraInputs_; ++i) in[1 + i] = args.in<void>(firstInput_ + i);
  island_->run(queueOf(args), in, out);
}

Launchers islandLaunchers() { return table; }

}  // namespace chainrule::cuda
