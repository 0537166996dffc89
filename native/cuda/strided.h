#pragma once

#include <cstdint>

namespace chainrule::cuda {

constexpr int kSpaceRank = 8;

// A contiguous output over `dims` whose elements are read at strides; elements are `width` bytes: 1, 4 or 16.
struct DeviceCopySpace {
  const void* in;  // of the first element
  void* out;
  int64_t count;
  int64_t dims[kSpaceRank], strides[kSpaceRank];  // strides may be 0 or negative
  int32_t rank, width;
  int32_t inAxis;  // of a tiled copy: the axis along which the input is contiguous; the output's is the last
};

// An output over `dims` into which a smaller input is placed: begin + k * stride holds the input's k, the rest is
// `background`.
struct DevicePlaceSpace {
  const void* in;
  void* out;
  int64_t count;
  int64_t dims[kSpaceRank], begin[kSpaceRank], size[kSpaceRank], stride[kSpaceRank];
  int32_t rank, width;
  uint32_t background;
};

constexpr int kJoinPieces = 128;

// Rows of the output are the rows of the inputs, one after the other. Sizes count elements of `width` bytes.
struct DeviceJoin {
  void* out;
  int64_t rows, rowSize;  // of the output
  int64_t first;          // where in a row these pieces begin
  int32_t pieces, width;
  const void* in[kJoinPieces];
  int32_t end[kJoinPieces];  // of each piece, counted from `first`
};

// Vectors of floats that are put at offsets of one, and zeros after them.
struct DevicePack {
  float* out;
  struct Member {
    const float* in;  // null: it lies there already
    int64_t offset;
    int32_t size, padding;
  } member[kJoinPieces];
};

}  // namespace chainrule::cuda
