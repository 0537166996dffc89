// Copies between contiguous and strided memory.

// The space without axes of length 1 and with neighbours joined where strides allow.
struct Walk {
  int rank;
  int64_t dims[8], strides[8];
};
CHAINRULE_INLINE Walk simplified(const StridedSpace& space) {
  Walk walk{0, {}, {}};
  for (int axis = 0; axis < space.rank; ++axis) {
    if (space.dims[axis] == 1) continue;
    const bool joins = walk.rank > 0 && walk.strides[walk.rank - 1] == space.strides[axis] * space.dims[axis];
    const int target = joins ? walk.rank - 1 : walk.rank++;
    walk.dims[target] = joins ? walk.dims[target] * space.dims[axis] : space.dims[axis];
    walk.strides[target] = space.strides[axis];
  }
  if (walk.rank == 0) {
    walk.rank = 1;
    walk.dims[0] = 1;
  }
  return walk;
}

CHAINRULE_INLINE void copyBytes(void* dst, const void* src, int64_t bytes) {
  __builtin_memcpy(dst, src, size_t(bytes));
}

// One run along the last axis, from strided to flat or the other way round.
template <typename T, bool scatter>
CHAINRULE_INLINE void copyRun(T* strided, T* flat, int64_t stride, int64_t n) {
  if (stride == 1) {
    if (n * int64_t(sizeof(T)) >= 64)
      return scatter ? copyBytes(strided, flat, n * sizeof(T)) : copyBytes(flat, strided, n * sizeof(T));
    for (int64_t i = 0; i < n; ++i) scatter ? void(strided[i] = flat[i]) : void(flat[i] = strided[i]);
  } else {
    for (int64_t i = 0; i < n; ++i) scatter ? void(strided[i * stride] = flat[i]) : void(flat[i] = strided[i * stride]);
  }
}

template <typename T, bool scatter>
static void copyRuns(const Walk& walk, T* strided, T* flat, int64_t begin, int64_t end) {
  if (begin >= end) return;
  const int last = walk.rank - 1;
  int64_t index[8], offset = 0, rest = begin;
  for (int axis = last; axis >= 0; --axis) {
    index[axis] = rest % walk.dims[axis];
    rest /= walk.dims[axis];
    offset += index[axis] * walk.strides[axis];
  }
  for (int64_t at = begin;;) {
    const int64_t run = least(walk.dims[last] - index[last], end - at);
    copyRun<T, scatter>(strided + offset, flat + at, walk.strides[last], run);
    at += run;
    if (at == end) return;
    offset += (run - walk.dims[last]) * walk.strides[last];
    index[last] = 0;
    for (int axis = last - 1; axis >= 0; --axis) {
      offset += walk.strides[axis];
      if (++index[axis] < walk.dims[axis]) break;
      offset -= walk.strides[axis] * walk.dims[axis];
      index[axis] = 0;
    }
  }
}

// dst[i * dstStride + j] = src[i + j * srcStride], i < rows, j < columns, by blocks of 8 x 8.
static void transposeBlock(const float* src, int64_t srcStride, float* dst, int64_t dstStride, int64_t rows,
                           int64_t columns) {
  constexpr int64_t strip = 64;  // source lines that stay in L1 until all their elements are used
  for (int64_t j0 = 0; j0 < columns; j0 += strip) {
    const int64_t j1 = least(columns, j0 + strip);
    int64_t i = 0;
    for (; i + 8 <= rows; i += 8) {
      int64_t j = j0;
      for (; j + 8 <= j1; j += 8) {
        Eight block[8];
#pragma GCC unroll 8
        for (int k = 0; k < 8; ++k) block[k] = loadEight(src + i + (j + k) * srcStride);
        transpose(block);
#pragma GCC unroll 8
        for (int k = 0; k < 8; ++k) storeEight(dst + (i + k) * dstStride + j, block[k]);
      }
      for (; j < j1; ++j) {
        for (int k = 0; k < 8; ++k) dst[(i + k) * dstStride + j] = src[i + k + j * srcStride];
      }
    }
    for (; i < rows; ++i) {
      for (int64_t j = j0; j < j1; ++j) dst[i * dstStride + j] = src[i + j * srcStride];
    }
  }
}

