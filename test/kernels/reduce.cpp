#include "check.h"

// Reductions, positions, running folds and softmax rows against double loops.
using namespace check;

namespace {

double fold(Reduce op, double a, double b) {
  switch (op) {
    case Reduce::sum:
      return a + b;
    case Reduce::prod:
      return a * b;
    case Reduce::max:
      return std::max(a, b);
    case Reduce::min:
      return std::min(a, b);
    case Reduce::any:
      return a != 0 || b != 0;
    case Reduce::all:
      return a != 0 && b != 0;
  }
  return 0;
}
double neutral(Reduce op) {
  switch (op) {
    case Reduce::sum:
    case Reduce::any:
      return 0;
    case Reduce::prod:
    case Reduce::all:
      return 1;
    case Reduce::max:
      return -INFINITY;
    case Reduce::min:
      return INFINITY;
  }
  return 0;
}
double tolerance(Reduce op, int64_t n) {
  return op == Reduce::sum ? 40 * 0x1p-24 * 3 * double(n) / 8 : op == Reduce::prod ? double(n) * 0x1p-24 * 30 : 0;
}

// One case of [outer][n][inner], folded over n.
template <typename T>
void checkReduce(Reduce op, DType dtype, int64_t outer, int64_t n, int64_t inner) {
  std::vector<T> x(outer * n * inner);
  for (T& v : x)
    v = dtype == DType::f32   ? T(op == Reduce::prod ? uniform(0.9f, 1.1f) : uniform(-3, 3))
        : dtype == DType::i32 ? T(op == Reduce::prod ? pick(-1, 1) : pick(-99, 99))
                              : T(pick(0, 9) == 0 ? pick(0, 255) : pick(0, 1));
  std::vector<double> exact(outer * inner, neutral(op)), bound(outer * inner, tolerance(op, n));
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t c = 0; c < inner; ++c)
        exact[o * inner + c] = fold(op, exact[o * inner + c], double(x[(o * n + i) * inner + c]));
    }
  }
  std::vector<T> first;
  for (const KernelTable* table : tables()) {
    std::vector<T> y(outer * inner);
    if (inner == 1) {
      randomSplit(outer, [&](int64_t b, int64_t e) { table->reduceInner(op, dtype, x.data(), n, y.data(), b, e); });
    } else {
      for (int64_t o = 0; o < outer; ++o) {
        randomSplit(inner, [&](int64_t b, int64_t e) {
          table->reduceOuter(op, dtype, x.data() + o * n * inner, n, inner, y.data() + o * inner, b, e);
        });
      }
    }
    if (!first.empty()) {
      expectSame(first, y, "reduce between isas");
      continue;
    }
    first = y;
    for (size_t i = 0; i < y.size(); ++i) {
      if (dtype == DType::i32 && (op == Reduce::max || op == Reduce::min) && n == 0) continue;
      if (!(std::fabs(double(y[i]) - exact[i]) <= bound[i]))
        return expect(false, "reduce op %d [%d][%d][%d]: %g, expected %g", int(op), int(outer), int(n), int(inner),
                      double(y[i]), exact[i]);
    }
  }
}

}  // namespace

KERNEL_CASE(reduceAll) {
  for (int round = 0; round < 400; ++round) {
    const int64_t inner = pick(0, 1) ? 1 : size(), n = pick(0, 9) == 0 ? pick(100, 10000) : size(), outer = pick(1, 5);
    const Reduce op = Reduce(pick(0, 3));
    checkReduce<float>(op, DType::f32, outer, n, inner);
    checkReduce<int32_t>(op, DType::i32, outer, n, inner);
    checkReduce<uint8_t>(pick(0, 1) ? Reduce::any : Reduce::all, DType::boolean, outer, n, inner);
  }
  checkReduce<float>(Reduce::sum, DType::f32, 2, 100003, 1);
  checkReduce<float>(Reduce::sum, DType::f32, 1, 1000, 130);
}

