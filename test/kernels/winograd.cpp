#include "cpu/winograd.h"

#include "check.h"

// Winograd against window loops in double and beside the direct kernel: odd sizes, any padding, rows of a filter's
// panel that are padding.
using namespace check;

namespace {

struct Layer {
  ConvShape shape;
  std::vector<float> x, filter, bias, dy;
  bool relu = false;
  std::vector<double> y, dw;  // exact
};

Layer layerOf(const ConvShape& s, bool integersOnly) {
  Layer l{s,
          floats(s.n * s.h * s.w * s.cin),
          floats(9 * s.cin * s.cout),
          floats(s.cout),
          floats(s.n * s.oh * s.ow * s.cout),
          pick(0, 1) == 1,
          {},
          {}};
  if (integersOnly) {  // quarters are exact, so every sum is
    for (auto* v : {&l.x, &l.filter, &l.bias, &l.dy}) {
      for (float& f : *v) f = float(int(f * 4));
    }
  }
  l.dw.resize(l.filter.size());
  for (int64_t row = 0; row < s.n * s.oh; ++row) {
    for (int64_t out = 0; out < s.ow * s.cout; ++out) {
      const int64_t o = out % s.cout, top = row % s.oh - s.padTop, left = out / s.cout - s.padLeft;
      double sum = l.bias[o];
      const double dy = l.dy[row * s.ow * s.cout + out];
      for (int64_t tap = 0; tap < 9; ++tap) {
        const int64_t i = top + tap / 3, j = left + tap % 3;
        if (i < 0 || i >= s.h || j < 0 || j >= s.w) continue;
        for (int64_t c = 0; c < s.cin; ++c) {
          const double x = l.x[((row / s.oh * s.h + i) * s.w + j) * s.cin + c];
          const int64_t f = (tap * s.cin + c) * s.cout + o;
          sum += x * l.filter[f];
          l.dw[f] += x * dy;
        }
      }
      l.y.push_back(l.relu && sum < 0 ? 0 : sum);
    }
  }
  return l;
}

ConvShape shapeOf(int64_t n, int64_t h, int64_t w, int64_t cin, int64_t cout, int64_t before, int64_t after) {
  ConvShape s;
  s.n = n, s.h = h, s.w = w, s.cin = cin, s.cout = cout, s.kh = s.kw = 3;
  s.padTop = before, s.padLeft = after;
  s.oh = h + before + after - 2, s.ow = w + before + after - 2;
  return s;
}

std::vector<float> packed(const KernelTable& k, const Layer& l) {
  const int64_t panels = panelCount(l.shape.cout), rows = l.shape.filterRows();
  std::vector<float> out(panels * rows * kPanel, NAN);
  k.packB(l.filter.data(), l.shape.cout, 1, rows, l.shape.cout, out.data(), 0, panels);
  return out;
}

std::vector<float> direct(const KernelTable& k, const Layer& l) {
  const ConvShape& s = l.shape;
  std::vector<float> y(l.y.size(), NAN);
  Scratch scratch(convScratchBytes(s));
  k.convForward(s, l.x.data(), packed(k, l).data(), Finish{l.bias.data(), Activation{l.relu}}, y.data(), 0, s.n * s.oh,
                0, panelCount(s.cout), scratch.data());
  return y;
}

std::vector<float> winograd(const KernelTable& k, const Layer& l) {
  const ConvShape& s = l.shape;
  const int64_t panels = panelCount(s.cout), tiles = s.n * winogradTileRows(s) * winogradTileColumns(s),
                step = winogradStep(s, tiles);
  const std::vector<float> filter = packed(k, l), zeros(s.cin);
  std::vector<float> u(panels * kWinogradPoints * s.cin * kPanel, NAN), v(kWinogradPoints * step, NAN),
      y(l.y.size(), NAN);
  Scratch scratch(winogradScratchBytes());
  randomSplit(panels, [&](int64_t b, int64_t e) { k.winogradFilter(filter.data(), s.cin, u.data(), b, e); });
  randomSplit(tiles, [&](int64_t b, int64_t e) {
    k.winogradInput(s, l.x.data(), zeros.data(), v.data() + b * winogradPitch(s), step, b, e);
  });
  randomSplit(tiles, [&](int64_t b, int64_t e) {
    randomSplit(panels, [&](int64_t p, int64_t q) {
      k.winogradForward(s, v.data() + b * winogradPitch(s), step, u.data(), l.bias.data(), Activation{l.relu}, y.data(),
                        b, e, p, q, scratch.data());
    });
  });
  return y;
}

std::vector<float> filterGradient(const KernelTable& k, const Layer& l, bool byWindows) {
  const ConvShape& s = l.shape;
  const WinogradSplit own = winogradFilterSplit(s);
  const ConvFilterSplit direct = convFilterSplit(s);
  const int64_t chunks = byWindows ? direct.chunks : own.chunks, rows = s.filterRows(), panels = panelCount(s.cout);
  const bool inPanels = pick(0, 1);
  const int64_t size = inPanels ? panels * rows * kPanel : rows * s.cout, rowStride = inPanels ? kPanel : s.cout,
                panelStride = inPanels ? rows * kPanel : kPanel;
  std::vector<float> parts(chunks * size, NAN), total(size), dw(l.dw.size());
  Scratch scratch(byWindows ? convScratchBytes(s) : winogradFilterScratchBytes(s));
  randomSplit(byWindows ? direct.items() : own.items(), [&](int64_t b, int64_t e) {
    if (byWindows)
      k.convBackwardFilter(s, l.x.data(), l.dy.data(), parts.data(), size, 0, rowStride, panelStride, inPanels, b, e,
                           scratch.data());
    else
      k.winogradBackwardFilter(s, l.x.data(), l.dy.data(), parts.data(), size, rowStride, panelStride, inPanels, b, e,
                               scratch.data());
  });
  k.reduceOuter(Reduce::sum, DType::f32, parts.data(), chunks, size, total.data(), 0, size);
  for (float value : total) expect(!std::isnan(value), "dw or its padding is NaN");
  if (!inPanels) return total;
  k.unpackB(total.data(), rows, s.cout, dw.data(), s.cout, 1, 0, panels);
  return dw;
}

float largest(const std::vector<float>& v) {
  float value = 0;
  for (float f : v) value = std::max(value, std::fabs(f));
  return value;
}

void checkLayer(const ConvShape& s, bool integersOnly) {
  const Layer l = layerOf(s, integersOnly);
  // A tile's transformed input is at most 4 times the largest value, the filter's 9 / 4 times, and 9 of their products
  // meet in an output; to the chain over channels come 11 roundings. Backwards it is the same with the factors' roles
  // exchanged, over tiles.
  const auto bounds = [&](size_t count, double terms, double factor) {
    return std::vector<double>(count, integersOnly ? 0 : (terms + 11) * 0x1p-24 * 81 * terms * largest(l.x) * factor);
  };
  const double tiles = double(s.n * winogradTileRows(s) * winogradTileColumns(s));
  std::vector<float> first, firstGradient;
  for (const KernelTable* table : tables()) {
    const std::vector<float> y = winograd(*table, l), dw = filterGradient(*table, l, false);
    expectNear(y, l.y, bounds(l.y.size(), double(s.cin), largest(l.filter)),
               (std::string(table->isa) + " winograd").c_str());
    expectNear(dw, l.dw, bounds(l.dw.size(), tiles, largest(l.dy)),
               (std::string(table->isa) + " winograd, backwards").c_str());
    if (first.empty()) {
      first = y, firstGradient = dw;
    } else {
      expectSame(first, y, "winograd between isas");
      expectSame(firstGradient, dw, "winograd's gradient between isas");
    }
  }
}

double largestError(const std::vector<float>& y, const std::vector<double>& exact) {
  double error = 0, size = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    error = std::max(error, std::fabs(y[i] - exact[i]));
    size = std::max(size, std::fabs(exact[i]));
  }
  return error / size;
}

}  // namespace

