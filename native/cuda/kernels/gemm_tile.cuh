#pragma once

// Tiles of the operands of a product in shared memory, and the copies that fill them without passing through registers.

#include "cuda/gemm.h"
#include "cuda/kernels/four.cuh"
#include "cuda/kernels/mma.cuh"

namespace chainrule::cuda {

// Neighbours that one copy moves.
template <typename Element>
constexpr int kGemmRun = 16 / int(sizeof(Element));

// A tile of `size` elements x by `depth` k, copied by `threads` threads. alongK: the operand is contiguous along k.
// transposed: such an operand lies along x in the tile all the same.
template <typename Element_, int size, int depth, int threads, bool alongK, bool transposed>
struct GemmTile {
  using Element = Element_;
  static constexpr bool alongDepth = alongK;
  static constexpr bool rowsOfK = alongK && !transposed;  // x by k; else k by x
  static constexpr int width = kGemmRun<Element>;
  // Lanes that read a fragment, or write what they transpose, meet in no bank.
  static constexpr int row = rowsOfK ? depth + width : size + (transposed ? 4 : 8);
  static constexpr int elements = rowsOfK ? size * row : depth * row;
  static constexpr int runs = size * depth / width / threads, ones = size * depth / threads;  // of each thread
  static_assert(runs * threads * width == size * depth && row % width == 0);
  DEVICE_MEMBER static int at(int x, int k) { return rowsOfK ? x * row + k : k * row + x; }

  // Starts the copies, in runs where the source is `wide`.
  template <typename Source>
  DEVICE_MEMBER static void fill(const Source& source, Element* tile, bool wide) {
    const int thread = int(threadIdx.x);
    if (wide) {
      constexpr int along_ = alongK ? depth / width : size / width;  // runs in a contiguous line
      static_assert(threads % along_ == 0);
      const int along = thread % along_ * width, across = thread / along_;
      const auto walk = source.template walk<alongK>(across, along, threads / along_);
      Element* const to = tile + (alongK ? at(across, along) : at(along, across));
#pragma unroll
      for (int i = 0; i < runs; ++i) {
        const int shift = i * (threads / along_);
        bool valid;
        const Element* const from = source.template run<alongK>(walk, i, across + shift, valid);
        if constexpr (transposed) {
#pragma unroll
          for (int e = 0; e < width; ++e) copyOne(to + shift + e * row, from + e, valid);
        } else {
          copyAsync<16>(to + shift * row, from, valid);
        }
      }
    } else {
      // Eight lanes side by side along k, or all along x.
      constexpr int lanes = alongK ? 8 : size;
#pragma unroll 2
      for (int i = 0; i < ones; ++i) {
        const int one = i * threads + thread;
        const int x = alongK ? one / lanes % size : one % size;
        const int k = alongK ? one % lanes + one / (lanes * size) * lanes : one / size;
        bool inside;
        const Element* const from = source.one(x, k, inside);
        copyOne(tile + at(x, k), from, inside);
      }
    }
  }

 private:
  // There are no copies of two bytes that go on while the thread does.
  DEVICE_MEMBER static void copyOne(Element* to, const Element* from, bool valid) {
    if constexpr (sizeof(Element) == 4) {
      copyAsync<4>(to, from, valid);
    } else {
      *to = valid ? *from : Element(0);
    }
  }
};

DEVICE int clampCount(int64_t count) { return count > INT32_MAX ? INT32_MAX : int(count); }

// A plain operand of one product of the batch from (firstX, firstK) on. cut: its k counts (outer, inner).
template <typename Element, bool cut>
struct PlainSource {
  const GemmOperand& operand;
  const Element* data;
  int64_t firstX, xCount, kCount;
  int64_t firstK = 0;

