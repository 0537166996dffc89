#pragma once

// Pooling over NHWC: a thread owns one or four neighbouring channels of one pixel of its output, of the image in the
// gradients; those gather from the windows over the pixel, in their order. Windows are clipped to the image.

#include "cuda/kernels/grid.cuh"
#include "cuda/pool.h"

namespace chainrule::cuda {

struct PoolSpan {
  int32_t begin, end;
};
// The part of a window that lies in the image, in the window's coordinates.
DEVICE PoolSpan clippedWindow(int32_t origin, int32_t kernel, int32_t size) {
  return {origin < 0 ? -origin : 0, kernel < size - origin ? kernel : size - origin};
}
// The output positions whose windows contain position p.
DEVICE PoolSpan windowsOver(int32_t p, int32_t pad, int32_t kernel, int32_t stride, int32_t outputs) {
  const int32_t first = p + pad - kernel + 1, last = (p + pad) / stride + 1;
  return {first <= 0 ? 0 : (first + stride - 1) / stride, last < outputs ? last : outputs};
}

struct PoolPlace {
  int64_t image;
  int32_t row, column, channel;
};
// Of item i of [images][h][w][c]; divisions of 64 bits are many times dearer.
template <typename Index>
DEVICE PoolPlace poolPlaceBy(Index i, Index h, Index w, Index c) {
  const Index pixel = i / c, line = pixel / w, image = line / h;
  return {int64_t(image), int32_t(line - image * h), int32_t(pixel - line * w), int32_t(i - pixel * c)};
}
DEVICE PoolPlace poolPlace(int64_t i, int32_t h, int32_t w, int32_t c) {
  return i <= INT32_MAX ? poolPlaceBy<uint32_t>(uint32_t(i), uint32_t(h), uint32_t(w), uint32_t(c))
                        : poolPlaceBy<int64_t>(i, h, w, c);
}

template <int wide>
struct alignas(4 * wide) PoolFloats {
  float v[wide];
};
template <int wide>
struct alignas(wide) PoolBytes {
  uint8_t v[wide];
};
template <int wide>
struct alignas(4 * wide) PoolWords {
  int32_t v[wide];
};

template <int wide>
DEVICE PoolFloats<wide> poolLoad(const float* x, int64_t at) {
  return *reinterpret_cast<const PoolFloats<wide>*>(x + at);
}
template <int wide>
DEVICE void poolStore(float* x, int64_t at, const PoolFloats<wide>& value) {
  *reinterpret_cast<PoolFloats<wide>*>(x + at) = value;
}

template <int wide>
DEVICE void maxPoolAt(const DevicePool& p, const float* x, float* y, void* index, int64_t item) {
  const PoolPlace at = poolPlace(item, p.oh, p.ow, p.c / wide);
  const int32_t top = at.row * p.strideH - p.padTop, left = at.column * p.strideW - p.padLeft;
  const PoolSpan rows = clippedWindow(top, p.kh, p.h), columns = clippedWindow(left, p.kw, p.w);
  const int64_t corner = ((at.image * p.h + top) * p.w + left) * p.c + int64_t(at.channel) * wide;
  PoolFloats<wide> best;
  PoolWords<wide> where;
  for (int k = 0; k < wide; ++k) {
    best.v[k] = -__builtin_inff();
    where.v[k] = rows.begin * p.kw + columns.begin;
  }
  for (int32_t i = rows.begin; i < rows.end; ++i) {
    for (int32_t j = columns.begin; j < columns.end; ++j) {
      const PoolFloats<wide> value = poolLoad<wide>(x, corner + (int64_t(i) * p.w + j) * p.c);
      for (int k = 0; k < wide; ++k) {
        // A NaN beats numbers and is beaten by nothing.
        const bool better = best.v[k] == best.v[k] && !(value.v[k] <= best.v[k]);
        best.v[k] = better ? value.v[k] : best.v[k];
        where.v[k] = better ? i * p.kw + j : where.v[k];
      }
    }
  }
  poolStore<wide>(y, item * wide, best);
  if (!index) return;
  if (p.wideIndex) {
    static_cast<PoolWords<wide>*>(index)[item] = where;
  } else {
    PoolBytes<wide> bytes;
    for (int k = 0; k < wide; ++k) bytes.v[k] = uint8_t(where.v[k]);
    static_cast<PoolBytes<wide>*>(index)[item] = bytes;
  }
}

template <int wide>
DEVICE void averagePoolAt(const DevicePool& p, const float* x, float* y, int64_t item) {
  const PoolPlace at = poolPlace(item, p.oh, p.ow, p.c / wide);
  const int32_t top = at.row * p.strideH - p.padTop, left = at.column * p.strideW - p.padLeft;
  const PoolSpan rows = clippedWindow(top, p.kh, p.h), columns = clippedWindow(left, p.kw, p.w);
  const int64_t corner = ((at.image * p.h + top) * p.w + left) * p.c + int64_t(at.channel) * wide;
  PoolFloats<wide> sum = {};
  for (int32_t i = rows.begin; i < rows.end; ++i) {
    for (int32_t j = columns.begin; j < columns.end; ++j) {
      const PoolFloats<wide> value = poolLoad<wide>(x, corner + (int64_t(i) * p.w + j) * p.c);
      for (int k = 0; k < wide; ++k) sum.v[k] += value.v[k];
    }
  }
  const float scale = 1.0f / float((rows.end - rows.begin) * (columns.end - columns.begin));
  for (int k = 0; k < wide; ++k) sum.v[k] *= scale;
  poolStore<wide>(y, item * wide, sum);
}

// `gather(out, row, column, sum)` adds what one window gives: `out` is the place of its value, row and column those of
// the pixel in it.
template <int wide, typename Gather>
DEVICE void poolGradientAt(const DevicePool& p, float* dx, int64_t item, Gather gather) {
  const PoolPlace at = poolPlace(item, p.h, p.w, p.c / wide);
  const PoolSpan rows = windowsOver(at.row, p.padTop, p.kh, p.strideH, p.oh),
                 columns = windowsOver(at.column, p.padLeft, p.kw, p.strideW, p.ow);
  PoolFloats<wide> sum = {};
  for (int32_t i = rows.begin; i < rows.end; ++i) {
    for (int32_t j = columns.begin; j < columns.end; ++j) {
      const int64_t out = ((at.image * p.oh + i) * p.ow + j) * p.c + int64_t(at.channel) * wide;
      gather(out, i * p.strideH - p.padTop, j * p.strideW - p.padLeft, at, sum);
    }
  }
  poolStore<wide>(dx, item * wide, sum);
}

template <int wide>
DEVICE void maxPoolGradientAt(const DevicePool& p, const float* dy, const void* index, float* dx, int64_t item) {
  const auto gather = [&](int64_t out, int32_t top, int32_t left, const PoolPlace& at, PoolFloats<wide>& sum) {
    const int32_t place = (at.row - top) * p.kw + at.column - left;
    const PoolFloats<wide> d = poolLoad<wide>(dy, out);
    PoolWords<wide> where;
    if (p.wideIndex) {
      where = static_cast<const PoolWords<wide>*>(index)[out / wide];
    } else {
      const PoolBytes<wide> bytes = static_cast<const PoolBytes<wide>*>(index)[out / wide];
      for (int k = 0; k < wide; ++k) where.v[k] = bytes.v[k];
    }
    for (int k = 0; k < wide; ++k) sum.v[k] += where.v[k] == place ? d.v[k] : 0.0f;
  };
  poolGradientAt<wide>(p, dx, item, gather);
}

template <int wide>
DEVICE void averagePoolGradientAt(const DevicePool& p, const float* dy, float* dx, int64_t item) {
  const auto gather = [&](int64_t out, int32_t top, int32_t left, const PoolPlace&, PoolFloats<wide>& sum) {
    const PoolSpan rows = clippedWindow(top, p.kh, p.h), columns = clippedWindow(left, p.kw, p.w);
    const float scale = 1.0f / float((rows.end - rows.begin) * (columns.end - columns.begin));
    const PoolFloats<wide> d = poolLoad<wide>(dy, out);
    for (int k = 0; k < wide; ++k) sum.v[k] = fmaOf(d.v[k], scale, sum.v[k]);
  };
  poolGradientAt<wide>(p, dx, item, gather);
}

DEVICE int64_t poolItems(const DevicePool& p, int32_t h, int32_t w) {
  return p.images * h * w * (p.four ? p.c / 4 : p.c);
}

KERNEL_BODY maxPoolKernel(const __grid_constant__ DevicePool p, const float* x, float* y, void* index) {
  const int64_t item = globalThread();
  if (item >= poolItems(p, p.oh, p.ow)) return;
  if (p.four) {
    maxPoolAt<4>(p, x, y, index, item);
  } else {
    maxPoolAt<1>(p, x, y, index, item);
  }
}
KERNEL_BODY averagePoolKernel(const __grid_constant__ DevicePool p, const float* x, float* y) {
  const int64_t item = globalThread();
  if (item >= poolItems(p, p.oh, p.ow)) return;
  if (p.four) {
    averagePoolAt<4>(p, x, y, item);
  } else {
    averagePoolAt<1>(p, x, y, item);
  }
}
KERNEL_BODY maxPoolGradientKernel(const __grid_constant__ DevicePool p, const float* dy, const void* index, float* dx) {
  const int64_t item = globalThread();
  if (item >= poolItems(p, p.h, p.w)) return;
  if (p.four) {
    maxPoolGradientAt<4>(p, dy, index, dx, item);
  } else {
    maxPoolGradientAt<1>(p, dy, index, dx, item);
  }
}
KERNEL_BODY averagePoolGradientKernel(const __grid_constant__ DevicePool p, const float* dy, float* dx) {
  const int64_t item = globalThread();
  if (item >= poolItems(p, p.h, p.w)) return;
  if (p.four) {
    averagePoolGradientAt<4>(p, dy, dx, item);
  } else {
    averagePoolGradientAt<1>(p, dy, dx, item);
  }
}

}  // namespace chainrule::cuda
