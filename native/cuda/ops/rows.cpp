#include "cuda/kernels/rows.cuh"

#include "cuda/ops/rows.h"
#include "cuda/ops/sizes.h"

// Softmax and log-softmax with their gradients, and the launch that normalized rows share with them.

namespace chainrule::cuda {
namespace {

using RowKernel = Kernel<DeviceRows>;
struct RowKernels {
  RowKernel of4, of16, of32, ofBlock;
};
// By whether lines consist of runs of four, and whether there are two inputs.
constexpr RowKernels kKernels[2][2] = {
    {{KERNEL(rowsOf4), KERNEL(rowsOf16), KERNEL(rowsOf32), KERNEL(rowsOfBlock)},
     {KERNEL(twoRowsOf4), KERNEL(twoRowsOf16), KERNEL(twoRowsOf32), KERNEL(twoRowsOfBlock)}},
    {{KERNEL(foursOf4), KERNEL(foursOf16), KERNEL(foursOf32), KERNEL(foursOfBlock)},
     {KERNEL(twoFoursOf4), KERNEL(twoFoursOf16), KERNEL(twoFoursOf32), KERNEL(twoFoursOfBlock)}}};

}  // namespace

void launchRows(Queue& queue, DeviceRows rows) {
  if (rows.n == 0) {  // rows of no elements have NaN for a variance
    for (float* numbers : {rows.outScale, rows.outMean}) {
      if (numbers) queue.fill(numbers, 0x7FC00000u, rows.outer);
    }
    return;
  }
  const RowKernels& kernels = kKernels[rows.n % 4 == 0][rows.b != nullptr];
  rows.wide = startAt16({rows.a, rows.b, rows.out, rows.gamma, rows.beta});
  if (rows.inner > 1) {
    rows.lanes = int32_t(std::min<int64_t>(rows.inner, kWarp));
    // A short line takes few threads, so blocks are no larger than it needs.
    const int64_t threads = std::clamp<int64_t>(powerOfTwo(rows.n * rows.lanes / 4, 512), 64, 512);
    return queue.launch(rows.b ? KERNEL(twoColumnsInMemory) : KERNEL(columnsInMemory),
                        {{rows.outer * ceilDiv(rows.inner, rows.lanes)}, {threads}}, rows);
  }
  rows.lanes = int32_t(powerOfTwo(ceilDiv(rows.n, 4), kWarp));
  const LaunchSize size = threadsFor(rows.outer * rows.lanes);
  if (rows.n <= 128) {
    queue.launch(kernels.of4, size, rows);
  } else if (rows.n <= 512) {
    queue.launch(kernels.of16, size, rows);
  } else if (rows.n <= 1024) {
    queue.launch(kernels.of32, size, rows);
  } else if (rows.n <= 8192) {
    queue.launch(kernels.ofBlock, {{rows.outer}, {256}}, rows);
  } else {
    queue.launch(rows.b ? KERNEL(twoRowsInMemory) : KERNEL(rowsInMemory), {{rows.outer}, {512}}, rows);
  }
}

namespace {

template <RowOp op, int inputs>
Lowering lowerAlong(const LowerContext& c) {
  const AxisSplit split = splitAt(c.out[0].dims, int(c.attrs().integer("axis", 0)));
  DeviceRows rows{};
  rows.op = op;
  rows.outer = split.outer;
  rows.n = split.n;
  rows.inner = split.inner;
  Lowering lowering;
  lowering.launch = [rows](const StepArgs& args) {
    DeviceRows own = rows;
    own.a = args.in<float>(0);
    if (inputs > 1) own.b = args.in<float>(1);
    own.out = args.out<float>();
    launchRows(queueOf(args), own);
  };
  return lowering;
}

constexpr Launcher table[] = {
    {"softmax", lowerAlong<RowOp::softmax, 1>},
    {"logSoftmax", lowerAlong<RowOp::logSoftmax, 1>},
    {"softmaxGradient", lowerAlong<RowOp::softmaxGradient, 2>},
    {"logSoftmaxGradient", lowerAlong<RowOp::logSoftmaxGradient, 2>},
};

}  // namespace

Launchers rowLaunchers() { return table; }

}  // namespace chainrule::cuda