  DEVICE_MEMBER int64_t depth(int64_t k) const {
    if (!cut) return k * operand.inner;
    const uint32_t outer = uint32_t(k) / uint32_t(operand.innerCount);  // k < 2^31: taps times channels
    return outer * operand.outer + (k - int64_t(outer) * operand.innerCount) * operand.inner;
  }
  // Runs that begin at `along` in the contiguous direction, every `step` places across it.
  struct Walk {
    const Element* from;
    int64_t step;
    int left;  // across; none where the runs lie outside
  };
  template <bool alongK>
  DEVICE_MEMBER Walk walk(int across, int along, int step) const {
    static_assert(alongK || !cut);
    if (alongK) {
      return {data + (firstX + across) * operand.x + depth(firstK + along), step * operand.x,
              firstK + along < kCount ? clampCount(xCount - firstX) : 0};
    }
    return {data + firstX + along + (firstK + across) * operand.inner, step * operand.inner,
            firstX + along < xCount ? clampCount(kCount - firstK) : 0};
  }
  template <bool alongK>
  DEVICE_MEMBER const Element* run(const Walk& walk, int i, int across, bool& valid) const {
    valid = across < walk.left;
    return walk.from + i * walk.step;
  }
  DEVICE_MEMBER const Element* one(int x, int k, bool& inside) const {
    inside = x < xCount - firstX && k < kCount - firstK;
    return data + (firstX + x) * operand.x + depth(firstK + k);
  }
};

// The share of a pixel or a tap in the place of an element of a window.
struct alignas(16) WindowPart {
  int64_t offset;
  int32_t h, w;
};
DEVICE WindowPart windowPixel(const GemmWindow& g, int64_t i) {
  int64_t row, image;
  if (i <= UINT32_MAX) {
    row = uint32_t(i) / uint32_t(g.gridWidth);
    image = uint32_t(row) / uint32_t(g.gridHeight);
  } else {
    row = i / g.gridWidth;
    image = row / g.gridHeight;
  }
  const int32_t w = int32_t(i - row * g.gridWidth), h = int32_t(row - image * g.gridHeight);
  return {image * g.image, h * g.step[0] + g.add[0], w * g.step[1] + g.add[1]};
}
DEVICE WindowPart windowTap(const GemmWindow& g, int64_t i) {
  const uint32_t tap = uint32_t(i) / uint32_t(g.channels), h = tap / uint32_t(g.taps[1]);
  return {int32_t(i - int64_t(tap) * g.channels), int32_t(h) * g.tap[0], int32_t(tap - h * g.taps[1]) * g.tap[1]};
}
DEVICE WindowPart windowPart(const GemmWindow& g, bool tap, int64_t i, int64_t count) {
  if (i >= count) return {0, INT32_MIN / 2, 0};
  return tap ? windowTap(g, i) : windowPixel(g, i);
}

// Windows of an image. The parts of the rows of the tile stay, those of k change from tile to tile; both lie in shared
// memory.
template <typename Element>
struct WindowSource {
  const GemmWindow& window;
  const Element* data;
  const WindowPart *xParts, *kParts;

  // The place of an element by its two parts, in whatever order; false where the window leaves the image.
  DEVICE_MEMBER bool find(const WindowPart& x, const WindowPart& k, const Element*& from) const {
    int32_t h = x.h + k.h, w = x.w + k.w;
    bool inside = true;
    if (window.divide[0] > 1) {
      inside = h >= 0 && h % window.divide[0] == 0;
      h /= window.divide[0];
    }
    if (window.divide[1] > 1) {
      inside = inside && w >= 0 && w % window.divide[1] == 0;
      w /= window.divide[1];
    }
    inside = inside && h >= 0 && h < window.height && w >= 0 && w < window.width;
    from = inside ? data + (x.offset + k.offset + h * window.row + w * window.pixel) : data;
    return inside;
  }
  struct Walk {
    WindowPart along;
  };
  template <bool alongK>
  DEVICE_MEMBER Walk walk(int, int along, int) const {
    return {alongK ? kParts[along] : xParts[along]};
  }
  template <bool alongK>
  DEVICE_MEMBER const Element* run(const Walk& walk, int, int across, bool& valid) const {
    const Element* from;
    valid = find(alongK ? xParts[across] : kParts[across], walk.along, from);
    return from;
  }
  DEVICE_MEMBER const Element* one(int x, int k, bool& inside) const {
    const Element* from;
    inside = find(xParts[x], kParts[k], from);
    return from;
  }
};

}  // namespace chainrule::cuda
