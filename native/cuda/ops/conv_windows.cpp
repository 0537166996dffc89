#include "cuda/ops/conv_windows.h"

#include "cuda/kernels/conv_join.cuh"
#include "cuda/ops/sizes.h"

namespace chainrule::cuda {

namespace {

// Windows over an image of so many channels, a group's to each, for the pixels of a grid.
GemmWindow windowsOver(int64_t height, int64_t width, int64_t channels, int64_t groupChannels, int64_t gridHeight,
                       int64_t gridWidth) {
  GemmWindow w;
  w.gridHeight = int32_t(gridHeight);
  w.gridWidth = int32_t(gridWidth);
  w.channels = int32_t(groupChannels);
  w.height = int32_t(height);
  w.width = int32_t(width);
  w.image = height * width * channels;
  w.row = width * channels;
  w.pixel = channels;
  return w;
}

}  // namespace

GemmWindow inputWindow(const ConvShape& s) {
  GemmWindow w = windowsOver(s.h, s.w, s.cin, s.groupIn(), s.oh, s.ow);
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
  const GemmWindow in = inputWindow(s);
  GemmWindow w = windowsOver(s.oh, s.ow, s.cout, s.groupOut(), s.h, s.w);
  for (int axis : {0, 1}) {
    w.taps[axis] = in.taps[axis];
    w.divide[axis] = in.step[axis];
    w.step[axis] = 1;
    w.add[axis] = -in.add[axis];
    w.tap[axis] = -in.tap[axis];
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
