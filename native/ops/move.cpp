#include <bit>

#include "cpu/kernel_table.h"
#include "ops/registry.h"
#include "ops/shape_rules.h"

// Ops that rearrange elements: transpose, broadcastTo, slice, pad and the gradient of slice.

namespace chainrule::ops {
namespace {

int64_t strideOf(const Dims& dims, int axis) { return splitAt(dims, axis).inner; }

std::vector<ValueType> inferTranspose(const InferContext& c) {
  const Shape& in = c.in[0].shape;
  const auto perm = c.attrs.integers("perm");
  Small<bool> seen(in.size(), false);
  Shape out;
  for (int64_t axis : perm) {
    if (axis < 0 || axis >= in.size() || seen[int(axis)])
      fail("SHAPE", "perm is not an order of the ", in.size(), " axes");
    seen[int(axis)] = true;
    out.push(in[int(axis)]);
  }
  if (out.size() != in.size()) fail("SHAPE", "perm needs one entry for each of the ", in.size(), " axes");
  return {typeOf(c.in[0].dtype, out)};
}

std::vector<ValueId> gradientOfTranspose(GradientContext& c) {
  const auto perm = c.attrs().integers("perm");
  std::vector<int64_t> inverse(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) inverse[size_t(perm[i])] = int64_t(i);
  return {apply("transpose", {c.grad()}, attrs({{"perm", inverse}})).id};
}

std::vector<ValueType> inferBroadcastTo(const InferContext& c) {
  const ValueType both[] = {c.in[0], {c.in[0].dtype, shapeAttr(c.attrs, "shape")}};
  if (!(broadcast(both) == both[1].shape))
    fail("SHAPE", toString(both[0].shape), " does not broadcast to ", toString(both[1].shape));
  return {typeOf(c.in[0].dtype, both[1].shape)};
}

std::vector<ValueId> gradientOfBroadcastTo(GradientContext& c) { return {c.grad().id}; }

// slice {axes, begin, size, strides}: begin and size in the border's encoding, strides may be negative.
struct Cut {
  Small<Dim> begin, size;
  Small<int64_t> stride;
};

Cut cutOf(const Attrs& attrs, const Shape& whole) {
  Cut cut;
  for (const Dim& dim : whole) {
    cut.begin.push(Dim(0));
    cut.size.push(dim);
    cut.stride.push(1);
  }
  const auto axes = attrs.integers("axes"), begin = attrs.integers("begin"), size = attrs.integers("size");
  const auto strides = attrs.integers("strides", std::vector<int64_t>(axes.size(), 1));
  if (begin.size() != axes.size() || size.size() != axes.size() || strides.size() != axes.size()) {
    fail("SHAPE", "axes, begin, size and strides must have one entry for each cut axis");
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i] < 0 || axes[i] >= whole.size())
      fail("SHAPE", "axis ", axes[i], " is out of range for ", toString(whole));
    const int axis = int(axes[i]);
    const Dim from = Dim::decoded(begin[i]), count = Dim::decoded(size[i]);
    if (strides[i] == 0) fail("SHAPE", "a stride of 0");
    if (!whole[axis].perBatch && !from.perBatch && !count.perBatch && count.value > 0) {
      const int64_t last = from.value + (count.value - 1) * strides[i];
      if (from.value >= whole[axis].value || last < 0 || last >= whole[axis].value) {
        fail("SHAPE", "slice from ", from.value, " to ", last, " is outside axis ", axis, " of ", toString(whole));
      }
    }
    cut.begin[axis] = from;
    cut.size[axis] = count;
    cut.stride[axis] = strides[i];
  }
  return cut;
}

// Where the cut lies in the whole: the strided space and the element of its first corner.
std::pair<cpu::StridedSpace, int64_t> spaceOf(const Cut& cut, const Dims& whole, int64_t batch) {
  cpu::StridedSpace space;
  int64_t first = 0;
  space.rank = whole.size();
  for (int axis = 0; axis < whole.size(); ++axis) {
    const int64_t begin = cut.begin[axis].at(batch), size = cut.size[axis].at(batch), stride = cut.stride[axis];
    const int64_t last = begin + (size - 1) * stride;
    if (size > 0 && (begin >= whole[axis] || last < 0 || last >= whole[axis])) {
      fail("SHAPE", "a slice along the batch leaves it: from ", begin, " to ", last, " of ", whole[axis]);
    }
    space.dims[axis] = size;
    space.strides[axis] = strideOf(whole, axis) * stride;
    first += begin * strideOf(whole, axis);
  }
  return {space, first};
}

std::vector<ValueType> inferSlice(const InferContext& c) {
  return {typeOf(c.in[0].dtype, cutOf(c.attrs, c.in[0].shape).size)};
}

std::vector<ValueId> gradientOfSlice(GradientContext& c) {
  Attrs attributes = c.attrs();
  attributes.set("shape", encoded(c.in(0).shape()));
  return {apply("sliceGradient", {c.grad()}, attributes).id};
}

std::vector<ValueType> inferSliceGradient(const InferContext& c) {
  const Shape whole = shapeAttr(c.attrs, "shape");
  if (!(cutOf(c.attrs, whole).size == c.in[0].shape)) fail("SHAPE", "the input is not a slice of ", toString(whole));
  return {typeOf(c.in[0].dtype, whole)};
}

std::vector<ValueId> gradientOfSliceGradient(GradientContext& c) { return {apply("slice", {c.grad()}, c.attrs()).id}; }