KERNEL_CASE(winogradRandom) {
  for (int round = 0; round < 120; ++round) {
    const int64_t before = pick(0, 2), after = pick(0, 2);
    const int64_t h = pick(std::max<int64_t>(1, 3 - before - after), 17), w = pick(3, 25);
    checkLayer(shapeOf(pick(1, 3), h, w, size(), size(), before, after), pick(0, 1));
  }
  checkLayer(shapeOf(1, 9, 8, 420, 40, 1, 1), true);  // more than one block of k
  checkLayer(shapeOf(2, 20, 21, 64, 100, 1, 1), false);
}

// The gate of automatic use: at most three times the error of the direct kernel.
KERNEL_CASE(winogradAccuracy) {
  for (int64_t channels : {32, 64, 128, 256, 512}) {
    for (int64_t edge : {7, 12}) {
      for (int64_t padding : {0, 1}) {
        const KernelTable& table = *tables().back();
        const Layer l = layerOf(shapeOf(1, edge, edge + 1, channels, 48, padding, padding), false);
        const double own = largestError(winograd(table, l), l.y), other = largestError(direct(table, l), l.y);
        expect(own <= 3 * other, "%d channels: error %.2e, of the direct kernel %.2e", int(channels), own, other);
        const double ownBack = largestError(filterGradient(table, l, false), l.dw),
                     otherBack = largestError(filterGradient(table, l, true), l.dw);
        expect(ownBack <= 3 * otherBack, "%d channels backwards: error %.2e, of the direct kernel %.2e", int(channels),
               ownBack, otherBack);
      }
    }
  }
}