KERNEL_CASE(columnMoments) {
  for (int round = 0; round < 100; ++round) {
    const int64_t n = pick(0, 3) ? size() : 200, inner = size();
    const float offset = pick(0, 1) ? 100.0f : 0.0f;
    std::vector<float> x = floats(n * inner, offset - 1, offset + 1);
    std::vector<double> mean(inner), squares(inner), meanBound(inner), squaresBound(inner);
    for (int64_t c = 0; c < inner; ++c) {
      double sum = 0, magnitude = 0;
      for (int64_t i = 0; i < n; ++i) sum += x[i * inner + c], magnitude += std::fabs(double(x[i * inner + c]));
      mean[c] = sum / double(n);
      for (int64_t i = 0; i < n; ++i) squares[c] += std::pow(x[i * inner + c] - mean[c], 2);
      // n roundings of the sum and one of the quotient; a mean that is d away adds n d^2 to the squares.
      const double roundings = (double(n) + 6) * 0x1p-24, shift = roundings * magnitude / double(n);
      meanBound[c] = shift;
      squaresBound[c] = roundings * squares[c] + (1 + roundings) * double(n) * shift * shift;
    }
    std::vector<float> firstMean, firstSquares;
    for (const KernelTable* table : tables()) {
      std::vector<float> m(inner, NAN), s(inner, NAN);
      table->columnMoments(x.data(), n, inner, m.data(), s.data());
      expectNear(m, mean, meanBound, "mean of columns");
      expectNear(s, squares, squaresBound, "squares of columns");
      if (firstMean.empty()) firstMean = m, firstSquares = s;
      expectSame(firstMean, m, "mean of columns between isas");
      expectSame(firstSquares, s, "squares of columns between isas");
    }
  }
}

KERNEL_CASE(reduceNaN) {
  for (int64_t n : {1, 7, 8, 40, 5000}) {
    for (const KernelTable* table : tables()) {
      std::vector<float> x = floats(n), y(1);
      x[pick(0, n - 1)] = NAN;
      table->reduceInner(Reduce::max, DType::f32, x.data(), n, y.data(), 0, 1);
      expect(std::isnan(y[0]), "max keeps NaN, n = %d", int(n));
      table->reduceInner(Reduce::min, DType::f32, x.data(), n, y.data(), 0, 1);
      expect(std::isnan(y[0]), "min keeps NaN, n = %d", int(n));
    }
  }
}

KERNEL_CASE(reduceArg) {
  for (int round = 0; round < 400; ++round) {
    const int64_t outer = pick(1, 4), n = size(), inner = pick(0, 1) ? 1 : size();
    const bool maximum = pick(0, 1);
    std::vector<float> x(outer * n * inner);
    for (float& v : x) v = float(pick(-4, 4));
    if (pick(0, 3) == 0) x[pick(0, int64_t(x.size()) - 1)] = NAN;
    std::vector<int32_t> xi(x.size());
    for (size_t i = 0; i < x.size(); ++i) xi[i] = std::isnan(x[i]) ? 0 : int32_t(x[i]);
    std::vector<int32_t> exact(outer * inner), exactInt(outer * inner);
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t c = 0; c < inner; ++c) {
        int64_t best = 0, bestInt = 0;
        for (int64_t i = 1; i < n; ++i) {
          const float v = x[(o * n + i) * inner + c], b = x[(o * n + best) * inner + c];
          if (!std::isnan(b) && (std::isnan(v) || (maximum ? v > b : v < b))) best = i;
          const int32_t vi = xi[(o * n + i) * inner + c], bi = xi[(o * n + bestInt) * inner + c];
          if (maximum ? vi > bi : vi < bi) bestInt = i;
        }
        exact[o * inner + c] = int32_t(best);
        exactInt[o * inner + c] = int32_t(bestInt);
      }
    }
    for (const KernelTable* table : tables()) {
      std::vector<int32_t> y(outer * inner);
      randomSplit(outer * inner, [&](int64_t b, int64_t e) {
        table->argReduce(maximum, DType::f32, x.data(), n, inner, y.data(), b, e);
      });
      expectSame(exact, y, "argReduce f32");
      randomSplit(outer * inner, [&](int64_t b, int64_t e) {
        table->argReduce(maximum, DType::i32, xi.data(), n, inner, y.data(), b, e);
      });
      expectSame(exactInt, y, "argReduce i32");
    }
  }
}

KERNEL_CASE(reduceCumulative) {
  for (int round = 0; round < 300; ++round) {
    const int64_t outer = pick(1, 4), n = size(), inner = pick(0, 1) ? 1 : size();
    const bool exclusive = pick(0, 1), reverse = pick(0, 1);
    const Reduce op = Reduce(pick(0, 3));
    std::vector<int32_t> x = integers(outer * n * inner, -2, 2), exact(x.size());
    std::vector<float> xf(x.begin(), x.end()), exactF(x.size());
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t c = 0; c < inner; ++c) {
        double sum = op == Reduce::max ? double(INT32_MIN) : op == Reduce::min ? double(INT32_MAX) : neutral(op);
        for (int64_t k = 0; k < n; ++k) {
          const int64_t at = (o * n + (reverse ? n - 1 - k : k)) * inner + c;
          const double next = k == 0 ? double(x[at]) : fold(op, sum, double(x[at]));
          const double value = exclusive ? sum : next;
          exact[at] = int32_t(value);
          exactF[at] = exclusive && k == 0 ? float(neutral(op)) : float(value);
          sum = next;
        }
      }
    }
    bool small = true;
    for (float v : exactF) small &= std::fabs(v) < 1e6f || std::isinf(v);
    if (!small) continue;
    for (const KernelTable* table : tables()) {
      std::vector<int32_t> y(x.size());
      std::vector<float> yf(x.size());
      randomSplit(outer * inner, [&](int64_t b, int64_t e) {
        table->cumulative(op, DType::i32, x.data(), n, inner, exclusive, reverse, y.data(), b, e);
      });
      randomSplit(outer * inner, [&](int64_t b, int64_t e) {
        table->cumulative(op, DType::f32, xf.data(), n, inner, exclusive, reverse, yf.data(), b, e);
      });
      expectSame(exact, y, "cumulative i32");
      for (size_t i = 0; i < yf.size(); ++i)
        expect(yf[i] == exactF[i], "cumulative f32 op %d: %g, expected %g", int(op), double(yf[i]), double(exactF[i]));
    }
  }
}