// Copies where axis `unit` (not the last) has stride 1: transposes of the planes (unit, last).
static void copyTransposed(const Walk& walk, int unit, const float* src, float* dst, int64_t begin, int64_t end) {
  const int last = walk.rank - 1;
  int64_t row = 1;  // flat elements per step of `unit`
  for (int axis = unit + 1; axis <= last; ++axis) row *= walk.dims[axis];
  const int64_t slab = row * walk.dims[unit], middle = row / walk.dims[last];
  float* const source = const_cast<float*>(src);
  while (begin < end) {
    const int64_t inSlab = begin % slab, stop = least(end, begin - inSlab + slab);
    const int64_t first = (inSlab + row - 1) / row, beyond = (stop - (begin - inSlab)) / row;  // whole steps
    if (beyond - first < 8) {
      copyRuns<float, false>(walk, source, dst, begin, stop);
      begin = stop;
      continue;
    }
    const int64_t base = begin - inSlab;
    copyRuns<float, false>(walk, source, dst, begin, base + first * row);
    int64_t offset = first, rest = base / slab;
    for (int axis = unit - 1; axis >= 0; --axis) {
      offset += rest % walk.dims[axis] * walk.strides[axis];
      rest /= walk.dims[axis];
    }
    for (int64_t m = 0; m < middle; ++m) {
      int64_t inner = 0, r = m;
      for (int axis = last - 1; axis > unit; --axis) {
        inner += r % walk.dims[axis] * walk.strides[axis];
        r /= walk.dims[axis];
      }
      transposeBlock(src + offset + inner, walk.strides[last], dst + base + first * row + m * walk.dims[last], row,
                     beyond - first, walk.dims[last]);
    }
    copyRuns<float, false>(walk, source, dst, base + beyond * row, stop);
    begin = stop;
  }
}

static void copyStrided(const StridedSpace& space, int64_t elementBytes, const void* src, void* dst, int64_t begin,
                        int64_t end) {
  const Walk walk = simplified(space);
  if (elementBytes == 1) {
    return copyRuns<uint8_t, false>(walk, const_cast<uint8_t*>(static_cast<const uint8_t*>(src)),
                                    static_cast<uint8_t*>(dst), begin, end);
  }
  for (int axis = 0; axis + 1 < walk.rank; ++axis) {
    if (walk.strides[axis] == 1 && walk.dims[axis] >= 8 && walk.strides[walk.rank - 1] != 0) {
      return copyTransposed(walk, axis, static_cast<const float*>(src), static_cast<float*>(dst), begin, end);
    }
  }
  copyRuns<uint32_t, false>(walk, const_cast<uint32_t*>(static_cast<const uint32_t*>(src)), static_cast<uint32_t*>(dst),
                            begin, end);
}

static void scatterStrided(const StridedSpace& space, int64_t elementBytes, const void* src, void* dst, int64_t begin,
                           int64_t end) {
  const Walk walk = simplified(space);
  if (elementBytes == 1)
    copyRuns<uint8_t, true>(walk, static_cast<uint8_t*>(dst), const_cast<uint8_t*>(static_cast<const uint8_t*>(src)),
                            begin, end);
  else
    copyRuns<uint32_t, true>(walk, static_cast<uint32_t*>(dst),
                             const_cast<uint32_t*>(static_cast<const uint32_t*>(src)), begin, end);
}

static void fill(void* dst, int64_t elementBytes, uint32_t bits, int64_t count) {
  if (elementBytes == 1) {
    __builtin_memset(dst, int(bits & 255), size_t(count));
    return;
  }
  int32_t* p = static_cast<int32_t*>(dst);
  const Int value{int32_t(bits)};
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) store(p + i, value);
  for (; i < count; ++i) p[i] = int32_t(bits);
}
