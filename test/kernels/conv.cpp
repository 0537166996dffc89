#include "check.h"

// Convolution in three passes against window loops, over random shapes: stride, dilation, asymmetric padding, groups.
using namespace check;

namespace {

ConvShape randomShape(int round) {
  ConvShape s;
  s.n = pick(1, 3);
  s.kh = pick(1, 4), s.kw = pick(1, 4);
  s.strideH = pick(1, 3), s.strideW = pick(1, 3);
  s.dilationH = s.strideH == 1 ? pick(1, 2) : 1, s.dilationW = s.strideW == 1 ? pick(1, 2) : 1;
  s.groups = pick(0, 3) == 0 ? pick(2, 3) : 1;
  const int64_t channels[] = {1, 2, 3, 4, 5, 7, 8, 16, 17, 33};
  s.cin = channels[pick(0, 9)] * s.groups;
  s.cout = channels[pick(0, 9)] * s.groups;
  if (round % 3 == 0) s.strideH = s.strideW = s.dilationH = s.dilationW = s.groups = 1;
  if (round % 9 == 0) s.kh = s.kw = 3, s.cin = pick(60, 70), s.cout = pick(20, 70);
  if (round % 10 == 1) s.kh = s.kw = 1, s.padTop = s.padLeft = 0, s.strideH = s.strideW = 1;
  const int64_t spanH = (s.kh - 1) * s.dilationH + 1, spanW = (s.kw - 1) * s.dilationW + 1;
  s.h = spanH + pick(0, 12), s.w = spanW + pick(0, 20);
  if (round % 11 == 3) s.h = spanH, s.w = pick(400, 600), s.cin = s.cout = s.groups * pick(1, 3);
  if (!(round % 10 == 1)) s.padTop = pick(0, spanH - 1), s.padLeft = pick(0, spanW - 1);
  const int64_t padBottom = pick(0, s.padTop), padRight = round % 10 == 1 ? 0 : pick(0, spanW - 1);
  s.oh = (s.h + s.padTop + padBottom - spanH) / s.strideH + 1;
  s.ow = (s.w + s.padLeft + padRight - spanW) / s.strideW + 1;
  return s;
}

Activation randomActivation() { return {pick(0, 1) == 1, pick(0, 1) ? 0.5f : INFINITY}; }

struct Exact {
  std::vector<double> y, dx, dw, ySize, dxSize, dwSize;
};

Exact exactConv(const ConvShape& s, const std::vector<float>& x, const std::vector<float>& w,
                const std::vector<float>& dy, const std::vector<float>& bias, Activation activation) {
  Exact e;
  e.y.resize(dy.size()), e.ySize.resize(dy.size());
  e.dx.resize(x.size()), e.dxSize.resize(x.size());
  e.dw.resize(w.size()), e.dwSize.resize(w.size());
  for (int64_t n = 0; n < s.n; ++n) {
    for (int64_t oi = 0; oi < s.oh; ++oi) {
      for (int64_t oj = 0; oj < s.ow; ++oj) {
        for (int64_t o = 0; o < s.cout; ++o) {
          const int64_t out = ((n * s.oh + oi) * s.ow + oj) * s.cout + o, group = o / s.groupOut();
          double sum = 0, size = 0;
          for (int64_t r = 0; r < s.kh; ++r) {
            const int64_t i = oi * s.strideH - s.padTop + r * s.dilationH;
            for (int64_t c = 0; i >= 0 && i < s.h && c < s.kw; ++c) {
              const int64_t j = oj * s.strideW - s.padLeft + c * s.dilationW;
              for (int64_t ci = 0; j >= 0 && j < s.w && ci < s.groupIn(); ++ci) {
                const int64_t in = ((n * s.h + i) * s.w + j) * s.cin + group * s.groupIn() + ci,
                              f = ((r * s.kw + c) * s.groupIn() + ci) * s.cout + o;
                const double p = double(x[in]) * w[f];
                sum += p, size += std::fabs(p);
                e.dx[in] += double(dy[out]) * w[f], e.dxSize[in] += std::fabs(double(dy[out]) * w[f]);
                e.dw[f] += double(dy[out]) * x[in], e.dwSize[f] += std::fabs(double(dy[out]) * x[in]);
              }
            }
          }
          sum += bias[o];
          e.y[out] = activation.relu ? std::clamp<double>(sum, 0, activation.ceiling) : sum;
          e.ySize[out] = size + std::fabs(bias[o]);
        }
      }
    }
  }
  return e;
}

std::vector<double> bounds(const std::vector<double>& size, int64_t terms, bool exact) {
  std::vector<double> b(size.size());
  for (size_t i = 0; i < b.size(); ++i) b[i] = exact ? 0 : (double(terms) + 4) * 0x1p-24 * size[i];
  return b;
}

void checkConv(const ConvShape& s, bool integersOnly) {
  std::vector<float> x = floats(s.n * s.h * s.w * s.cin), w = floats(s.filterRows() * s.cout),
                     dy = floats(s.n * s.oh * s.ow * s.cout), bias = floats(s.cout);
  if (integersOnly) {
    for (auto* v : {&x, &w, &dy, &bias}) {
      for (float& f : *v) f = float(int(f * 4));
    }
  }
  const Activation activation = randomActivation();
  const Exact e = exactConv(s, x, w, dy, bias, activation);
  char what[200];
  std::snprintf(what, sizeof what, "n%d %dx%dx%d k%dx%d s%dx%d d%dx%d p%d,%d -> %dx%dx%d g%d", int(s.n), int(s.h),
                int(s.w), int(s.cin), int(s.kh), int(s.kw), int(s.strideH), int(s.strideW), int(s.dilationH),
                int(s.dilationW), int(s.padTop), int(s.padLeft), int(s.oh), int(s.ow), int(s.cout), int(s.groups));
  const int64_t rows = s.filterRows(), perGroup = panelCount(s.groupOut()), panels = perGroup * s.groups,
                inPanels = panelCount(s.groupIn()) * s.groups;
  std::vector<float> first[3];
  for (const KernelTable* table : tables()) {
    std::vector<float> packed(panels * rows * kPanel, NAN),
        transposed(inPanels * s.kh * s.kw * s.groupOut() * kPanel, NAN);
    for (int64_t g = 0; g < s.groups; ++g)
      table->packB(w.data() + g * s.groupOut(), s.cout, 1, rows, s.groupOut(),
                   packed.data() + g * perGroup * rows * kPanel, 0, perGroup);
    const bool fromPanels = pick(0, 1);
    randomSplit(inPanels, [&](int64_t b, int64_t end) {
      table->convPackTransposed(s, fromPanels ? packed.data() : w.data(), fromPanels, transposed.data(), b, end);
    });
    std::vector<float> y(dy.size(), NAN), dx(x.size(), NAN), dw(w.size(), NAN);
    Scratch scratch(convScratchBytes(s));
    randomSplit(s.n * s.oh, [&](int64_t b, int64_t end) {
      randomSplit(panels, [&](int64_t p, int64_t q) {
        table->convForward(s, x.data(), packed.data(), Finish{bias.data(), activation}, y.data(), b, end, p, q,
                           scratch.data());
      });
    });
    randomSplit(s.n * s.h, [&](int64_t b, int64_t end) {
      randomSplit(inPanels, [&](int64_t p, int64_t q) {
        table->convBackwardData(s, dy.data(), transposed.data(), dx.data(), b, end, p, q, scratch.data());
      });
    });
    // The filter gradient either row-major or in panels.
    const ConvFilterSplit split = convFilterSplit(s);
    const bool inPanelLayout = pick(0, 1);
    const int64_t size = inPanelLayout ? panels * rows * kPanel : rows * s.cout;
    std::vector<float> chunks(split.chunks * size, NAN), total(size);
    randomSplit(split.items(), [&](int64_t b, int64_t end) {
      if (inPanelLayout)
        table->convBackwardFilter(s, x.data(), dy.data(), chunks.data(), size, perGroup * rows * kPanel, kPanel,
                                  rows * kPanel, true, b, end, scratch.data());
      else
        table->convBackwardFilter(s, x.data(), dy.data(), chunks.data(), size, s.groupOut(), s.cout, kPanel, false, b,
                                  end, scratch.data());
    });
    table->reduceOuter(Reduce::sum, DType::f32, chunks.data(), split.chunks, size, total.data(), 0, size);
    if (inPanelLayout) {
      for (int64_t g = 0; g < s.groups; ++g)
        table->unpackB(total.data() + g * perGroup * rows * kPanel, rows, s.groupOut(), dw.data() + g * s.groupOut(),
                       s.cout, 1, 0, perGroup);
      for (float v : total) expect(!std::isnan(v), "padding of dw panels is NaN");
    } else {
      dw = total;
    }
    expectNear(y, e.y, bounds(e.ySize, rows, integersOnly), (std::string(table->isa) + " forward " + what).c_str());
    expectNear(dx, e.dx, bounds(e.dxSize, s.kh * s.kw * s.groupOut(), integersOnly),
               (std::string(table->isa) + " backwardData " + what).c_str());
    expectNear(dw, e.dw, bounds(e.dwSize, s.n * s.oh * s.ow, integersOnly),
               (std::string(table->isa) + " backwardFilter " + what).c_str());
    const std::vector<float>* all[] = {&y, &dx, &dw};
    for (int i = 0; i < 3; ++i) {
      if (first[i].empty())
        first[i] = *all[i];
      else
        expectSame(first[i], *all[i], what);
    }
  }
}

}  // namespace

