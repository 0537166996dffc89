#include "cuda/kernels/rows.cuh"

#include "cuda/ops/sizes.h"
#include "cuda/queue.h"

// Softmax, log-softmax and standardized rows with their gradients.

namespace chainrule::cuda {
namespace {

using RowKernel = Kernel<DeviceRows>;
struct RowKernels {
  RowKernel of4, of16, of32, ofBlock, inMemory, columns;
};
constexpr RowKernels kOne = {KERNEL(rowsOf4),     KERNEL(rowsOf16),     KERNEL(rowsOf32),
                             KERNEL(rowsOfBlock), KERNEL(rowsInMemory), KERNEL(columnsInMemory)};
constexpr RowKernels kTwo = {KERNEL(twoRowsOf4),     KERNEL(twoRowsOf16),     KERNEL(twoRowsOf32),
                             KERNEL(twoRowsOfBlock), KERNEL(twoRowsInMemory), KERNEL(twoColumnsInMemory)};

// `lanes` is chosen here.
void launchRows(Queue& queue, DeviceRows rows) {
  if (rows.n == 0) {  // rows of no elements have NaN for a variance
    if (rows.outFactor) queue.fill(rows.outFactor, 0x7FC00000u, rows.outer);
    return;
  }
  const RowKernels& kernels = rows.b ? kTwo : kOne;
  if (rows.inner > 1) {
    rows.lanes = int32_t(std::min<int64_t>(rows.inner, kWarp));
    // A short line takes few threads, so blocks are no larger than it needs.
    const int64_t threads = std::clamp<int64_t>(powerOfTwo(rows.n * rows.lanes / 4, 512), 64, 512);
    return queue.launch(kernels.columns, {{rows.outer * ceilDiv(rows.inner, rows.lanes)}, {threads}}, rows);
  }
  rows.lanes = int32_t(powerOfTwo(ceilDiv(rows.n, 4), kWarp));
  const LaunchSize lines = threadsFor(rows.outer * rows.lanes);
  if (rows.n <= 128) {
    queue.launch(kernels.of4, lines, rows);
  } else if (rows.n <= 512) {
    queue.launch(kernels.of16, lines, rows);
  } else if (rows.n <= 1024) {
    queue.launch(kernels.of32, lines, rows);
  } else if (rows.n <= 8192) {
    queue.launch(kernels.ofBlock, {{rows.outer}, {256}}, rows);
  } else {
    queue.launch(kernels.inMemory, {{rows.outer}, {512}}, rows);
  }
}

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

DeviceRows standardizedRows(const LowerContext& c, RowOp op) {
  DeviceRows rows{};
  rows.op = op;
  rows.outer = rows.n = rows.inner = 1;
  rows.epsilon = float(c.attrs().real("epsilon", 0));
  rows.centred = c.attrs().integer("centred", 1) != 0;
  const Dims& dims = c.in[0].dims;
  for (int i = 0; i < dims.size(); ++i) {
    (i < dims.size() - c.attrs().integer("axes", 1) ? rows.outer : rows.n) *= dims[i];
  }
  return rows;
}

Lowering lowerStandardize(const LowerContext& c) {
  const DeviceRows rows = standardizedRows(c, RowOp::standardize);
  Lowering lowering;
  lowering.launch = [rows, wantsRows = bool(c.used[0]), wantsFactor = bool(c.used[1])](const StepArgs& args) {
    DeviceRows own = rows;
    own.a = args.in<float>(0);
    own.out = wantsRows ? args.out<float>(0) : nullptr;
    own.outFactor = wantsFactor ? args.out<float>(1) : nullptr;
    launchRows(queueOf(args), own);
  };
  return lowering;
}

Lowering lowerStandardizeGradient(const LowerContext& c) {
  const DeviceRows rows = standardizedRows(c, RowOp::standardizeGradient);
  Lowering lowering;
  lowering.launch = [rows](const StepArgs& args) {
    DeviceRows own = rows;
    own.a = args.in<float>(0);
    own.b = args.in<float>(1);
    own.factor = args.in<float>(2);
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
    {"standardize", lowerStandardize},
    {"standardizeGradient", lowerStandardizeGradient},
};

}  // namespace

Launchers rowLaunchers() { return table; }

}  // namespace chainrule::cuda