std::vector<ValueType> inferPad(const InferContext& c) {
  Shape out = c.in[0].shape;
  const auto padding = c.attrs.integers("padding");
  if (padding.size() != 2 * size_t(out.size())) fail("SHAPE", "padding needs two entries for each axis");
  for (int i = 0; i < out.size(); ++i) {
    const int64_t extra = padding[2 * size_t(i)] + padding[2 * size_t(i) + 1];
    if (padding[2 * size_t(i)] < 0 || padding[2 * size_t(i) + 1] < 0) fail("SHAPE", "padding must not be negative");
    if (extra && out[i].perBatch) fail("SHAPE", "the batch axis cannot be padded");
    out[i].value += extra;
  }
  return {typeOf(c.in[0].dtype, out)};
}

// pad is the placing of a slice into a filled whole.
Attrs innerOfPad(const Attrs& attributes, const Shape& in) {
  std::vector<int64_t> axes, begin, size, strides;
  const auto padding = attributes.integers("padding");
  for (int i = 0; i < in.size(); ++i) {
    axes.push_back(i);
    begin.push_back(padding[2 * size_t(i)]);
    size.push_back(in[i].encoded());
    strides.push_back(1);
  }
  return attrs({{"axes", axes}, {"begin", begin}, {"size", size}, {"strides", strides}});
}

std::vector<ValueId> gradientOfPad(GradientContext& c) {
  return {apply("slice", {c.grad()}, innerOfPad(c.attrs(), c.in(0).shape())).id};
}

// Reads through strides into a contiguous output.
Lowering lowerCopy(const LowerContext& c, const cpu::StridedSpace& space, int64_t first) {
  const int64_t width = byteSize(c.out[0].dtype), count = c.out[0].count();
  return {.launch =
              [=, copy = c.kernels.copyStrided](const StepArgs& args) {
                const Range range = args.split(count, 64);
                if (!range.empty())
                  copy(space, width, args.in<std::byte>(0) + first * width, args.out<void>(), range.begin, range.end);
              },
          .cost = double(count) * 0.4};
}

// Fills the output, then writes the input through strides into it.
Lowering lowerPlace(const LowerContext& c, const cpu::StridedSpace& space, int64_t first, uint32_t background) {
  const int64_t width = byteSize(c.out[0].dtype), count = c.out[0].count(), inner = c.in[0].count();
  return {.launch =
              [=, fill = c.kernels.fill, scatter = c.kernels.scatterStrided](const StepArgs& args) {
                const Range whole = args.split(count, 64);
                if (!whole.empty())
                  fill(args.out<std::byte>() + whole.begin * width, width, background, whole.end - whole.begin);
                args.barrier();
                const Range range = args.split(inner, 64);
                if (!range.empty())
                  scatter(space, width, args.in<void>(0), args.out<std::byte>() + first * width, range.begin,
                          range.end);
              },
          .cost = double(count) * 0.2 + double(inner) * 0.4};
}

Lowering lowerTranspose(const LowerContext& c) {
  const auto perm = c.attrs().integers("perm");
  cpu::StridedSpace space;
  space.rank = int(perm.size());
  for (int i = 0; i < space.rank; ++i) {
    space.dims[i] = c.out[0].dims[i];
    space.strides[i] = strideOf(c.in[0].dims, int(perm[size_t(i)]));
  }
  return lowerCopy(c, space, 0);
}

Lowering lowerBroadcastTo(const LowerContext& c) {
  const Dims &in = c.in[0].dims, &out = c.out[0].dims;
  cpu::StridedSpace space;
  space.rank = out.size();
  for (int i = 0; i < out.size(); ++i) {
    const int own = i - (out.size() - in.size());
    space.dims[i] = out[i];
    space.strides[i] = own < 0 || in[own] == 1 ? 0 : strideOf(in, own);
  }
  return lowerCopy(c, space, 0);
}

Lowering lowerSlice(const LowerContext& c) {
  const Shape& whole = c.graph.type(c.node.inputs[0]).shape;
  const auto [space, first] = spaceOf(cutOf(c.attrs(), whole), c.in[0].dims, c.batch);
  return lowerCopy(c, space, first);
}

Lowering lowerSliceGradient(const LowerContext& c) {
  const auto [space, first] = spaceOf(cutOf(c.attrs(), c.outShape()), c.out[0].dims, c.batch);
  return lowerPlace(c, space, first, 0);
}

Lowering lowerPad(const LowerContext& c) {
  const Attrs inner = innerOfPad(c.attrs(), c.graph.type(c.node.inputs[0]).shape);
  const auto [space, first] = spaceOf(cutOf(inner, c.outShape()), c.out[0].dims, c.batch);
  const double value = c.attrs().real("value", 0);
  const uint32_t bits = c.out[0].dtype == DType::f32 ? std::bit_cast<uint32_t>(float(value)) : uint32_t(int32_t(value));
  return lowerPlace(c, space, first, bits);
}

const OpDef table[] = {
    {.name = "transpose",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = inferTranspose,
     .gradient = gradientOfTranspose,
     .lower = lowerTranspose},
    {.name = "broadcastTo",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = inferBroadcastTo,
     .gradient = gradientOfBroadcastTo,
     .lower = lowerBroadcastTo},
    {.name = "slice",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = inferSlice,
     .gradient = gradientOfSlice,
     .lower = lowerSlice},
    {.name = "sliceGradient",
     .minInputs = 1,
     .maxInputs = 1,
     .infer = inferSliceGradient,
     .gradient = gradientOfSliceGradient,
     .lower = lowerSliceGradient},
    {.name = "pad", .minInputs = 1, .maxInputs = 1, .infer = inferPad, .gradient = gradientOfPad, .lower = lowerPad},
};

}  // namespace

std::span<const OpDef> moveOps() { return table; }

}  // namespace chainrule::ops