KERNEL_CASE(convRandom) {
  for (int round = 0; round < 250; ++round) checkConv(randomShape(round), pick(0, 1));
}

KERNEL_CASE(convDepthwise) {
  for (int round = 0; round < 200; ++round) {
    ConvShape s = randomShape(1 + 3 * round);
    s.cin = s.groups = s.cout = size();
    if (s.n * s.oh * s.ow * s.cout * s.kh * s.kw > 2000000) continue;
    const bool integersOnly = pick(0, 1);
    const Activation activation = randomActivation();
    std::vector<float> x = floats(s.n * s.h * s.w * s.cin), w = floats(s.kh * s.kw * s.cout),
                       dy = floats(s.n * s.oh * s.ow * s.cout), bias = floats(s.cout);
    if (integersOnly) {
      for (auto* v : {&x, &w, &dy, &bias}) {
        for (float& f : *v) f = float(int(f * 4));
      }
    }
    const Exact e = exactConv(s, x, w, dy, bias, activation);
    std::vector<float> first[3];
    for (const KernelTable* table : tables()) {
      std::vector<float> y(dy.size(), NAN), dx(x.size(), NAN), dw(w.size(), 0.0f);
      randomSplit(s.n * s.oh, [&](int64_t b, int64_t end) {
        table->depthwiseForward(s, x.data(), w.data(), bias.data(), activation, y.data(), b, end);
      });
      randomSplit(s.n * s.h, [&](int64_t b, int64_t end) {
        table->depthwiseBackwardData(s, dy.data(), w.data(), dx.data(), b, end);
      });
      const int64_t middle = pick(0, int(s.n * s.oh));  // sums go on where they were
      table->depthwiseBackwardFilter(s, x.data(), dy.data(), dw.data(), 0, middle);
      table->depthwiseBackwardFilter(s, x.data(), dy.data(), dw.data(), middle, s.n * s.oh);
      expectNear(y, e.y, bounds(e.ySize, s.kh * s.kw, integersOnly), "depthwise forward");
      expectNear(dx, e.dx, bounds(e.dxSize, s.kh * s.kw, integersOnly), "depthwise backwardData");
      expectNear(dw, e.dw, bounds(e.dwSize, s.n * s.oh * s.ow, integersOnly), "depthwise backwardFilter");
      const std::vector<float>* all[] = {&y, &dx, &dw};
      for (int i = 0; i < 3; ++i) {
        if (first[i].empty())
          first[i] = *all[i];
        else
          expectSame(first[i], *all[i], "depthwise between isas");
      }
    }
  }
}

