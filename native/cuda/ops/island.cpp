#include "cuda/ops/island.h"

#include <algorithm>
#include <optional>

#include "cuda/kernels/island.cuh"
#include "cuda/kernels/island_chain.cuh"
#include "cuda/kernels/island_rows.cuh"
#include "cuda/kernels/island_tiny.cuh"
#include "cuda/ops/sizes.h"

namespace chainrule::cuda {
namespace {

// Threads of a multiprocessor that the kernels' registers leave room for, of a block of 128.
constexpr int64_t kThreads = 128, kResidentThreads = 768;
constexpr int64_t kSharedBytes = 220 << 10;  // of a multiprocessor
constexpr int64_t kBlockSharedBytes = 96 << 10;
constexpr int64_t kBytesUnderWay = 40 << 10;  // that hide the latency of a multiprocessor's memory

bool isWord(DType dtype) { return byteSize(dtype) == 4; }
uintptr_t bytesOfFour(DType dtype) { return uintptr_t(kIslandNear) * uintptr_t(byteSize(dtype)); }
bool aligned(const void* data, uintptr_t bytes) { return reinterpret_cast<uintptr_t>(data) % bytes == 0; }

// Whether every four neighbours of an input start at a multiple of four elements.
bool startsAtFours(const DeviceIsland& island, int input) {
  const IslandInput& in = island.inputs[input];
  if (!in.together || in.step != 1) return false;
  if (in.access != IslandAccess::general) return true;
  const int32_t* const strides = island.strides[input];
  return std::all_of(strides, strides + island.rank - 1, [](int32_t stride) { return stride % kIslandNear == 0; });
}

template <typename Small>
Small shrunk(const DeviceIsland& from) {
  Small to = {};
  to.elements = from.elements;
  to.tiles = from.tiles;
  to.rank = from.rank;
  to.inputCount = from.inputCount;
  to.scalarInputCount = from.scalarInputCount;
  to.constantCount = from.constantCount;
  to.codeCount = from.codeCount;
  to.outputCount = from.outputCount;
  to.stages = from.stages;
  to.packed = from.packed;
  std::copy_n(from.dims, kIslandRank, to.dims);
  std::copy_n(from.inputs, Small::inputLimit, to.inputs);
  std::copy_n(from.outputs, Small::outputLimit, to.outputs);
  std::copy_n(from.constants, Small::constantLimit, to.constants);
  std::copy_n(from.code, Small::codeLimit, to.code);
  std::copy_n(from.strides[0], Small::inputLimit * kIslandRank, to.strides[0]);
  return to;
}
bool fitsSmall(const DeviceIsland& island) {
  using Small = SmallDeviceIsland;
  return island.inputCount + island.scalarInputCount <= Small::inputLimit &&
         island.constantCount <= Small::constantLimit && island.outputCount <= Small::outputLimit &&
         island.codeCount <= Small::codeLimit;
}

// Whether islandChain can run it: see there. `island` has its pointers.
constexpr int64_t kChainElements = 1 << 13;
bool allOfWords(const DeviceIsland& island) {  // that lie as the space does, and scalars
  for (int i = 0; i < island.inputCount + island.scalarInputCount; ++i) {
    const IslandInput& in = island.inputs[i];
    if (!isWord(in.dtype)) return false;
    if (i < island.inputCount && (in.access != IslandAccess::same || in.move != IslandMove::four)) return false;
  }
  return std::all_of(island.outputs, island.outputs + island.outputCount,
                     [](const IslandOutput& out) { return isWord(out.dtype) && out.wide; });
}
bool isChain(const DeviceIsland& island) {
  if (island.elements < kChainElements || island.inputCount < 1 || island.inputCount > 3 || island.outputCount != 1 ||
      island.codeCount < 1 || island.codeCount > 8 || !allOfWords(island))
    return false;
  for (int k = 0; k < island.codeCount; ++k) {
    const IslandCodeWord& code = island.code[k];
    const bool last = k + 1 == island.codeCount;
    if (code.dst != kIslandNoRegister || code.stores != (last ? 1 : 0)) return false;
    for (uint8_t o : {code.a, code.b, code.c}) {
      if (o < kIslandScalar && o >= island.inputCount) return false;
    }
  }
  return true;
}

// Whether islandAdam can run it: mean = lerp(m, g, ..), square = lerpSquare(v, g, ..), root = sqrtAdd(square, ..),
// part = mulDiv(mean, .., root), next = sub(w, part), and nothing else. `island` has its pointers.
bool isAdam(const DeviceIsland& island) {
  constexpr Opcode ops[] = {Opcode::lerp, Opcode::lerpSquare, Opcode::sqrtAdd, Opcode::mulDiv, Opcode::sub_f32};
  constexpr int codes = std::size(ops), stores[codes] = {1, 1, 0, 0, 1};
  const IslandCodeWord* const c = island.code;
  if (island.elements < kChainElements || island.inputCount != 4 || island.codeCount != codes || !allOfWords(island))
    return false;
  for (int i = 0; i < codes; ++i) {
    if (c[i].op != ops[i] || c[i].stores != stores[i]) return false;
  }
  const auto input = [&](uint8_t o) { return o < island.inputCount; };
  const auto scalar = [](uint8_t o) { return o >= kIslandScalar && o != kIslandPrevious; };
  return input(c[0].a) && input(c[0].b) && scalar(c[0].c) && input(c[1].a) && c[1].b == c[0].b && scalar(c[1].c) &&
         c[2].a == kIslandPrevious && scalar(c[2].b) && c[0].dst != kIslandNoRegister && c[3].a == c[0].dst &&
         scalar(c[3].b) && c[3].c == kIslandPrevious && input(c[4].a) && c[4].b == kIslandPrevious;
}

// How many of the inputs, which stand first, are neither rows nor scalars; and the columns of the space if any are rows
// or columns of it, else 0. Nothing where islandRows cannot run it. `island` has its pointers.
struct RowSpace {
  int moving;
  int64_t columns;
};
int64_t rowSharedBytes(const DeviceIsland& island, const RowSpace& space, int64_t temporaries) {
  const int64_t slots = island.inputCount - space.moving + temporaries * rowGroups(space.moving);
  return slots * kRowThreads * int64_t(sizeof(IslandWords));
}
std::optional<RowSpace> rowSpace(const DeviceIsland& island, int64_t temporaries) {
  RowSpace space{};
  bool rowsFollow = false;
  for (int i = 0; i < island.inputCount; ++i) {
    const IslandInput& in = island.inputs[i];
    const bool isRow = in.access == IslandAccess::repeats;
    if (in.access == IslandAccess::general || (!isRow && rowsFollow)) return std::nullopt;
    rowsFollow |= isRow;
    space.moving += !isRow;
    if (in.access == IslandAccess::same) continue;
    if (space.columns != 0 && space.columns != in.period) return std::nullopt;
    space.columns = in.period;
  }
  if (space.moving < 1 || space.moving > kRowMoving || space.columns % kIslandNear != 0) return std::nullopt;
  return rowSharedBytes(island, space, temporaries) <= kBlockSharedBytes ? std::optional(space) : std::nullopt;
}

void launchRows(Queue& queue, const DeviceIsland& island, const RowSpace& space, int64_t temporaries) {
  const int64_t groups = rowGroups(space.moving), fours = space.columns / kIslandNear;
  // Lines that a sweep over the space takes at most, and as many of them as all sweeps take alike.
  const int64_t lines = fours > 0 ? island.elements / space.columns : ceilDiv(island.elements, kIslandNear);
  const int64_t threads = kRowBlocks * kMultiprocessors * kRowThreads;
  const int64_t most = std::max<int64_t>(1, fours > 0 ? threads / fours : threads);
  const int64_t sweep = ceilDiv(lines, ceilDiv(lines, most * groups) * groups);
  const IslandSweep by{space.columns, int32_t(fours), int32_t(sweep)};
  LaunchSize size = threadsFor(fours > 0 ? sweep * fours : sweep, kRowThreads);
  size.sharedBytes = rowSharedBytes(island, space, temporaries);
  const Kernel<SmallDeviceIsland, IslandSweep> kernels[kRowMoving] = {KERNEL(islandRows1), KERNEL(islandRows2),
                                                                      KERNEL(islandRows3), KERNEL(islandRows4)};
  queue.launch(kernels[space.moving - 1], size, shrunk<SmallDeviceIsland>(island), by);
}

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

IslandLaunch::IslandLaunch(const IslandCode& code, const Dims& space, std::span<const TensorType> in)
    : program_(islandProgram(code, space, in)) {
  DeviceIsland& island = program_.island;
  small_ = fitsSmall(island);
  const auto layOutFor = [&](int64_t groups) {
    const int64_t registerBytes = groups * kIslandNear * 4;
    const auto bytesOfThread = [&](int64_t stages) {
      return std::max<int64_t>(1, stages * island.inputCount + program_.temporaries) * registerBytes;
    };
    const auto residentThreads = [&](int64_t stages) {
      return std::min(kResidentThreads, kSharedBytes / bytesOfThread(stages));
    };
    // As many stages as it takes to have enough under way, if that leaves enough threads to compute.
    int64_t stages = 1;
    while (stages < kIslandStages && residentThreads(stages + 1) >= kResidentThreads / 2 &&
           (stages - 1) * island.inputCount * registerBytes * residentThreads(stages) < kBytesUnderWay) {
      ++stages;
    }
    int64_t threads = kThreads;
    while (threads > kWarp && threads * bytesOfThread(stages) > kBlockSharedBytes) threads /= 2;
    island.tiles = ceilDiv(island.elements, threads * groups * kIslandNear);
    const int64_t blocks = std::max<int64_t>(1, residentThreads(stages) / threads) * kMultiprocessors;
    if (island.tiles <= blocks) stages = 1;
    island.stages = uint8_t(stages);
    const int64_t rounds = ceilDiv(island.tiles, blocks);
    size_ = {{ceilDiv(island.tiles, std::max<int64_t>(1, rounds))}, {threads}, threads * bytesOfThread(stages)};
  };
  wide_ = small_ && island.elements >= kThreads * 2 * kIslandNear * 4 * kMultiprocessors;
  layOutFor(wide_ ? 2 : 1);
}

void IslandLaunch::run(Queue& queue, const void* const* in, void* const* out) const {
  DeviceIsland island = program_.island;
  for (int i = 0; i < island.inputCount + island.scalarInputCount; ++i) {
    IslandInput& input = island.inputs[i];
    input.data = in[program_.inputFrom[i]];
    if (i >= island.inputCount) continue;
    const bool fours = startsAtFours(island, i);
    if (!isWord(input.dtype)) {
      input.move = fours && aligned(input.data, bytesOfFour(input.dtype)) ? IslandMove::packed : IslandMove::bytes;
      island.packed |= input.move == IslandMove::packed;
    } else {
      input.move = fours && aligned(input.data, 16) ? IslandMove::four : IslandMove::words;
    }
  }
  for (int i = 0; i < island.outputCount; ++i) {
    IslandOutput& output = island.outputs[i];
    output.data = out[program_.outputFrom[i]];
    output.wide = aligned(output.data, bytesOfFour(output.dtype));
  }
  const auto sizeFor = [&](int64_t groups) -> LaunchSize {
    return {{ceilDiv(island.elements, kChainThreads * groups * kIslandNear)}, {kChainThreads}};
  };
  if (small_ && island.elements < kChainElements) {
    const int64_t registers = island.inputCount + program_.temporaries;
    const LaunchSize size{{ceilDiv(island.elements, kTinyThreads)}, {kTinyThreads}, registers * kTinyThreads * 4};
    queue.launch(KERNEL(islandTiny), size, shrunk<SmallDeviceIsland>(island));
  } else if (small_ && isAdam(island)) {
    queue.launch(KERNEL(islandAdam), sizeFor(kAdamGroups), shrunk<SmallDeviceIsland>(island));
  } else if (small_ && isChain(island)) {
    const auto kernel = island.inputCount == 1   ? KERNEL(islandChain1)
                        : island.inputCount == 2 ? KERNEL(islandChain2)
                                                 : KERNEL(islandChain3);
    queue.launch(kernel, sizeFor(kChainGroups), shrunk<SmallDeviceIsland>(island));
  } else if (const auto space = small_ ? rowSpace(island, program_.temporaries) : std::nullopt) {
    launchRows(queue, island, *space, program_.temporaries);
  } else if (!small_) {
    queue.launch(KERNEL(islandLarge), size_, island);
  } else if (wide_) {
    queue.launch(KERNEL(islandWide), size_, shrunk<SmallDeviceIsland>(island));
  } else {
    queue.launch(KERNEL(islandSmall), size_, shrunk<SmallDeviceIsland>(island));
  }
}

Launchers islandLaunchers() { return table; }

}  // namespace chainrule::cuda
