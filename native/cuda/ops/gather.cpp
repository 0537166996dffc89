#include "cuda/kernels/gather.cuh"

#include <bit>
#include <vector>

#include "cuda/devices.h"
#include "cuda/ops/radix.h"
#include "cuda/ops/sizes.h"

// Rows by index, sums of bags of them, their gradient, and one-hot rows.

namespace chainrule::cuda {
namespace {

// What the two that read a table share; the index's limit goes into the Lowering.
DeviceGather gatherOf(const LowerContext& c, Lowering& lowering) {
  DeviceGather gather{};
  gather.rows = c.in[0].dims[0];
  gather.count = c.in[1].count();
  gather.rowSize = gather.rows == 0 ? 0 : c.in[0].count() / gather.rows;
  gather.width = int32_t(byteSize(c.in[0].dtype));
  const Shape& indices = c.graph.type(c.node.inputs[1]).shape;
  const bool batch = !indices.empty() && indices[0] == Dim(1, true) && c.batch > 0;
  lowering.indexLimit = gather.rows;
  lowering.indexRowSize = batch ? gather.count / c.batch : 0;
  return gather;
}
void bind(DeviceGather& gather, const StepArgs& args) {
  gather.table = args.in<void>(0);
  gather.indices = args.in<int32_t>(1);
  gather.out = args.out<void>();
  gather.fault = args.deviceFault;
}

Lowering lowerGather(const LowerContext& c) {
  Lowering lowering;
  DeviceGather gather = gatherOf(c, lowering);
  if (gather.rows == 0) {  // no index is right; rows of no table have the size of the output's
    gather.rowSize = gather.count == 0 ? 0 : c.out[0].count() / gather.count;
  }
  lowering.launch = [gather](const StepArgs& args) {
    DeviceGather own = gather;
    bind(own, args);
    if (own.rowSize * own.width % 16 == 0 && startAt16({own.table, own.out})) {
      own.rowSize = own.rowSize * own.width / 16;
      own.width = 16;
    }
    queueOf(args).launch(KERNEL(gatherRows), threadsFor(own.count * own.rowSize), own);
  };
  return lowering;
}

Lowering lowerGatherReduce(const LowerContext& c) {
  Lowering lowering;
  DeviceGather gather = gatherOf(c, lowering);
  gather.length = c.in[1].dims.back();
  gather.count = gather.length == 0 ? 0 : gather.count / gather.length;
  if (c.attrs().integer("mean", 0)) gather.divisor = float(gather.length);
  gather.lanes = int32_t(powerOfTwo(gather.rowSize, kWarp));
  lowering.launch = [gather](const StepArgs& args) {
    DeviceGather own = gather;
    bind(own, args);
    const int64_t items = own.count * ceilDiv(own.rowSize, own.lanes);
    queueOf(args).launch(KERNEL(gatherBags), threadsFor(items * own.lanes), own);
  };
  return lowering;
}

// The positions are sorted by their index; then a tree of sums over runs of equal ones.
Lowering lowerGatherGradient(const LowerContext& c) {
  struct Level {
    int64_t n, chunks;
    size_t keys, values;  // where the entries for the next level lie in scratch
  };
  const int64_t rows = c.out[0].dims[0], count = c.in[1].count(), width = rows == 0 ? 0 : c.out[0].count() / rows;
  const int64_t lanes = powerOfTwo(width, kWarp), columnTiles = ceilDiv(width, lanes);
  const RadixSort sort(1, count, int(std::bit_width(uint64_t(rows))));
  size_t room = 0;
  const auto reserve = [&](int64_t bytes) {
    const size_t at = room;
    room += size_t(ceilDiv(bytes, 64) * 64);
    return at;
  };
  const size_t pairs = reserve(count * 8), other = reserve(count * 8), counts = reserve(int64_t(sort.scratchBytes()));
  // Long chunks while there are enough of them to keep the device busy.
  const int64_t chunk = powerOfTwo(std::max<int64_t>(16, count * columnTiles * lanes / (kMultiprocessors * 2048)), 128);
  std::vector<Level> levels;
  for (int64_t n = count; n > 0;) {
    const int64_t chunks = ceilDiv(n, chunk);
    levels.push_back({n, chunks, 0, 0});
    if (chunks == 1) break;
    n = 2 * chunks;
    levels.back().keys = reserve(n * 4);
    levels.back().values = reserve(n * width * 4);
  }

  Lowering lowering;
  lowering.launch = [=, group = c.attrs().integer("group", 1)](const StepArgs& args) {
    Queue& queue = queueOf(args);
    if (rows * width == 0) return;
    queue.fill(args.out<void>(), 0, rows * width);
    if (count == 0) return;
    uint64_t* const list = reinterpret_cast<uint64_t*>(args.shared + pairs);
    queue.launch(KERNEL(pairIndices), threadsFor(count), args.in<int32_t>(1), list, count, rows);
    DeviceRuns runs{};
    runs.pairs = sort.run(queue, list, reinterpret_cast<uint64_t*>(args.shared + other), args.shared + counts);
    runs.values = args.in<float>(0);
    runs.table = args.out<float>();
    runs.chunk = chunk;
    runs.rows = rows;
    runs.width = width;
    runs.group = group;
    runs.lanes = int32_t(lanes);
    for (const Level& level : levels) {
      runs.n = level.n;
      const bool last = level.chunks == 1;
      runs.nextKeys = last ? nullptr : reinterpret_cast<int32_t*>(args.shared + level.keys);
      runs.nextValues = last ? nullptr : reinterpret_cast<float*>(args.shared + level.values);
      queue.launch(KERNEL(sumRuns), threadsFor(level.chunks * columnTiles * lanes), runs);
      runs.pairs = nullptr;
      runs.keys = runs.nextKeys;
      runs.values = runs.nextValues;
    }
  };
  lowering.sharedScratch = room;
  return lowering;
}

Lowering lowerOneHot(const LowerContext& c) {
  Lowering lowering;
  lowering.launch = [depth = c.attrs().integer("depth", 0), count = c.in[0].count()](const StepArgs& args) {
    queueOf(args).launch(KERNEL(oneHotRows), threadsFor(count * depth), args.in<int32_t>(0), args.out<float>(), count,
                         depth);
  };
  return lowering;
}

constexpr Launcher table[] = {
    {"gather", lowerGather},
    {"gatherGradient", lowerGatherGradient},
    {"gatherReduce", lowerGatherReduce},
    {"oneHot", lowerOneHot},
};

}  // namespace

Launchers gatherLaunchers() { return table; }

void fetch(Queue& queue, const DeviceRows& rows) {
  const int32_t width = rows.rowBytes % 16 == 0 ? 16 : rows.rowBytes % 4 == 0 ? 4 : 1;
  const int64_t units = rows.rowBytes / width;
  queue.launch(KERNEL(fetchRows), threadsFor(rows.count * units), rows.from, rows.rows, rows.to, rows.count, units,
               width);
}

}  // namespace chainrule::cuda