KERNEL_CASE(convSpread) {
  for (int round = 0; round < 60; ++round) {
    const int64_t in = pick(1, 5), out = pick(0, 1) ? 1 << pick(0, 3) : pick(1, 9), groups = pick(1, 20),
                  k = pick(0, int(in) - 1);
    const int64_t pixels = pick(1, 30), channels = in * groups;
    const std::vector<float> x = floats(pixels * channels), wide = floats(pixels * groups * out);
    for (const KernelTable* table : tables()) {
      std::vector<float> spread(wide.size(), NAN), folded(x.size(), NAN);
      randomSplit(pixels, [&](int64_t b, int64_t e) {
        table->spreadChannels(x.data(), channels, in, k, out, spread.data(), b, e);
        table->foldChannels(wide.data(), channels, in, k, out, folded.data(), b, e);
      });
      for (int64_t i = 0; i < pixels * groups; ++i) {
        float sum = wide[i * out];
        for (int64_t q = 0; q < out; ++q) {
          expect(spread[i * out + q] == x[i * in + k], "spread channels");
          if (q > 0) sum += wide[i * out + q];
        }
        for (int64_t c = 0; c < in; ++c)
          expect(c == k ? folded[i * in + c] == sum : std::isnan(folded[i * in + c]), "folded channels");
      }
    }
  }
}

KERNEL_CASE(convLarge) {
  ConvShape s;
  s.n = 9, s.h = s.w = 28, s.cin = 1, s.kh = s.kw = 3, s.oh = s.ow = 26, s.cout = 32;
  checkConv(s, true);
  s.h = s.w = 13, s.cin = 32, s.oh = s.ow = 11, s.cout = 64;
  checkConv(s, false);
  s.n = 2, s.h = s.w = s.oh = s.ow = 9, s.padTop = s.padLeft = 1, s.cin = 130, s.cout = 40;  // more than one block of k
  checkConv(s, true);
}
