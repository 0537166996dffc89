#include "cuda/kernels/moments.cuh"

#include "cuda/ops/sizes.h"
#include "cuda/queue.h"

// Mean and variance over leading axes, as passes/sums.cpp joins them.

namespace chainrule::cuda {
namespace {

constexpr int64_t kResident = 4;    // blocks on a multiprocessor
constexpr int64_t kLeastRows = 16;  // of a thread: fewer are not worth a further chunk

// Threads beside one another for `items` of a row, as evenly as tiles of a warp's width allow.
int64_t evenLanes(int64_t items) { return ceilDiv(items, ceilDiv(items, kWarp)); }

// Chunks that fill the device once.
void cutRows(DeviceMoments& m, int64_t items) {
  m.lanes = int32_t(evenLanes(items));
  const int64_t depth = kMomentThreads / m.lanes, tiles = ceilDiv(items, m.lanes);
  const int64_t chunks = partsFor(m.rows, depth * kLeastRows, tiles, kResident);
  m.chunkRows = std::max<int64_t>(1, ceilDiv(m.rows, chunks));
  m.chunks = ceilDiv(m.rows, m.chunkRows);
}

Lowering lower(const LowerContext& c) {
  const Dims& dims = c.in[0].dims;
  const int leading = int(c.attrs().integers("axes").size());
  DeviceMoments shape{};
  shape.rows = shape.columns = 1;
  for (int axis = 0; axis < dims.size(); ++axis) (axis < leading ? shape.rows : shape.columns) *= dims[axis];
  const int64_t width = shape.columns % 4 == 0 ? 4 : 1;
  Lowering lowering;
  if (shape.columns == 0) {
    lowering.launch = [](const StepArgs&) {};
    return lowering;
  }
  cutRows(shape, shape.columns / width);
  lowering.sharedScratch = size_t(2 * shape.columns * shape.chunks) * sizeof(float);
  lowering.launch = [=, wantsMean = bool(c.used[0]), wantsVariance = bool(c.used[1])](const StepArgs& args) {
    DeviceMoments m = shape;
    m.x = args.in<float>(0);
    m.aligned = startAt16({m.x});
    m.partial = reinterpret_cast<float*>(args.shared);
    if (wantsMean) m.mean = args.out<float>(0);
    if (wantsVariance) m.variance = args.out<float>(1);
    Queue& queue = queueOf(args);
    const LaunchSize size{{m.chunks * ceilDiv(m.columns / width, m.lanes)}, {kMomentThreads}};
    queue.launch(width == 4 ? KERNEL(momentsOfFours) : KERNEL(moments), size, m);
    queue.launch(KERNEL(momentsJoin), {{ceilDiv(m.columns, kWarp)}, {kMomentThreads}}, m);
  };
  return lowering;
}

constexpr Launcher table[] = {{"moments", lower}};

}  // namespace

Launchers momentsLaunchers() { return table; }

}  // namespace chainrule::cuda
