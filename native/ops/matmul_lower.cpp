#include "cpu/kernel_table.h"
#include "cpu/split.h"
#include "ops/chunks.h"
#include "ops/epilogue.h"
#include "ops/matmul.h"
#include "ops/panels.h"

namespace chainrule::ops {
namespace {

// One product of the batch: strides of A, and B as panels or where to pack it from.
struct Product {
  int64_t m = 0, n = 0, k = 0;
  bool ta = false, tb = false;
  bool panels = false;  // B arrives packed: [K][N] if !tb, of the matrix [N][K] if tb
  bool direct = false;  // B is used where it lies
  bool halves = false;  // B is bfloat16
};

// Packed panels of W (K x N, tb: the product wants W^T with N rows) from the panels of W itself, by 16 x 16 blocks.
void packTransposed(const cpu::KernelTable& k, const Product& p, const float* w, float* out, int64_t begin,
                    int64_t end) {
  // W is stored as the panels of its n x k matrix: w[(j / 16) * n * 16 + i * 16 + j % 16] is W[i][j], i < n, j < k.
  for (int64_t panel = begin; panel < end; ++panel) {
    for (int64_t block = 0; block * 16 < p.k; ++block) {
      const float* source = w + block * p.n * 16 + panel * 16 * 16;
      const int64_t rows = std::min<int64_t>(16, p.k - block * 16), columns = std::min<int64_t>(16, p.n - panel * 16);
      k.packB(source, 1, 16, rows, columns, out + panel * p.k * 16 + block * 256, 0, 1);
    }
  }
}

void pack(const cpu::KernelTable& k, const Product& p, const float* b, float* out, int64_t begin, int64_t end) {
  if (begin >= end) return;
  if (p.panels) {
    packTransposed(k, p, b, out, begin, end);
  } else {
    k.packB(b, p.tb ? 1 : p.n, p.tb ? p.k : 1, p.k, p.n, out, begin, end);
  }
}

cpu::Gemm gemmOf(const Product& p, const float* a, const float* b, float* c) {
  cpu::Gemm gemm{.m = p.m, .n = p.n, .k = p.k, .a = a, .b = b, .c = c, .cRow = p.n};
  gemm.aRow = p.ta ? 1 : p.k;
  gemm.aCol = p.ta ? p.m : 1;
  if (p.direct) {
    gemm.bRow = p.n;
    gemm.bPanel = 16;
  } else {
    gemm.bPanel = p.k * 16;
  }
  return gemm;
}

// Parts of the k axis for the team: of gradients of weights, which sum over the rows. Others must not depend on how
// many rows there are.
int64_t chunksOf(const Product& p) { return p.ta ? cpu::gemmChunks(p.m, p.n, p.k) : 1; }

// [.., K] x [K, N]: all leading axes are rows of one large product, with an optional island over its output.
Lowering lowerSingle(const LowerContext& c, Product p) {
  const cpu::KernelTable& k = c.kernels;
  const bool outPanel = c.out[0].layout == Layout::panel16;
  const int64_t panels = cpu::panelCount(p.n), chunks = chunksOf(p);
  // The last panel must not read past B; a single row of B is the same either way.
  p.direct = !p.panels && !p.halves && p.n % 16 == 0 && (p.k == 1 || (!p.tb && p.m <= 8));
  const bool packs = !p.direct && (!p.panels || p.tb);
  const int64_t packedBytes = packs ? panels * p.k * 64 : 0;
  const int64_t outCount = outPanel ? panels * p.m * 16 : p.m * p.n;
  const Epilogue epilogue = lowerEpilogue(c, 2, true);
  cpu::Gemm shape = gemmOf(p, nullptr, nullptr, nullptr);
  if (outPanel) {
    shape.cRow = 16;
    shape.cPanel = p.m * 16;
    shape.cPadded = true;
  }
  const bool inside = epilogue.begins() && chunks == 1;
  const bool streams = p.halves && p.panels;
  if (streams) shape.bPanel = panelSize(DType::bf16, p.k, 16);
  const size_t gemmScratch = size_t((cpu::gemmScratchBytes(shape) + 63) / 64 * 64);
  // Rows of a block whose output stays in L2 until the epilogue has run over it.
  const int64_t blockRows = std::max<int64_t>(6, (1 << 15) / std::max<int64_t>(1, p.n) / 6 * 6);

  const auto launch = [=, &k](const StepArgs& args) {
    cpu::Gemm gemm = shape;
    gemm.a = args.in<float>(0);
    gemm.b = args.in<float>(1);
    if (streams) gemm.halves = args.in<uint16_t>(1);
    gemm.c = args.out<float>();
    // By rows every member reads all of B, by panels all of A and the panels that it packed itself.
    const int64_t enough = 4 * args.members;
    const bool favorsPanels = p.m < p.n && panels >= enough && !epilogue.remains(inside);
    const bool byRows = args.members == 1 || (!favorsPanels && (p.m + 5) / 6 >= std::min<int64_t>(panels, enough));
    if (packs) {
      float* packed = reinterpret_cast<float*>(args.shared);
      const Range range = args.split(panels);
      if (p.halves)
        widenToPanels(k, args.in<uint16_t>(1), false, {p.k, p.n}, packed, range);
      else
        pack(k, p, gemm.b, packed, range.begin, range.end);
      if (byRows || chunks > 1) args.barrier();
      gemm.b = packed;
    }
    if (inside) gemm.finish = epilogue.finish(args);
    if (chunks > 1) {
      float* partial = reinterpret_cast<float*>(args.shared + packedBytes);
      const Range items = args.split(chunks * panels);
      for (int64_t item = items.begin; item < items.end; ++item) {
        const int64_t chunk = item / panels, panel = item % panels;
        const int64_t begin = chunk * p.k / chunks, end = (chunk + 1) * p.k / chunks;
        cpu::Gemm part = gemm;
        part.a = gemm.a + begin * gemm.aCol;
        part.b = gemm.b + begin * gemm.bRow;
        part.k = end - begin;
        part.c = partial + chunk * outCount;
        k.gemm(part, 0, p.m, panel, panel + 1, args.own);
      }
      addChunks(args, k, partial, chunks, outCount, gemm.c);
      if (epilogue.run) {
        args.barrier();
        const Range elements = args.split(p.m * p.n, cpu::kIslandTile);
        epilogue.apply(args, gemm.c, false, elements.begin, elements.end, args.own);
      }
      return;
    }
    if (!byRows) {
      const Range range = args.split(panels);
      if (!range.empty()) k.gemm(gemm, 0, p.m, range.begin, range.end, args.own);
      if (epilogue.remains(inside)) {
        args.barrier();
        const Range elements = args.split(p.m * p.n, cpu::kIslandTile);
        epilogue.apply(args, gemm.c, inside, elements.begin, elements.end, args.own);
      }
      return;
    }
    const Range rows = args.split(p.m, 6);
    if (!epilogue.remains(inside)) {
      if (!rows.empty()) k.gemm(gemm, rows.begin, rows.end, 0, panels, args.own);
      return;
    }
    for (int64_t row = rows.begin; row < rows.end; row += blockRows) {
      const int64_t end = std::min(row + blockRows, rows.end);
      k.gemm(gemm, row, end, 0, panels, args.own);
      epilogue.apply(args, gemm.c, inside, row * p.n, end * p.n, args.own + gemmScratch);
    }
  };
  // Few rows wait for B.
  const double cost = double(p.n) * double(p.k) * (0.025 * double(p.m) + 0.08) + 20 + epilogue.cost;
  Lowering result{.launch = launch, .cost = cost};
  result.flop = 2.0 * double(p.m) * double(p.n) * double(p.k);
  result.sharedScratch = size_t(packedBytes + (chunks > 1 ? chunks * outCount * 4 : 0));
  result.memberScratch = gemmScratch + epilogue.scratch;
  return result;
}

// One column: A times a vector, which lies in a row of memory either way.
Lowering lowerColumn(const LowerContext& c, Product p) {
  const Epilogue epilogue = lowerEpilogue(c, 2);
  const auto launch = [=, dot = c.kernels.matrixVector, combine = c.kernels.vectorMatrix](const StepArgs& args) {
    const float *a = args.in<float>(0), *b = args.in<float>(1);
    float* out = args.out<float>();
    const Range rows = args.split(p.m, 16);
    p.ta ? combine(a, p.m, p.k, b, false, out, rows.begin, rows.end) : dot(a, p.k, b, out, rows.begin, rows.end);
    if (epilogue.run) epilogue.apply(args, out, false, rows.begin, rows.end, args.own);
  };
  return {.launch = launch,
          .cost = double(p.m) * double(p.k) * 0.1 + 20 + epilogue.cost,
          .memberScratch = epilogue.scratch,
          .flop = 2.0 * double(p.m) * double(p.k)};
}

// Broadcast batches of products, each with its own B: one member computes whole products, or rows of one if there are
// few.
Lowering lowerBatched(const LowerContext& c, Product p) {
  const cpu::KernelTable& k = c.kernels;
  const Dims &a = c.in[0].dims, &b = c.in[1].dims, &out = c.out[0].dims;
  const int64_t count = p.m * p.n == 0 ? 0 : elementCount(out) / (p.m * p.n);
  std::vector<std::pair<int64_t, int64_t>> starts;  // of A and B, in elements
  for (int64_t item = 0; item < count; ++item) {
    int64_t rest = item, offsets[2] = {0, 0}, scale[2] = {p.m * p.k, p.k * p.n};
    for (int axis = out.size() - 3; axis >= 0; --axis) {
      const int64_t index = rest % out[axis];
      rest /= out[axis];
      for (int side : {0, 1}) {
        const Dims& dims = side == 0 ? a : b;
        const int own = axis - (out.size() - dims.size());
        if (own < 0) continue;
        if (dims[own] != 1) offsets[side] += index * scale[side];
        scale[side] *= dims[own];
      }
    }
    starts.push_back({offsets[0], offsets[1]});
  }
  p.direct = !p.tb && p.n % 16 == 0 && p.k <= 256 && p.n <= 256;
  const cpu::Gemm shape = gemmOf(p, nullptr, nullptr, nullptr);
  const int64_t panels = cpu::panelCount(p.n);
  const int64_t packedBytes = p.direct ? 0 : panels * p.k * 64;
  const int64_t rowBlocks = std::max<int64_t>(1, std::min<int64_t>((p.m + 95) / 96, count < 16 ? 16 : 1));

  const auto launch = [=, &k](const StepArgs& args) {
    const Range items = args.split(count * rowBlocks);
    int64_t packedFor = -1;
    float* packed = reinterpret_cast<float*>(args.own);
    for (int64_t item = items.begin; item < items.end; ++item) {
      const auto [startA, startB] = starts[size_t(item / rowBlocks)];
      cpu::Gemm gemm = shape;
      gemm.a = args.in<float>(0) + startA;
      gemm.b = args.in<float>(1) + startB;
      gemm.c = args.out<float>() + item / rowBlocks * p.m * p.n;
      if (!p.direct) {
        if (packedFor != startB) pack(k, p, gemm.b, packed, 0, panels);
        packedFor = startB;
        gemm.b = packed;
      }
      const int64_t begin = item % rowBlocks * p.m / rowBlocks, end = (item % rowBlocks + 1) * p.m / rowBlocks;
      k.gemm(gemm, begin, end, 0, panels, args.own + packedBytes);
    }
  };
  Lowering result{.launch = launch, .cost = double(count) * (double(p.m) * double(p.n) * double(p.k) * 0.025 + 50)};
  result.flop = 2.0 * double(count) * double(p.m) * double(p.n) * double(p.k);
  result.memberScratch = size_t(packedBytes + cpu::gemmScratchBytes(shape));
  return result;
}

}  // namespace

Lowering lowerMatmul(const LowerContext& c) {
  const Dims &a = c.in[0].dims, &b = c.in[1].dims;
  const auto [ta, tb] = transposes(c.attrs());
  Product p{.m = a[a.size() - (ta ? 1 : 2)],
            .n = b[b.size() - (tb ? 2 : 1)],
            .k = a[a.size() - (ta ? 2 : 1)],
            .ta = ta,
            .tb = tb};
  p.panels = c.in[1].layout == Layout::panel16;
  p.halves = c.in[1].dtype == DType::bf16;
  const bool single = b.size() == 2 && (a.size() == 2 || !ta);
  if (!single) return lowerBatched(c, p);
  p.m = p.n == 0 ? 0 : c.out[0].count() / p.n;
  const bool plain = !p.panels && c.out[0].layout == Layout::rowMajor;
  if (p.n == 1 && plain && chunksOf(p) == 1) return lowerColumn(c, p);
  return lowerSingle(c, p);
}

}  // namespace chainrule::ops
