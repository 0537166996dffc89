#include "measure.h"

using namespace bench;

void benchOthers() {
  const KernelTable& k = kernels();
  if (wanted("pool")) {
    PoolShape s;
    s.n = 128, s.h = s.w = 26, s.c = 32, s.kh = s.kw = s.strideH = s.strideW = 2, s.oh = s.ow = 13;
    const auto x = values(s.n * s.h * s.w * s.c), dy = values(s.n * s.oh * s.ow * s.c);
    Floats y(dy.size()), dx(x.size());
    std::vector<uint8_t> index(dy.size());
    const double bytes = 4.0 * double(x.size()) + 5.0 * double(y.size());
    report("pool max fwd W5", best([&] { k.maxPool(s, x.data(), y.data(), index.data(), 0, s.n * s.oh); }), 0, bytes);
    report("pool max bwd W5", best([&] { k.maxPoolBackward(s, dy.data(), index.data(), dx.data(), 0, s.n * s.h); }), 0,
           bytes);
    report("pool average fwd W5", best([&] { k.averagePool(s, x.data(), y.data(), 0, s.n * s.oh); }), 0, bytes);
    report("pool average bwd W5", best([&] { k.averagePoolBackward(s, dy.data(), dx.data(), 0, s.n * s.h); }), 0,
           bytes);
  }
  if (wanted("random")) {
    const RandomStream s{1, 2, 3, 0, 1600};
    const auto x = values(128 * 1600);
    Floats y(x.size());
    const double bytes = 4.0 * double(x.size());
    report("random dropout 128x1600", best([&] { k.dropout(s, 0.5f, x.data(), y.data(), 0, 128); }), 0, 2 * bytes);
    report("random uniform 128x1600", best([&] { k.randomUniform(s, 0, 1, y.data(), 0, 128); }), 0, bytes);
    report("random normal 128x1600", best([&] { k.randomNormal(s, 0, 1, y.data(), 0, 128); }), 0, bytes);
    report("random truncated 128x1600", best([&] { k.randomTruncatedNormal(s, 0, 1, y.data(), 0, 128); }), 0, bytes);
  }
  if (wanted("copy")) {
    for (int64_t n : {64, 512, 1024}) {
      const auto x = values(n * n);
      Floats y(x.size());
      const StridedSpace transposed{2, {n, n}, {1, n}};
      report("copy transposed " + std::to_string(n),
             best([&] { k.copyStrided(transposed, 4, x.data(), y.data(), 0, n * n); }), 0, 8.0 * double(n * n));
    }
    const auto x = values(32 * 128 * 4 * 64);
    Floats y(x.size());
    const StridedSpace heads{4, {32, 4, 128, 64}, {128 * 256, 64, 256, 1}};
    report("copy heads [32,128,4,64] -> [32,4,128,64]",
           best([&] { k.copyStrided(heads, 4, x.data(), y.data(), 0, int64_t(x.size())); }), 0, 8.0 * double(x.size()));
  }
  if (wanted("gather")) {
    const int64_t rows = 20000, width = 16, count = 131072;
    const auto table = values(rows * width);
    Floats out(count * width), sums(rows * width);
    std::vector<int32_t> indices(count);
    uint32_t r = 7;
    for (int32_t& i : indices) i = int32_t((r = r * 1664525 + 1013904223) >> 8) % int32_t(rows);
    int64_t bad = INT64_MAX;
    report("gather rows W11",
           best([&] { k.gatherRows(table.data(), rows, width * 4, indices.data(), out.data(), 0, count, &bad); }), 0,
           8.0 * double(count * width));
    report("gather scatterAdd W11",
           best([&] { k.scatterAddRows(out.data(), width, 1, indices.data(), count, sums.data(), rows, 0, 1); }), 0,
           8.0 * double(count * width));
  }
  if (wanted("depthwise")) {
    ConvShape s;
    s.n = 16, s.h = s.w = s.oh = s.ow = 56, s.cin = s.cout = s.groups = 144, s.kh = s.kw = 3, s.padTop = s.padLeft = 1;
    const auto x = values(s.n * s.h * s.w * s.cin), f = values(9 * s.cout);
    Floats y(x.size()), dw(9 * s.cout);
    const double flops = 18.0 * double(x.size()), bytes = 8.0 * double(x.size());
    report("depthwise W8 fwd",
           best([&] { k.depthwiseForward(s, x.data(), f.data(), nullptr, Activation(), y.data(), 0, s.n * s.oh); }),
           flops, bytes);
    report("depthwise W8 dX", best([&] { k.depthwiseBackwardData(s, x.data(), f.data(), y.data(), 0, s.n * s.h); }),
           flops, bytes);
    report("depthwise W8 dW", best([&] { k.depthwiseBackwardFilter(s, x.data(), y.data(), dw.data(), 0, s.n * s.oh); }),
           flops, bytes);
  }
}
