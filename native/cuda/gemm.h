#pragma once

#include <cstdint>

// What the product kernels take by value.
namespace chainrule::cuda {

constexpr int kGemmBatchRank = 6;

// A matrix of the product: element (x, k), x being a row of A or a column of B. k counts (outer, inner), so that an
// axis of the sum may consist of two.
struct GemmOperand {
  const void* data = nullptr;    // floats, or the halves of bfloat16
  int64_t x = 0;                 // strides
  int64_t inner = 0, outer = 0;  // of k % innerCount and k / innerCount
  int64_t innerCount = INT64_MAX;
  int64_t batch[kGemmBatchRank] = {};  // of the batch's axes
};

// A as the windows of an image [n, height, width, channels]: an element of a window is a pixel (of a grid over the
// images) and a tap (kh, kw, channel) of the filter.
//   h = pixelRow * step + add + kh * tap; it must be a multiple of `divide`, and h / divide a row of the image.
struct GemmWindow {
  bool rowsAreTaps = false;  // x counts taps and k pixels; else the other way round
  int32_t gridHeight = 0, gridWidth = 0;
  int32_t taps[2] = {}, channels = 0;
  int32_t step[2] = {}, add[2] = {}, tap[2] = {}, divide[2] = {1, 1};
  int32_t height = 0, width = 0;  // of the image
  int64_t image = 0;              // strides: of an image,
  int64_t row = 0, pixel = 0;     // a row and a pixel
};

struct Gemm {
  int64_t m = 0, n = 0, k = 0;
  GemmOperand a, b;
  void* c = nullptr;  // floats, or halfC: bfloat16, to which results are rounded
  int64_t cRow = 0;
  int64_t cBatch[kGemmBatchRank] = {};
  int64_t batchDims[kGemmBatchRank] = {1, 1, 1, 1, 1, 1};
  int64_t batchCount = 1;
  bool accumulate = false;     // c += instead of c =; of floats
  const void* bias = nullptr;  // of n: floats, or halfBias
  int64_t biasBatch = 0;       // its stride from product to product
  const void* gate = nullptr;  // as C, or halfGate: where it is not positive, C is 0
  bool halfC = false, halfBias = false, halfGate = false, relu = false;
  // The sum cut into so many parts of kPart: their results go to `partial` [part][batch][m][n] and are added up by
  // gemmJoin in order.
  int64_t parts = 1, kPart = 0;
  float* partial = nullptr;
  // Runs of 16 bytes along the contiguous direction are aligned; those of A and B do not end in between.
  bool wideA = false, wideB = false, wideC = false;
  GemmWindow window;
};

}  // namespace chainrule::cuda
