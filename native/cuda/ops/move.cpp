#include "cuda/ops/move.h"

#include <bit>
#include <vector>

#include "cuda/kernels/move.cuh"
#include "cuda/ops/island.h"
#include "cuda/ops/sizes.h"
#include "cuda/queue.h"

// transpose, broadcastTo, slice, pad and the gradient of slice.

namespace chainrule::cuda {
namespace {

int64_t strideOf(const Dims& dims, int axis) { return splitAt(dims, axis).inner; }
bool aligned(const void* memory) { return (reinterpret_cast<uintptr_t>(memory) & 15) == 0; }

// Drops axes of one element and joins neighbours that are walked through in one stride.
struct CopySpace {
  std::vector<int64_t> dims, strides;
  int64_t first = 0;

  void push(int64_t dim, int64_t stride) {
    if (dim == 1) return;
    if (!dims.empty() && strides.back() == stride * dim) {
      dims.back() *= dim;
      strides.back() = stride;
      return;
    }
    dims.push_back(dim);
    strides.push_back(stride);
  }
  // Every element fills four neighbours.
  bool repeats() const { return !dims.empty() && strides.back() == 0 && dims.back() % 4 == 0; }
  // In units of four elements.
  bool widens() const {
    if (dims.empty() || strides.back() != 1 || dims.back() % 4 || first % 4) return false;
    for (size_t i = 0; i + 1 < dims.size(); ++i) {
      if (strides[i] % 4) return false;
    }
    return true;
  }
  // The axis along which the input is contiguous, if both sides are long enough for tiles; else -1.
  int tileAxis() const {
    const int last = int(dims.size()) - 1;
    if (last < 1 || strides[size_t(last)] == 1 || strides[size_t(last)] == 0 || dims[size_t(last)] < 8) return -1;
    for (int axis = 0; axis < last; ++axis) {
      if (strides[size_t(axis)] == 1 && dims[size_t(axis)] >= 8) return axis;
    }
    return -1;
  }
};

DeviceCopySpace deviceSpace(const CopySpace& space, int64_t width, int64_t count) {
  DeviceCopySpace device{};
  device.width = int32_t(width);
  device.count = count;
  device.rank = int32_t(space.dims.size());
  std::copy(space.dims.begin(), space.dims.end(), device.dims);
  std::copy(space.strides.begin(), space.strides.end(), device.strides);
  device.inAxis = space.tileAxis();
  if (device.rank == 0) {
    device.rank = 1;
    device.dims[0] = 1;
  }
  return device;
}

void runCopy(Queue& queue, const DeviceCopySpace& space) {
  if (space.inAxis < 0) return queue.launch(KERNEL(copyStrided), threadsFor(space.count), space);
  const int64_t across = space.dims[space.rank - 1], along = space.dims[space.inAxis];
  const int64_t tiles = space.count / (across * along) * ceilDiv(across, 32) * ceilDiv(along, 32);
  queue.launch(KERNEL(copyTiles), {{tiles}, {256}}, space);
}

Lowering lowerCopy(const LowerContext& c, CopySpace space) {
  const int64_t width = byteSize(c.out[0].dtype), count = c.out[0].count();
  const DeviceCopySpace narrow = deviceSpace(space, width, count);
  DeviceCopySpace wide{};
  if (narrow.inAxis < 0 && width == 4 && space.widens()) {
    for (int64_t& stride : space.strides) stride /= 4;
    space.strides.back() = 1;
    space.dims.back() /= 4;
    wide = deviceSpace(space, 16, count / 4);
  }
  if (width == 4 && space.repeats()) {
    space.dims.back() /= 4;
    wide = deviceSpace(space, 16, count / 4);
    wide.repeats = true;
  }
  Lowering lowering;
  lowering.launch = [narrow, wide, first = space.first * width](const StepArgs& args) {
    if (narrow.count == 0) return;
    const std::byte* const in = args.in<std::byte>(0) + first;
    DeviceCopySpace own = wide.count > 0 && (wide.repeats || aligned(in)) && aligned(args.out<void>()) ? wide : narrow;
    own.in = in;
    own.out = args.out<void>();
    runCopy(queueOf(args), own);
  };
  return lowering;
}

Lowering lowerTranspose(const LowerContext& c) {
  const auto perm = c.attrs().integers("perm");
  CopySpace space;
  for (size_t i = 0; i < perm.size(); ++i) space.push(c.out[0].dims[int(i)], strideOf(c.in[0].dims, int(perm[i])));
  return lowerCopy(c, space);
}

// As an elementwise program without instructions: those can share a launch.
Lowering lowerSmallBroadcast(const LowerContext& c) {
  IslandCode code;
  code.inputs.push_back({c.in[0].dtype, {}});
  code.outputs.push_back({0, c.out[0].dtype});
  Lowering lowering;
  lowering.launch = [island = IslandLaunch(code, c.out[0].dims, c.in)](const StepArgs& args) {
    const void* const in[] = {args.in<void>(0)};
    void* const out[] = {args.out<void>()};
    island.run(queueOf(args), in, out);
  };
  return lowering;
}

Lowering lowerBroadcastTo(const LowerContext& c) {
  const Dims &in = c.in[0].dims, &out = c.out[0].dims;
  if (elementCount(out) <= 2048) return lowerSmallBroadcast(c);
  CopySpace space;
  for (int i = 0; i < out.size(); ++i) {
    const int own = i - (out.size() - in.size());
    space.push(out[i], own < 0 || in[own] == 1 ? 0 : strideOf(in, own));
  }
  return lowerCopy(c, space);
}

// Where a slice lies in the whole, axis by axis.
struct Cut {
  Dims begin, size, stride;
};

Cut cutOf(const LowerContext& c, const Dims& whole) {
  Cut cut;
  for (int64_t dim : whole) {
    cut.begin.push(0);
    cut.size.push(dim);
    cut.stride.push(1);
  }
  const auto axes = c.attrs().integers("axes"), begin = c.attrs().integers("begin"), size = c.attrs().integers("size");
  const auto strides = c.attrs().integers("strides", std::vector<int64_t>(axes.size(), 1));
  for (size_t i = 0; i < axes.size(); ++i) {
    const int axis = int(axes[i]);
    cut.begin[axis] = Dim::decoded(begin[i]).at(c.batch);
    cut.size[axis] = Dim::decoded(size[i]).at(c.batch);
    cut.stride[axis] = strides[i];
    const int64_t last = cut.begin[axis] + (cut.size[axis] - 1) * strides[i];
    if (cut.size[axis] > 0 && (cut.begin[axis] >= whole[axis] || last < 0 || last >= whole[axis])) {
      fail("SHAPE", "a slice along the batch leaves it: from ", cut.begin[axis], " to ", last, " of ", whole[axis]);
    }
  }
  return cut;
}

Lowering lowerSlice(const LowerContext& c) {
  const Dims& whole = c.in[0].dims;
  const Cut cut = cutOf(c, whole);
  CopySpace space;
  for (int axis = 0; axis < whole.size(); ++axis) {
    space.push(cut.size[axis], cut.stride[axis] * strideOf(whole, axis));
    space.first += cut.begin[axis] * strideOf(whole, axis);
  }
  return lowerCopy(c, space);
}

Lowering lowerPlace(const LowerContext& c, const Cut& cut, uint32_t background) {
  const Dims& whole = c.out[0].dims;
  DevicePlaceSpace space{};
  space.count = c.out[0].count();
  space.width = int32_t(byteSize(c.out[0].dtype));
  space.background = background;
  for (int axis = 0; axis < whole.size(); ++axis) {
    const bool uncut = cut.begin[axis] == 0 && cut.size[axis] == whole[axis] && cut.stride[axis] == 1;
    if (const int before = space.rank - 1; uncut && before >= 0 && space.stride[before] == 1) {
      space.dims[before] *= whole[axis];
      space.begin[before] *= whole[axis];
      space.size[before] *= whole[axis];
      continue;
    }
    space.dims[space.rank] = whole[axis];
    space.begin[space.rank] = cut.begin[axis];
    space.size[space.rank] = cut.size[axis];
    space.stride[space.rank++] = cut.stride[axis];
  }
  Lowering lowering;
  lowering.launch = [space](const StepArgs& args) {
    DevicePlaceSpace own = space;
    own.in = args.in<void>(0);
    own.out = args.out<void>();
    queueOf(args).launch(KERNEL(placeStrided), threadsFor(own.count), own);
  };
  return lowering;
}

Lowering lowerSliceGradient(const LowerContext& c) { return lowerPlace(c, cutOf(c, c.out[0].dims), 0); }

Lowering lowerPad(const LowerContext& c) {
  const auto padding = c.attrs().integers("padding");
  Cut cut;
  for (int axis = 0; axis < c.in[0].dims.size(); ++axis) {
    cut.begin.push(padding[2 * size_t(axis)]);
    cut.size.push(c.in[0].dims[axis]);
    cut.stride.push(1);
  }
  const double value = c.attrs().real("value", 0);
  return lowerPlace(c, cut,
                    c.out[0].dtype == DType::f32 ? std::bit_cast<uint32_t>(float(value)) : uint32_t(int32_t(value)));
}

constexpr Launcher table[] = {
    {"transpose", lowerTranspose},
    {"broadcastTo", lowerBroadcastTo},
    {"slice", lowerSlice},
    {"sliceGradient", lowerSliceGradient},
    {"pad", lowerPad},
};

}  // namespace

void transposeMatrix(Queue& queue, const float* in, float* out, int64_t rows, int64_t columns) {
  CopySpace space;
  space.push(columns, 1);
  space.push(rows, columns);
  DeviceCopySpace own = deviceSpace(space, sizeof(float), rows * columns);
  own.in = in;
  own.out = out;
  runCopy(queue, own);
}

Launchers moveLaunchers() { return table; }

}  // namespace chainrule::cuda
