#include "cuda/ops/gemm.h"

#include <algorithm>

#include "cuda/kernels/gemm_exact.cuh"
#include "cuda/kernels/gemm_tf32.cuh"
#include "cuda/ops/sizes.h"

namespace chainrule::cuda {
namespace {

// A sum is cut where the join of its parts costs less than the steps that it saves.
constexpr int64_t kLongSum = 2048, kLeastPart = 512, kPartMultiple = 64;

enum class Tile { tiny, small, medium, large };
struct TileSize {
  int64_t height, width;
};
constexpr TileSize kTiles[] = {{32, 32}, {64, 64}, {128, 128}, {128, 256}};

int64_t tileCount(const Gemm& gemm, Tile tile) {
  const auto [height, width] = kTiles[int(tile)];
  return (gemm.m + height - 1) / height * ((gemm.n + width - 1) / width) * gemm.batchCount;
}

// The largest tile of which there are enough, counting the parts of a long sum. By the shape alone.
Tile chooseTile(const Gemm& gemm) {
  const int64_t least = std::min(gemm.m, gemm.n), mostParts = gemm.k < kLongSum ? 1 : gemm.k / (2 * kLeastPart);
  if (least > 64 && gemm.n > 128 && tileCount(gemm, Tile::large) >= kMultiprocessors * 7 / 8) return Tile::large;
  if (least > 64 && tileCount(gemm, Tile::medium) * mostParts >= kMultiprocessors) return Tile::medium;
  if (least > 32 && tileCount(gemm, Tile::small) * mostParts >= kMultiprocessors) return Tile::small;
  return Tile::tiny;
}

struct Chosen {
  Kernel<Gemm> kernel;
  int64_t height, width, threads, sharedBytes;
};
template <typename Math>
Chosen chosen(Kernel<Gemm> kernel, bool windowed) {
  const int64_t floats = Math::stages * (Math::A::floats + Math::B::floats);
  const int64_t parts = windowed ? (Math::height + 2 * Math::depth) * int64_t(sizeof(WindowPart)) : 0;
  return {kernel, Math::height, Math::width, Math::threads, floats * int64_t(sizeof(float)) + parts};
}

// By math, tile, contiguous directions and kind of A.
#define CHOSEN(math, tile, a, b, window) \
  chosen<math##Math<math##tile, gemm##a, gemm##b>>(KERNEL(gemm##math##tile##a##b##window), gemm##window)
#define CHOOSE(math, tile, window)              \
  (bAlongK   ? CHOSEN(math, tile, K, K, window) \
   : aAlongK ? CHOSEN(math, tile, K, X, window) \
             : CHOSEN(math, tile, X, X, window))
#define CHOOSE_WINDOW(math, tile) (windowed ? CHOOSE(math, tile, Windowed) : CHOOSE(math, tile, Plain))
Chosen choose(const Gemm& gemm, bool tf32, bool aAlongK, bool bAlongK, bool windowed) {
  const Tile tile = chooseTile(gemm);
  if (tf32) {
    if (tile == Tile::large && !windowed) return CHOOSE(Tf32, Large, Plain);
    if (tile >= Tile::medium) return CHOOSE_WINDOW(Tf32, Medium);
    return tile == Tile::small ? CHOOSE_WINDOW(Tf32, Small) : CHOOSE_WINDOW(Tf32, Tiny);
  }
  if (tile >= Tile::medium) return CHOOSE_WINDOW(Exact, Medium);
  return tile == Tile::small ? CHOOSE_WINDOW(Exact, Small) : CHOOSE_WINDOW(Exact, Tiny);
}
#undef CHOOSE_WINDOW
#undef CHOOSE
#undef CHOSEN

// Whether every run of four elements in the contiguous direction, `count` long, can be read at once.
bool isWide(const GemmOperand& operand, bool alongK, int64_t count) {
  if (reinterpret_cast<uintptr_t>(operand.data) % 16 != 0 || count % 4 != 0) return false;
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
  const int64_t count = tileCount(gemm, chooseTile(gemm));
  if (count == 0 || count >= kMultiprocessors || gemm.k < kLongSum) return 0;
  const int64_t wanted = std::min((2 * kMultiprocessors + count - 1) / count, gemm.k / kLeastPart);
  gemm.kPart = ((gemm.k + wanted - 1) / wanted + kPartMultiple - 1) / kPartMultiple * kPartMultiple;
  gemm.parts = (gemm.k + gemm.kPart - 1) / gemm.kPart;
  return gemm.parts > 1 ? gemm.parts * gemm.batchCount * gemm.m * gemm.n * int64_t(sizeof(float)) : 0;
}

Factors factorsOf(const LowerContext& c) {
  if (c.in[0].dtype == DType::bf16) return Factors::bf16;
  return c.precision == MatmulPrecision::high ? Factors::tf32 : Factors::exact;
}

void runGemm(Queue& queue, Gemm gemm, void* scratch, bool tf32, bool windowed) {
  const bool bAlongK = gemm.b.inner == 1 && gemm.b.x != 1;
  // There are no kernels for A along x and B along k: such an A is read element by element.
  const bool aAlongK = windowed ? !gemm.window.rowsAreTaps : gemm.a.inner == 1 || gemm.a.x != 1 || bAlongK;
  gemm.wideA = windowed ? isWide(gemm.window, gemm.a) : isWide(gemm.a, aAlongK, aAlongK ? gemm.k : gemm.m);
  gemm.wideB = isWide(gemm.b, bAlongK, bAlongK ? gemm.k : gemm.n);
  gemm.wideC = isWide({.data = gemm.c, .x = gemm.cRow, .inner = 1}, true, 4) &&
               std::ranges::all_of(gemm.cBatch, [](int64_t stride) { return stride % 4 == 0; });
  gemm.partial = static_cast<float*>(scratch);
  const Chosen chosen = choose(gemm, tf32, aAlongK, bAlongK, windowed);
  LaunchSize launch;
  launch.grid.x = (gemm.m + chosen.height - 1) / chosen.height * ((gemm.n + chosen.width - 1) / chosen.width);
  launch.grid.y = std::min<int64_t>(gemm.batchCount * gemm.parts, 65535);
  launch.block.x = chosen.threads;
  launch.sharedBytes = chosen.sharedBytes;
  queue.launch(chosen.kernel, launch, gemm);
  if (gemm.parts > 1) {
    LaunchSize join = threadsFor(gemm.batchCount * gemm.m * gemm.n);
    join.grid.x = std::min<int64_t>(join.grid.x, 8 * kMultiprocessors);
    queue.launch(KERNEL(gemmJoin), join, gemm);
  }
}

}  // namespace chainrule::cuda