KERNEL_CASE(rowsSoftmax) {
  for (int round = 0; round < 200; ++round) {
    const int64_t rows = pick(1, 6), n = pick(0, 9) == 0 ? pick(100, 6000) : size();
    const std::vector<float> x = floats(rows * n, -8, 8), dy = floats(rows * n), g = floats(rows);
    const std::vector<int32_t> labels = integers(rows, 0, int32_t(n) - 1);
    std::vector<double> p(rows * n), logp(rows * n), dx(rows * n), dlog(rows * n), loss(rows), dce(rows * n);
    for (int64_t r = 0; r < rows; ++r) {
      double top = -INFINITY, sum = 0, dot = 0, total = 0;
      for (int64_t i = 0; i < n; ++i) top = std::max(top, double(x[r * n + i]));
      for (int64_t i = 0; i < n; ++i) sum += std::exp(x[r * n + i] - top);
      for (int64_t i = 0; i < n; ++i) {
        logp[r * n + i] = x[r * n + i] - top - std::log(sum);
        p[r * n + i] = std::exp(logp[r * n + i]);
        dot += p[r * n + i] * dy[r * n + i];
        total += dy[r * n + i];
      }
      for (int64_t i = 0; i < n; ++i) {
        dx[r * n + i] = p[r * n + i] * (dy[r * n + i] - dot);
        dlog[r * n + i] = dy[r * n + i] - p[r * n + i] * total;
        dce[r * n + i] = g[r] * (p[r * n + i] - (labels[r] == i));
      }
      loss[r] = -logp[r * n + labels[r]];
    }
    const std::vector<double> tight(rows * n, 4e-6), loose(rows * n, 4e-6 * (4 + double(n) / 100)),
        lossBound(rows, 6e-6);
    std::vector<float> firsts[6];
    for (const KernelTable* table : tables()) {
      std::vector<float> y[6];
      for (auto& v : y) v.resize(rows * n);
      std::vector<float> l(rows), prob(rows * n);
      Unaligned streamed[4] = {Unaligned(rows * n), Unaligned(rows * n), Unaligned(rows * n), Unaligned(rows * n)};
      randomSplit(rows, [&](int64_t b, int64_t e) {
        for (bool streams : {false, true}) {
          const auto to = [&](int i) { return streams ? streamed[i].data() : y[i].data(); };
          table->softmax(x.data(), to(0), n, streams, b, e);
          table->logSoftmax(x.data(), to(1), n, streams, b, e);
          table->softmaxBackward(y[0].data(), dy.data(), to(2), n, streams, b, e);
          table->logSoftmaxBackward(y[1].data(), dy.data(), to(3), n, streams, b, e);
        }
        table->sparseCrossEntropy(x.data(), labels.data(), l.data(), prob.data(), n, b, e);
        table->sparseCrossEntropyBackward(prob.data(), labels.data(), g.data(), y[4].data(), n, b, e);
      });
      for (int i = 0; i < 4; ++i) expectSame(y[i], streamed[i].values(), "streamed rows");
      y[5] = l;
      expectNear(y[0], p, tight, "softmax");
      expectNear(y[1], logp, tight, "logSoftmax");
      expectNear(y[2], dx, tight, "softmaxBackward");
      expectNear(y[3], dlog, loose, "logSoftmaxBackward");
      expectNear(y[4], dce, tight, "sparseCrossEntropyBackward");
      expectNear(l, loss, lossBound, "sparseCrossEntropy");
      for (int i = 0; i < 6; ++i) {
        if (firsts[i].empty())
          firsts[i] = y[i];
        else
          expectSame(firsts[i], y[i], "softmax family");
      }
    }
  }
}
