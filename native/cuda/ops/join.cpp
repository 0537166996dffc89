#include <vector>

#include "cuda/kernels/move.cuh"
#include "cuda/ops/sizes.h"
#include "cuda/queue.h"

// Ops that put several tensors into one, and those that make up their elements.

namespace chainrule::cuda {
namespace {

Lowering lowerConcat(const LowerContext& c) {
  const int axis = int(c.attrs().integer("axis", 0));
  const AxisSplit out = splitAt(c.out[0].dims, axis);
  const int64_t width = byteSize(c.out[0].dtype), rowBytes = out.n * out.inner * width;
  std::vector<int64_t> pieces;  // bytes of a row of each input
  bool wide = rowBytes % 16 == 0;
  for (const TensorType& in : c.in) {
    pieces.push_back(splitAt(in.dims, axis).n * out.inner * width);
    wide = wide && pieces.back() % 16 == 0;
    if (pieces.back() / width > INT32_MAX / 2) fail("UNSUPPORTED", "concat of rows of more than 2^30 elements");
  }
  Lowering lowering;
  lowering.launch = [pieces, wide, width, rowBytes, rows = out.outer](const StepArgs& args) {
    bool aligned = wide && (reinterpret_cast<uintptr_t>(args.out<void>()) & 15) == 0;
    for (size_t i = 0; i < pieces.size(); ++i) {
      if (pieces[i] > 0) aligned = aligned && (reinterpret_cast<uintptr_t>(args.in<void>(int(i))) & 15) == 0;
    }
    const int64_t unit = aligned ? 16 : width;
    DeviceJoin join{};
    join.out = args.out<void>();
    join.rows = rows;
    join.rowSize = rowBytes / unit;
    join.width = int32_t(unit);
    const auto flush = [&] {
      if (join.pieces == 0) return;
      const int64_t size = join.end[join.pieces - 1];
      queueOf(args).launch(KERNEL(joinRows), threadsFor(rows * size), join);
      join.first += size;
      join.pieces = 0;
    };
    for (size_t i = 0; i < pieces.size(); ++i) {
      if (pieces[i] == 0) continue;  // an empty input has no memory
      int64_t begin = join.pieces == 0 ? 0 : join.end[join.pieces - 1];
      if (join.pieces == kJoinPieces || begin + pieces[i] / unit > INT32_MAX) {
        flush();
        begin = 0;
      }
      join.in[join.pieces] = args.in<void>(int(i));
      join.end[join.pieces++] = int32_t(begin + pieces[i] / unit);
    }
    flush();
  };
  return lowering;
}

// Variables or their like as one flat vector. An input may have been computed in its place already.
Lowering lowerPack(const LowerContext& c) {
  std::vector<DevicePack::Member> members;
  int64_t offset = 0;  // as in groupLayout
  for (const TensorType& in : c.in) {
    const int64_t size = in.count(), end = offset + ceilDiv(size, 16) * 16;
    if (size > INT32_MAX) fail("UNSUPPORTED", "a variable of more than 2^31 elements");
    members.push_back({nullptr, offset, int32_t(size), int32_t(end - offset - size)});
    offset = end;
  }
  Lowering lowering;
  lowering.launch = [members](const StepArgs& args) {
    DevicePack pack;
    pack.out = args.out<float>();
    int64_t count = 0, longest = 0;
    const auto flush = [&] {
      const int64_t blocks = std::clamp<int64_t>(ceilDiv(longest, 1024), 1, 8 * kMultiprocessors);
      queueOf(args).launch(KERNEL(packMembers), {{blocks, count}, {256}}, pack);
      count = longest = 0;
    };
    for (size_t i = 0; i < members.size(); ++i) {
      DevicePack::Member member = members[i];
      const float* const in = args.in<float>(int(i));
      if (in != pack.out + member.offset) member.in = in;
      if (!member.in && member.padding == 0) continue;
      if (member.in) longest = std::max<int64_t>(longest, member.size);
      pack.member[count++] = member;
      if (count == kJoinPieces) flush();
    }
    flush();
  };
  return lowering;
}

Lowering lowerBatchSize(const LowerContext& c) {
  const int32_t value = int32_t(c.attrs().integer("scale", 1) * c.batch);
  Lowering lowering;
  lowering.launch = [value](const StepArgs& args) { queueOf(args).fill(args.out<void>(), uint32_t(value), 1); };
  return lowering;
}

Lowering lowerIota(const LowerContext& c) {
  const AxisSplit split = splitAt(c.out[0].dims, int(c.attrs().integer("axis", 0)));
  Lowering lowering;
  lowering.launch = [split, count = c.out[0].count()](const StepArgs& args) {
    queueOf(args).launch(KERNEL(iotaKernel), threadsFor(count), args.out<int32_t>(), count, split.n, split.inner);
  };
  return lowering;
}

constexpr Launcher table[] = {
    {"concat", lowerConcat}, {"pack", lowerPack}, {"batchSize", lowerBatchSize}, {"iota", lowerIota}};

}  // namespace

Launchers joinLaunchers() { return table; }

}  // namespace chainrule::cuda
