#include "cuda/ops/gemm.h"

#include <algorithm>
#include <optional>

#include "cuda/kernels/gemm_bf16.cuh"
#include "cuda/kernels/gemm_exact.cuh"
#include "cuda/kernels/gemm_tf32.cuh"
#include "cuda/ops/sizes.h"

namespace chainrule::cuda {
namespace {

// A sum is cut where the join of its parts costs less than the steps that it saves.
constexpr int64_t kLongSum = 1024, kLeastPart = 256, kPartMultiple = 64;
constexpr int64_t kLargeTileSum = 512;   // shorter ones don't pay for what surrounds the steps of a large tile
constexpr int64_t kPartsOfTiles = 1024;  // of k, for which a tile may be as large as if there were another of it

struct TileSize {
  int64_t height, width;
};
constexpr TileSize kTileSizes[] = {{32, 32}, {64, 64}, {128, 128}, {128, 256}};

int64_t tileCount(const Gemm& gemm, Tile tile) {
  const auto [height, width] = kTileSizes[int(tile)];
  return (gemm.m + height - 1) / height * ((gemm.n + width - 1) / width) * gemm.batchCount;
}

// The largest tile of which there are enough, counting the parts of a long sum. By the shape alone.
Tile chooseTile(const Gemm& gemm) {
  const int64_t least = std::min(gemm.m, gemm.n), mostParts = std::max<int64_t>(1, gemm.k / kPartsOfTiles);
  if (least > 64 && gemm.k >= kLargeTileSum) {
    if (gemm.n > 128 && tileCount(gemm, Tile::large) >= kMultiprocessors * 7 / 8) return Tile::large;
    if (tileCount(gemm, Tile::medium) * mostParts >= kMultiprocessors) return Tile::medium;
  }
  if (least > 32 && tileCount(gemm, Tile::small) * mostParts >= kMultiprocessors) return Tile::small;
  return Tile::tiny;
}

struct Chosen {
  Kernel<Gemm> kernel;
  int64_t height, width, threads, sharedBytes;
};
template <typename Math>
Chosen chosen(Kernel<Gemm> kernel, bool windowed) {
  const int64_t tiles =
      Math::stages * (Math::A::elements + Math::B::elements) * int64_t(sizeof(typename Math::A::Element));
  const int64_t parts = windowed ? (Math::height + 2 * Math::depth) * int64_t(sizeof(WindowPart)) : 0;
  return {kernel, Math::height, Math::width, Math::threads, tiles + parts};
}

// By math, tile, contiguous directions and kind of A.
#define CHOSEN(math, tile, a, b, window) \
  chosen<math##Math<math##tile, gemm##a, gemm##b>>(KERNEL(gemm##math##tile##a##b##window), gemm##window)
#define CHOOSE(math, tile, window)              \
  (bAlongK   ? CHOSEN(math, tile, K, K, window) \
   : aAlongK ? CHOSEN(math, tile, K, X, window) \
             : CHOSEN(math, tile, X, X, window))
#define CHOOSE_WINDOW(math, tile) (windowed ? CHOOSE(math, tile, Windowed) : CHOOSE(math, tile, Plain))
#define CHOOSE_TENSOR(math)                            \
  (tile >= Tile::medium  ? CHOOSE_WINDOW(math, Medium) \
   : tile == Tile::small ? CHOOSE_WINDOW(math, Small)  \
                         : CHOOSE_WINDOW(math, Tiny))
// The largest tiles have kernels for some kinds of products only.
std::optional<Chosen> chooseLarge(Factors factors, int64_t mostShared, bool aAlongK, bool bAlongK, bool windowed) {
  if (windowed || factors == Factors::exact) return std::nullopt;
  const Chosen large = factors == Factors::tf32 ? CHOOSE(Tf32, Large, Plain) : CHOOSE(Bf16, Large, Plain);
  return large.sharedBytes <= mostShared ? std::optional(large) : std::nullopt;
}
Chosen choose(Tile tile, Factors factors, int64_t mostShared, bool aAlongK, bool bAlongK, bool windowed) {
  if (tile == Tile::large) {
    if (const auto large = chooseLarge(factors, mostShared, aAlongK, bAlongK, windowed)) return *large;
  }
  switch (factors) {
    case Factors::bf16:
      return CHOOSE_TENSOR(Bf16);
    case Factors::tf32:
      return CHOOSE_TENSOR(Tf32);
    case Factors::exact:
      break;
  }
  return CHOOSE_TENSOR(Exact);
}
#undef CHOOSE_TENSOR
#undef CHOOSE_WINDOW
#undef CHOOSE
#undef CHOSEN

// Which directions are contiguous. There are no kernels for A along x and B along k: such an A is read element by
// element.
bool isBAlongK(const Gemm& gemm) { return gemm.b.inner == 1 && gemm.b.x != 1; }
bool isAAlongK(const Gemm& gemm, bool windowed) {
  return windowed ? !gemm.window.rowsAreTaps : gemm.a.inner == 1 || gemm.a.x != 1 || isBAlongK(gemm);
}

// Whether every run of so many elements in the contiguous direction, `count` long, can be read at once.
bool isWide(const GemmOperand& operand, bool alongK, int64_t count, int64_t run = 4) {
  if (!startAt16({operand.data}) || count % run != 0) return false;
  for (int64_t stride : operand.batch) {
    if (stride % run != 0) return false;
  }
  const bool cut = operand.innerCount != INT64_MAX;
  if (alongK)
    return operand.inner == 1 && operand.x % run == 0 &&
           (!cut || (operand.innerCount % run == 0 && operand.outer % run == 0));
  return operand.x == 1 && operand.inner % run == 0 && (!cut || operand.outer % run == 0);
}

bool isWide(const GemmWindow& window, const GemmOperand& operand, int64_t run) {
  return startAt16({operand.data}) && window.channels % run == 0 && window.pixel % run == 0 && window.row % run == 0 &&
         window.image % run == 0 && operand.batch[kGemmBatchRank - 1] % run == 0;
}

}  // namespace

GemmOperand rowsOperand(int64_t row, bool transposed) {
  return {.x = transposed ? 1 : row, .inner = transposed ? row : 1};
}
GemmOperand columnsOperand(int64_t row, bool transposed) {
  return {.x = transposed ? row : 1, .inner = transposed ? 1 : row};
}

std::string nameOf(Tile tile) {
  const auto [height, width] = kTileSizes[int(tile)];
  return std::to_string(height) + "x" + std::to_string(width);
}

GemmPlan planGemm(const Gemm& gemm) { return planGemm(gemm, chooseTile(gemm)); }

GemmPlan planGemm(const Gemm& gemm, Tile tile) {
  GemmPlan plan{.tile = tile, .kPart = std::max<int64_t>(gemm.k, 1)};
  const int64_t count = tileCount(gemm, tile);
  if (count == 0 || count >= kMultiprocessors || gemm.k < kLongSum) return plan;
  const int64_t wanted = std::min(2 * kMultiprocessors / count, gemm.k / kLeastPart);  // all at the same time
  plan.kPart = ((gemm.k + wanted - 1) / wanted + kPartMultiple - 1) / kPartMultiple * kPartMultiple;
  plan.parts = (gemm.k + plan.kPart - 1) / plan.kPart;
  if (plan.parts > 1) plan.scratchBytes = plan.parts * gemm.batchCount * gemm.m * gemm.n * int64_t(sizeof(float));
  return plan;
}

std::vector<Tile> tilesFor(const Gemm& gemm, Factors factors, bool windowed, int64_t mostShared) {
  std::vector<Tile> tiles = {Tile::tiny, Tile::small, Tile::medium};
  if (chooseLarge(factors, mostShared, isAAlongK(gemm, windowed), isBAlongK(gemm), windowed))
    tiles.push_back(Tile::large);
  return tiles;
}

Factors factorsOf(const LowerContext& c) {
  if (c.in[0].dtype == DType::bf16) return Factors::bf16;
  return c.precision == MatmulPrecision::high ? Factors::tf32 : Factors::exact;
}

void runGemm(Queue& queue, Gemm gemm, const GemmPlan& plan, void* scratch, Factors factors, bool windowed) {
  const int64_t run = factors == Factors::bf16 ? kGemmRun<uint16_t> : kGemmRun<float>;
  const bool aAlongK = isAAlongK(gemm, windowed), bAlongK = isBAlongK(gemm);
  gemm.wideA = windowed ? isWide(gemm.window, gemm.a, run) : isWide(gemm.a, aAlongK, aAlongK ? gemm.k : gemm.m, run);
  gemm.wideB = isWide(gemm.b, bAlongK, bAlongK ? gemm.k : gemm.n, run);
  gemm.wideC = isWide({.data = gemm.c, .x = gemm.cRow, .inner = 1}, true, 4) &&
               std::ranges::all_of(gemm.cBatch, [](int64_t stride) { return stride % 4 == 0; });
  gemm.parts = plan.parts;
  gemm.kPart = plan.kPart;
  gemm.partial = static_cast<float*>(scratch);
  const Chosen chosen = choose(plan.tile, factors, queue.mostShared(), aAlongK, bAlongK, windowed);
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
