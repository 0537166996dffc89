#include "check.h"

// Layer norm and its gradient against float64, with and without each of their parts.
using namespace check;

namespace {

KERNEL_CASE(layerNorm) {
  for (int round = 0; round < 80; ++round) {
    const int64_t rows = pick(1, 11), n = pick(0, 1) ? size() : pick(100, 600);
    const bool centred = pick(0, 1), scaled = pick(0, 1), shifted = pick(0, 1), standardized = pick(0, 1),
               sums = pick(0, 1);
    const std::vector<float> x = floats(rows * n, -2, 3), dy = floats(rows * n), gamma = floats(n), beta = floats(n);
    const float epsilon = 0.01f;
    std::vector<double> unit(rows * n), y(rows * n), means(rows), scale(rows), dx(rows * n), dGamma(n), dBeta(n);
    for (int64_t r = 0; r < rows; ++r) {
      double mean = 0, square = 0, slope = 0, level = 0;
      for (int64_t i = 0; centred && i < n; ++i) mean += x[r * n + i] / double(n);
      for (int64_t i = 0; i < n; ++i) square += (x[r * n + i] - mean) * (x[r * n + i] - mean) / double(n);
      means[r] = mean;
      scale[r] = 1 / std::sqrt(square + double(epsilon));
      const auto weighted = [&](int64_t i) { return double(dy[r * n + i]) * (scaled ? double(gamma[i]) : 1.0); };
      for (int64_t i = 0; i < n; ++i) {
        const double u = unit[r * n + i] = (x[r * n + i] - mean) * scale[r];
        y[r * n + i] = u * (scaled ? double(gamma[i]) : 1.0) + (shifted ? double(beta[i]) : 0.0);
        slope += weighted(i) * u / double(n);
        if (centred) level += weighted(i) / double(n);
        dGamma[i] += dy[r * n + i] * u;
        dBeta[i] += dy[r * n + i];
      }
      for (int64_t i = 0; i < n; ++i) dx[r * n + i] = scale[r] * (weighted(i) - level - unit[r * n + i] * slope);
    }
    // Sums of up to 600 terms of size 1, in 16 chains, times a scale of at most 10.
    const std::vector<double> bound(rows * n, 4e-5), rowBound(rows, 4e-5), weightBound(n, 4e-5);
    std::vector<float> first[6];
    for (const KernelTable* table : tables()) {
      std::vector<float> out[6] = {std::vector<float>(rows * n), std::vector<float>(rows), std::vector<float>(rows),
                                   std::vector<float>(rows * n), std::vector<float>(n),    std::vector<float>(n)};
      LayerNorm norm{.n = n, .epsilon = epsilon, .centred = centred, .x = x.data()};
      if (scaled) norm.gamma = gamma.data();
      if (shifted) norm.beta = beta.data();
      norm.y = out[0].data();
      norm.mean = out[1].data();
      norm.scale = out[2].data();
      randomSplit(rows, [&](int64_t b, int64_t e) { table->layerNorm(norm, b, e); });

      std::vector<float> standard = x;
      for (int64_t i = 0; standardized && i < rows * n; ++i) standard[i] = (x[i] - out[1][i / n]) * out[2][i / n];
      LayerNormGradient back{.n = n, .centred = centred, .dy = dy.data(), .x = standard.data()};
      back.standardized = standardized;
      if (!standardized && centred) back.mean = out[1].data();
      back.scale = out[2].data();
      if (scaled) back.gamma = gamma.data();
      back.dx = out[3].data();
      if (sums) back.gammaSum = out[4].data(), back.betaSum = out[5].data();
      randomSplit(rows, [&](int64_t b, int64_t e) { table->layerNormBackward(back, b, e); });

      Unaligned y2(rows * n), dx2(rows * n);
      norm.y = y2.data(), back.dx = dx2.data();
      norm.streams = back.streams = true;
      std::vector<float> sums2(2 * n);
      if (sums) back.gammaSum = sums2.data(), back.betaSum = sums2.data() + n;
      randomSplit(rows, [&](int64_t b, int64_t e) {
        table->layerNorm(norm, b, e);
        table->layerNormBackward(back, b, e);
      });
      out[4].insert(out[4].end(), out[5].begin(), out[5].end());
      expectSame(out[0], y2.values(), "streamed layerNorm");
      expectSame(out[3], dx2.values(), "streamed layerNormBackward");
      if (sums) expectSame(out[4], sums2, "sums of streamed rows");
      out[4].resize(n);

      expectNear(out[0], y, bound, "layerNorm");
      expectNear(out[1], means, rowBound, "mean");
      expectNear(out[2], scale, rowBound, "scale");
      expectNear(out[3], dx, bound, "layerNormBackward");
      if (sums) {
        expectNear(out[4], dGamma, weightBound, "sum for gamma");
        expectNear(out[5], dBeta, weightBound, "sum for beta");
      }
      for (int i = 0; i < 6; ++i) {
        if (first[i].empty())
          first[i] = out[i];
        else
          expectSame(first[i], out[i], "layer norm");
      }
    }
  }
}

// What is computed in the memory of what it is computed from.
KERNEL_CASE(layerNormInPlace) {
  const int64_t rows = 7, n = 45;
  const std::vector<float> x = floats(rows * n, -2, 3), dy = floats(rows * n), gamma = floats(n);
  for (const KernelTable* table : tables()) {
    std::vector<float> y(rows * n), mean(rows), scale(rows), dx(rows * n), sum(2 * n), again(2 * n);
    LayerNorm norm{.n = n, .epsilon = 0.01f, .x = x.data(), .gamma = gamma.data(), .y = y.data()};
    norm.mean = mean.data();
    norm.scale = scale.data();
    table->layerNorm(norm, 0, rows);
    std::vector<float> own = x;
    norm.x = own.data();
    norm.y = own.data();
    table->layerNorm(norm, 0, rows);
    expectSame(y, own, "layerNorm in place");

    LayerNormGradient back{.n = n, .dy = dy.data(), .x = x.data(), .mean = mean.data(), .scale = scale.data()};
    back.gamma = gamma.data();
    back.dx = dx.data();
    back.gammaSum = sum.data();
    back.betaSum = sum.data() + n;
    table->layerNormBackward(back, 0, rows);
    for (bool ofGradient : {true, false}) {
      std::vector<float> memory = ofGradient ? dy : x;
      std::fill(again.begin(), again.end(), 0.0f);
      LayerNormGradient inPlace = back;
      (ofGradient ? inPlace.dy : inPlace.x) = memory.data();
      inPlace.dx = memory.data();
      inPlace.gammaSum = again.data();
      inPlace.betaSum = again.data() + n;
      table->layerNormBackward(inPlace, 0, rows);
      expectSame(dx, memory, "layerNormBackward in place");
      expectSame(sum, again, "sums in place");
    }
  }
}

}  // namespace
