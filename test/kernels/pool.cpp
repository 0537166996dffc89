#include "check.h"

// Pooling, forward and backward, against window loops.
using namespace check;

KERNEL_CASE(pooling) {
  for (int round = 0; round < 250; ++round) {
    PoolShape s;
    s.n = pick(1, 2), s.h = pick(1, 12), s.w = pick(1, 12), s.c = size();
    s.kh = pick(1, std::min<int64_t>(s.h, 4)), s.kw = pick(1, std::min<int64_t>(s.w, 4));
    s.strideH = pick(1, 3), s.strideW = pick(1, 3);
    s.padTop = pick(0, s.kh - 1), s.padLeft = pick(0, s.kw - 1);
    if (round % 20 == 0) s.h = s.kh = 18, s.w = s.kw = 16, s.padTop = s.padLeft = 0, s.c = 9;
    s.oh = (s.h + s.padTop + pick(0, s.kh - 1) - s.kh) / s.strideH + 1;
    s.ow = (s.w + s.padLeft + pick(0, s.kw - 1) - s.kw) / s.strideW + 1;
    // The last windows must touch the image.
    while ((s.oh - 1) * s.strideH - s.padTop >= s.h) --s.oh;
    while ((s.ow - 1) * s.strideW - s.padLeft >= s.w) --s.ow;
    const int64_t inputs = s.n * s.h * s.w * s.c, outputs = s.n * s.oh * s.ow * s.c;
    std::vector<float> x(inputs);
    for (float& v : x) v = float(pick(-9, 9));
    const std::vector<float> dy = floats(outputs);
    std::vector<float> best(outputs);
    std::vector<int32_t> place(outputs);
    std::vector<double> mean(outputs), dmean(inputs), dmax(inputs), meanBound(outputs, 1e-5), dBound(inputs, 1e-5);
    for (int64_t o = 0; o < outputs; ++o) {
      const int64_t c = o % s.c, oj = o / s.c % s.ow, oi = o / s.c / s.ow % s.oh, image = o / s.c / s.ow / s.oh;
      double sum = 0;
      int count = 0, at = -1;
      int64_t source = 0;
      for (int pass = 0; pass < 2; ++pass) {
        for (int64_t i = 0; i < s.kh; ++i) {
          for (int64_t j = 0; j < s.kw; ++j) {
            const int64_t y = oi * s.strideH - s.padTop + i, z = oj * s.strideW - s.padLeft + j;
            if (y < 0 || y >= s.h || z < 0 || z >= s.w) continue;
            const int64_t from = ((image * s.h + y) * s.w + z) * s.c + c;
            if (pass == 1) {
              dmean[from] += dy[o] / count;
              continue;
            }
            sum += x[from];
            ++count;
            if (at < 0 || x[from] > x[source]) at = int(i * s.kw + j), source = from;
          }
        }
      }
      best[o] = x[source];
      place[o] = at;
      mean[o] = sum / count;
      dmax[source] += dy[o];
    }
    std::vector<float> firsts[3];
    for (const KernelTable* table : tables()) {
      std::vector<float> y(outputs, NAN), bare(outputs, NAN), a(outputs, NAN), dx(inputs, NAN), da(inputs, NAN);
      std::vector<int32_t> wide(outputs);
      std::vector<uint8_t> narrow(outputs);
      void* index = s.wideIndex() ? static_cast<void*>(wide.data()) : narrow.data();
      randomSplit(s.n * s.oh, [&](int64_t b, int64_t e) {
        table->maxPool(s, x.data(), y.data(), index, b, e);
        table->maxPool(s, x.data(), bare.data(), nullptr, b, e);
        table->averagePool(s, x.data(), a.data(), b, e);
      });
      randomSplit(s.n * s.h, [&](int64_t b, int64_t e) {
        table->maxPoolBackward(s, dy.data(), index, dx.data(), b, e);
        table->averagePoolBackward(s, dy.data(), da.data(), b, e);
      });
      if (!s.wideIndex()) wide.assign(narrow.begin(), narrow.end());
      expectSame(best, y, "maxPool");
      expectSame(best, bare, "maxPool without index");
      expectSame(place, wide, "maxPool index");
      expectNear(a, mean, meanBound, "averagePool");
      expectNear(dx, dmax, dBound, "maxPoolBackward");
      expectNear(da, dmean, dBound, "averagePoolBackward");
      const std::vector<float> all[] = {a, dx, da};
      for (int i = 0; i < 3; ++i) {
        if (firsts[i].empty())
          firsts[i] = all[i];
        else
          expectSame(firsts[i], all[i], "pooling between isas");
      }
    }
  }
}
