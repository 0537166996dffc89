#include "cuda/ops/gemm.h"

#include <algorithm>

#include "cuda/kernels/gemm.cuh"

namespace chainrule::cuda {
namespace {

constexpr int64_t kBusy = 132;       // blocks that keep a large GPU busy
constexpr int64_t kLeastPart = 256;  // of the sum

int64_t tiles(const Gemm& gemm, int64_t size) {
  return (gemm.m + size - 1) / size * ((gemm.n + size - 1) / size) * gemm.batchCount;
}

int tileSize(const Gemm& gemm, bool tf32) {
  if (tiles(gemm, 128) >= kBusy && std::min(gemm.m, gemm.n) > 64) return 128;
  return tf32 || tiles(gemm, 64) >= kBusy ? 64 : 32;
}

using GemmKernel = Kernel<Gemm>;

// By math, tile, contiguous directions and kind of A.
GemmKernel kernelFor(bool tf32, int size, bool aAlongK, bool bAlongK, bool windowed) {
#define CHOOSE(math, size)                                                                                       \
  return windowed ? (bAlongK   ? KERNEL(gemm##math##size##KKWindowed)                                            \
                     : aAlongK ? KERNEL(gemm##math##size##KXWindowed)                                            \
                               : KERNEL(gemm##math##size##XXWindowed))                                           \
                  : (aAlongK ? (bAlongK ? KERNEL(gemm##math##size##KKPlain) : KERNEL(gemm##math##size##KXPlain)) \
                             : (bAlongK ? KERNEL(gemm##math##size##XKPlain) : KERNEL(gemm##math##size##XXPlain)))
  if (tf32) {
    if (size == 128) CHOOSE(Tf32, 128);
    CHOOSE(Tf32, 64);
  }
  if (size == 128) CHOOSE(Exact, 128);
  if (size == 64) CHOOSE(Exact, 64);
  CHOOSE(Exact, 32);
#undef CHOOSE
}

int64_t tileFloats(int64_t size, bool alongK) { return alongK ? size * (kGemmDepth + 4) : kGemmDepth * (size + 8); }

// Whether every run of four elements in the contiguous direction can be read at once.
bool isWide(const GemmOperand& operand, bool alongK) {
  if (reinterpret_cast<uintptr_t>(operand.data) % 16 != 0) return false;
  for (int64_t stride : operand.batch) {
    if (stride % 4 != 0) return false;
  }
  const bool cut = operand.innerCount != INT64_MAX;
  if (alongK)
    return operand.inner == 1 && operand.x % 4 == 0 &&
           (!cut || (operand.innerCount % 4 == 0 && operand.outer % 4 == 0));
  return operand.x == 1 && operand.inner % 4 == 0 && (!cut || operand.outer % 4 == 0);
}

bool isWide(const GemmWindow& window, const GemmOperand& operand) {
  return reinterpret_cast<uintptr_t>(operand.data) % 16 == 0 && window.channels % 4 == 0 && window.pixel % 4 == 0 &&
         window.row % 4 == 0 && window.image % 4 == 0 && operand.batch[kGemmBatchRank - 1] % 4 == 0;
}

}  // namespace

GemmOperand rowsOperand(int64_t row, bool transposed) {
  return {.x = transposed ? 1 : row, .inner = transposed ? row : 1};
}
GemmOperand columnsOperand(int64_t row, bool transposed) {
  return {.x = transposed ? row : 1, .inner = transposed ? 1 : row};
}

int64_t planGemm(Gemm& gemm) {
  gemm.parts = 1;
  gemm.kPart = std::max<int64_t>(gemm.k, 1);
  const int64_t count = tiles(gemm, 64);
  if (count == 0 || count >= kBusy || gemm.k < 2 * kLeastPart) return 0;
  const int64_t wanted = std::min((2 * kBusy + count - 1) / count, gemm.k / kLeastPart);
  gemm.kPart = ((gemm.k + wanted - 1) / wanted + kGemmDepth - 1) / kGemmDepth * kGemmDepth;
  gemm.parts = (gemm.k + gemm.kPart - 1) / gemm.kPart;
  return gemm.parts > 1 ? gemm.parts * gemm.batchCount * gemm.m * gemm.n * int64_t(sizeof(float)) : 0;
}

void runGemm(Queue& queue, Gemm gemm, void* scratch, bool tf32, bool windowed) {
  const int64_t size = tileSize(gemm, tf32);
  const bool aAlongK = windowed ? !gemm.window.rowsAreTaps : gemm.a.inner == 1 || gemm.a.x != 1;
  const bool bAlongK = gemm.b.inner == 1 && gemm.b.x != 1;
  gemm.wideA = windowed ? isWide(gemm.window, gemm.a) : isWide(gemm.a, aAlongK);
  gemm.wideB = isWide(gemm.b, bAlongK);
  gemm.partial = static_cast<float*>(scratch);
  LaunchSize launch;
  launch.grid.x = (gemm.m + size - 1) / size * ((gemm.n + size - 1) / size);
  launch.grid.y = std::min<int64_t>(gemm.batchCount * gemm.parts, 65535);
  launch.block.x = kGemmThreads;
  launch.sharedBytes = 2 * (tileFloats(size, aAlongK) + tileFloats(size, bAlongK)) * int64_t(sizeof(float));
  if (windowed) launch.sharedBytes += (size + kGemmDepth) * int64_t(sizeof(WindowPart));
  queue.launch(kernelFor(tf32, int(size), aAlongK, bAlongK, windowed), launch, gemm);
  if (gemm.parts > 1) {
    LaunchSize join = threadsFor(gemm.batchCount * gemm.m * gemm.n);
    join.grid.x = std::min<int64_t>(join.grid.x, 8 * kBusy);
    queue.launch(KERNEL(gemmJoin), join, gemm);
  }
}

}  // namespace chainrule::cuda
