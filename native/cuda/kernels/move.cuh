#pragma once

// Ops that rearrange elements (cuda/strided.h).

#include "cuda/kernels/index.cuh"
#include "cuda/strided.h"

namespace chainrule::cuda {

struct alignas(16) Wide {
  uint32_t word[4];
};

template <typename T>
DEVICE void copySpace(const DeviceCopySpace& s) {
  const int64_t i = globalThread();
  if (i >= s.count) return;
  int64_t rest = i, offset = 0;
  for (int axis = s.rank - 1; axis > 0; --axis) {
    const Quotient q = divide(rest, s.dims[axis]);
    offset += q.rest * s.strides[axis];
    rest = q.quotient;
  }
  offset += rest * s.strides[0];
  static_cast<T*>(s.out)[i] = static_cast<const T*>(s.in)[offset];
}
KERNEL_BODY __launch_bounds__(256) copyStrided(DeviceCopySpace s) {
  if (s.width == 4) return copySpace<uint32_t>(s);
  if (s.width == 16) return copySpace<Wide>(s);
  copySpace<uint8_t>(s);
}

// Tiles of 32 x 32 through shared memory, so that both sides touch neighbouring addresses. Blocks of 32 x 8 threads.
template <typename T>
DEVICE void copyTile(const DeviceCopySpace& s, T (*tile)[33]) {
  const int last = s.rank - 1, lane = int(threadIdx.x) % 32, row = int(threadIdx.x) / 32;
  const int64_t across = s.dims[last], along = s.dims[s.inAxis];
  Quotient q = divide(blockIdx.x, (across + 31) / 32);
  const int64_t firstAcross = q.rest * 32;
  q = divide(q.quotient, (along + 31) / 32);
  const int64_t firstAlong = q.rest * 32;
  int64_t in = 0, out = 0, rest = q.quotient, step = across, outStep = 1;
  for (int axis = last - 1; axis >= 0; --axis) {
    if (axis == s.inAxis) {
      outStep = step;
    } else {
      q = divide(rest, s.dims[axis]);
      in += q.rest * s.strides[axis];
      out += q.rest * step;
      rest = q.quotient;
    }
    step *= s.dims[axis];
  }
  const T* const from = static_cast<const T*>(s.in) + in;
  T* const to = static_cast<T*>(s.out) + out;
#pragma unroll
  for (int k = 0; k < 32; k += 8) {
    const int64_t x = firstAlong + lane, y = firstAcross + row + k;
    if (x < along && y < across) tile[row + k][lane] = from[x + y * s.strides[last]];
  }
  syncBlock();
#pragma unroll
  for (int k = 0; k < 32; k += 8) {
    const int64_t x = firstAlong + row + k, y = firstAcross + lane;
    if (x < along && y < across) to[x * outStep + y] = tile[lane][row + k];
  }
}
KERNEL_BODY __launch_bounds__(256) copyTiles(DeviceCopySpace s) {
  __shared__ uint32_t tile[32][33];
  if (s.width == 4) return copyTile<uint32_t>(s, tile);
  copyTile<uint8_t>(s, reinterpret_cast<uint8_t(*)[33]>(&tile[0][0]));
}

template <typename T>
DEVICE void placeSpace(const DevicePlaceSpace& s, T background) {
  const int64_t i = globalThread();
  if (i >= s.count) return;
  int64_t rest = i, offset = 0, step = 1;
  bool inside = true;
  for (int axis = s.rank - 1; axis >= 0; --axis) {
    int64_t place = rest;
    if (axis > 0) {
      const Quotient q = divide(rest, s.dims[axis]);
      place = q.rest;
      rest = q.quotient;
    }
    const int64_t stride = s.stride[axis];
    int64_t k = place - s.begin[axis];
    if (stride < 0) k = -k;
    if (stride != 1 && k > 0) {
      const Quotient q = divide(k, stride < 0 ? -stride : stride);
      inside = inside && q.rest == 0;
      k = q.quotient;
    }
    inside = inside && k >= 0 && k < s.size[axis];
    offset += k * step;
    step *= s.size[axis];
  }
  static_cast<T*>(s.out)[i] = inside ? static_cast<const T*>(s.in)[offset] : background;
}
KERNEL_BODY __launch_bounds__(256) placeStrided(DevicePlaceSpace s) {
  if (s.width == 4) return placeSpace<uint32_t>(s, s.background);
  placeSpace<uint8_t>(s, uint8_t(s.background));
}

template <typename T>
DEVICE void joinPieces(const DeviceJoin& s) {
  const int64_t size = s.end[s.pieces - 1];
  const int64_t i = globalThread();
  if (i >= s.rows * size) return;
  const Quotient q = divide(i, size);
  const int32_t column = int32_t(q.rest);
  int low = 0, high = s.pieces - 1;  // the piece that ends after the column
  while (low < high) {
    const int middle = (low + high) / 2;
    if (s.end[middle] > column) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  const int32_t begin = low == 0 ? 0 : s.end[low - 1];
  static_cast<T*>(s.out)[q.quotient * s.rowSize + s.first + column] =
      static_cast<const T*>(s.in[low])[q.quotient * (s.end[low] - begin) + column - begin];
}
KERNEL_BODY __launch_bounds__(256) joinRows(const __grid_constant__ DeviceJoin s) {
  if (s.width == 4) return joinPieces<uint32_t>(s);
  if (s.width == 16) return joinPieces<Wide>(s);
  joinPieces<uint8_t>(s);
}

KERNEL_BODY __launch_bounds__(256) packMembers(const __grid_constant__ DevicePack s) {
  const DevicePack::Member& member = s.member[blockIdx.y];
  float* const out = s.out + member.offset;
  if (member.in) {
    for (int64_t i = globalThread(); i < member.size; i += globalThreads()) out[i] = member.in[i];
  }
  if (blockIdx.x == 0 && int(threadIdx.x) < member.padding) out[member.size + threadIdx.x] = 0.0f;
}

KERNEL_BODY __launch_bounds__(256) iotaKernel(int32_t* out, int64_t count, int64_t n, int64_t inner) {
  const int64_t i = globalThread();
  if (i < count) out[i] = int32_t(divide(divide(i, inner).quotient, n).rest);
}

}  // namespace chainrule::cuda
