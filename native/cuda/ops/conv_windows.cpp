#include "cuda/ops/conv_windows.h"

#include "cuda/kernels/conv_join.cuh"
#include "cuda/ops/sizes.h"

namespace chainrule::cuda {

GemmWindow inputWindow(const ConvShape& s) {
  GemmWindow w;
  w.gridHeight = int32_t(s.oh);
  w.gridWidth = int32_t(s.ow);
  w.channels = int32_t(s.groupIn());
  w.height = int32_t(s.h);
  w.width = int32_t(s.w);
  w.image = s.h * s.w * s.cin;
  w.row = s.w * s.cin;
  w.pixel = s.cin;
  const int64_t taps[2] = {s.kh, s.kw}, step[2] = {s.strideH, s.strideW}, pad[2] = {s.padTop, s.padLeft},
                dilation[2] = {s.dilationH, s.dilationW};
  for (int axis : {0, 1}) {
    w.taps[axis] = int32_t(taps[axis]);
    w.step[axis] = int32_t(step[axis]);
    w.add[axis] = int32_t(-pad[axis]);
    w.tap[axis] = int32_t(dilation[axis]);
  }
  return w;
}

GemmWindow outputWindow(const ConvShape& s) {
  GemmWindow w = inputWindow(s);
  w.gridHeight = int32_t(s.h);
  w.gridWidth = int32_t(s.w);
  w.channels = int32_t(s.groupOut());
  w.height = int32_t(s.oh);
  w.width = int32_t(s.ow);
  w.image = s.oh * s.ow * s.cout;
  w.row = s.ow * s.cout;
  w.pixel = s.cout;
  for (int axis : {0, 1}) {
    w.divide[axis] = w.step[axis];
    w.step[axis] = 1;
    w.add[axis] = -w.add[axis];
    w.tap[axis] = -w.tap[axis];
  }
  return w;
}

LaunchSize itemsOfConvolution(int64_t count) {
  constexpr int64_t kMostBlocks = kMultiprocessors * 16;
  LaunchSize size = threadsFor(count);
  size.grid.x = std::min(size.grid.x, kMostBlocks);
  return size;
}

void joinFilterParts(Queue& queue, const float* partial, int64_t parts, int64_t count, float* to) {
  queue.launch(KERNEL(convJoin), {{ceilDiv(count, kWarp)}, {kWarp * kJoinRows}}, partial, parts, count, to);
}

}  // namespace chainrule::cuda
