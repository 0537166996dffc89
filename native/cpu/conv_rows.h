#pragma once

#include <cstdint>

#include "cpu/types.h"

// How the convolution kernels walk an image: blocks of output rows whose source rows stay in L2, copied with zeros at
// both ends when windows reach over the edge. Shared by the kernels and by convScratchBytes.
namespace chainrule::cpu {

constexpr int64_t kConvBlockBytes = 128 << 10;

constexpr int64_t floorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0); }

struct ConvRows {
  int64_t height = 0, width = 0, channels = 0;  // of the source image
  int64_t left = 0, columns = 0;                // windows see columns [-left, -left + columns)
  bool copies = false;                          // those are not all inside
  int64_t pitch = 0;                            // floats of a row as windows see it
  int64_t block = 1;                            // output rows per block
  int64_t slots = 0;                            // source rows of a block

  constexpr int64_t bytes() const { return copies ? slots * pitch * 4 : 0; }
};

// A stride of a large power of two would put a column of pixels into one cache set.
constexpr int64_t convPitch(int64_t floats) {
  const int64_t rounded = (floats + 15) / 16 * 16;
  return rounded % 512 == 0 ? rounded + 16 : rounded;
}

// step: source rows per output row; reach: source rows of one output row.
constexpr ConvRows convRows(int64_t height, int64_t width, int64_t channels, int64_t left, int64_t columns,
                            bool zeroRows, int64_t outputRows, int64_t step, int64_t reach) {
  ConvRows rows;
  rows.height = height;
  rows.width = width;
  rows.channels = channels;
  rows.left = left;
  rows.columns = columns;
  rows.copies = zeroRows || left > 0 || columns - left > width;
  rows.pitch = rows.copies ? convPitch(columns * channels) : width * channels;
  const int64_t fit = kConvBlockBytes / (rows.pitch * 4);
  rows.block = (fit - reach) / (step < 1 ? 1 : step) + 1;
  if (rows.block > outputRows) rows.block = outputRows;
  if (rows.block < 1) rows.block = 1;
  rows.slots = (rows.block - 1) * step + reach;
  return rows;
}

// Few channels: runs along the window are too short for a loop of their own, and the micro-kernel takes a table of
// offsets instead.
constexpr bool convIsNarrow(const ConvShape& s) { return s.groups == 1 && s.cin * (s.dilationW == 1 ? s.kw : 1) < 16; }

constexpr ConvRows convForwardRows(const ConvShape& s) {
  const int64_t reach = (s.kh - 1) * s.dilationH + 1;
  const bool zeroRows = convIsNarrow(s) && (s.padTop > 0 || (s.oh - 1) * s.strideH - s.padTop + reach > s.h);
  return convRows(s.h, s.w, s.cin, s.padLeft, (s.ow - 1) * s.strideW + (s.kw - 1) * s.dilationW + 1, zeroRows, s.oh,
                  s.strideH, reach);
}

// dx of a row looks at dy rows up to (kh - 1) dilation / stride apart.
constexpr ConvRows convBackwardRows(const ConvShape& s) {
  const int64_t first = floorDiv(s.padLeft - (s.kw - 1) * s.dilationW, s.strideW),
                last = (s.w - 1 + s.padLeft) / s.strideW;
  return convRows(s.oh, s.ow, s.cout, -first, last - first + 1, false, s.h, 1,
                  (s.kh - 1) * s.dilationH / s.strideH + 2);
}

// A pointwise convolution is a matrix product over all pixels.
constexpr bool convIsPointwise(const ConvShape& s) {
  return s.groups == 1 && s.kh == 1 && s.kw == 1 && s.strideH == 1 && s.strideW == 1 && s.padTop == 0 &&
         s.padLeft == 0 && s.oh == s.h && s.ow == s.w;
}

// The filter gradient sums over blocks of about 192 pixels, so that a panel of dy and the lines of x under a tile fit
// in L1.
constexpr int64_t kFilterPixels = 192;
constexpr int64_t kFilterPanels = 2;  // at most, of dy, side by side
constexpr int64_t convFilterPixels(const ConvShape& s, int64_t rows) {
  return s.ow <= 2 * kFilterPixels ? rows * s.ow : kFilterPixels;
}
constexpr ConvRows convFilterRows(const ConvShape& s) {
  ConvRows rows = convRows(s.h, s.w, s.cin, s.padLeft, (s.ow - 1) * s.strideW + (s.kw - 1) * s.dilationW + 1, false,
                           s.oh, s.strideH, (s.kh - 1) * s.dilationH + 1);
  const int64_t wanted = (kFilterPixels + s.ow - 1) / s.ow;
  if (rows.block > wanted) rows.block = wanted;
  rows.slots = (rows.block - 1) * s.strideH + (s.kh - 1) * s.dilationH + 1;
  return rows;
}
// dy is copied into panels unless so few filter rows use it that reading it in place is cheaper.
constexpr bool convPacksGradient(const ConvShape& s) { return s.filterRows() >= 48 || s.groupOut() % kPanel != 0; }

}  // namespace chainrule::cpu
