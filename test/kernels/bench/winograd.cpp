#include "cpu/winograd.h"

#include "measure.h"

using namespace bench;

// Winograd beside the window loops, over a grid of layers.

namespace {

void benchLayer(int64_t n, int64_t size, int64_t cin, int64_t cout) {
  ConvShape s;
  s.n = n, s.h = s.w = s.oh = s.ow = size, s.cin = cin, s.cout = cout, s.kh = s.kw = 3, s.padTop = s.padLeft = 1;
  const int64_t rows = s.filterRows(), panels = panelCount(cout),
                tiles = n * winogradTileRows(s) * winogradTileColumns(s);
  const auto x = values(n * size * size * cin), f = values(rows * cout), bias = values(cout);
  Floats packed(panels * rows * kPanel), u(panels * kWinogradPoints * cin * kPanel), y(n * size * size * cout),
      v(kWinogradPoints * winogradStep(s, std::min(tiles, kWinogradTiles))), zeros(cin);
  std::vector<char, HugePages<char>> scratch(std::max(convScratchBytes(s), winogradScratchBytes()) + 64);
  const KernelTable& k = kernels();
  k.packB(f.data(), cout, 1, rows, cout, packed.data(), 0, panels);
  const double flops = 2.0 * double(n * size * size) * double(rows * cout);
  char text[80];
  std::snprintf(text, sizeof text, "winograd %lldx%lldx%lldx%lld->%lld", (long long)n, (long long)size, (long long)size,
                (long long)cin, (long long)cout);
  const double direct = best([&] {
    k.convForward(s, x.data(), packed.data(), Finish{bias.data(), Activation{true}}, y.data(), 0, n * size, 0, panels,
                  scratch.data());
  });
  const double filter = best([&] { k.winogradFilter(packed.data(), cin, u.data(), 0, panels); });
  double input = 0, whole = 0;
  for (bool multiplies : {false, true}) {
    (multiplies ? whole : input) = best([&] {
      for (int64_t tile = 0; tile < tiles; tile += kWinogradTiles) {
        const int64_t end = std::min(tiles, tile + kWinogradTiles), step = winogradStep(s, end - tile);
        k.winogradInput(s, x.data(), zeros.data(), v.data(), step, tile, end);
        if (multiplies)
          k.winogradForward(s, v.data(), step, u.data(), bias.data(), Activation{true}, y.data(), tile, end, 0, panels,
                            scratch.data());
      }
    });
  }
  const auto dy = values(n * size * size * cout);
  const int64_t dwSize = int64_t(packed.size());
  const ConvFilterSplit split = convFilterSplit(s);
  const WinogradSplit ownSplit = winogradFilterSplit(s);
  Floats dw(std::max(split.chunks, ownSplit.chunks) * dwSize);
  std::vector<char, HugePages<char>> backScratch(std::max(convScratchBytes(s), winogradFilterScratchBytes(s)) + 64);
  const double directBack = best([&] {
    k.convBackwardFilter(s, x.data(), dy.data(), dw.data(), dwSize, 0, kPanel, rows * kPanel, true, 0, split.items(),
                         backScratch.data());
  });
  const double back = best([&] {
    k.winogradBackwardFilter(s, x.data(), dy.data(), dw.data(), dwSize, kPanel, rows * kPanel, true, 0,
                             ownSplit.items(), backScratch.data());
  });
  std::printf(
      "%-36s direct %9.1f us %5.1f %%  winograd %9.1f us  x %.2f  input %5.1f %%  filter %8.1f us"
      "  dW direct %9.1f us  winograd %9.1f us  x %.2f\n",
      text, direct * 1e6, 100 * flops / direct * 1e-9 / peak, whole * 1e6, direct / whole, 100 * input / whole,
      filter * 1e6, directBack * 1e6, back * 1e6, directBack / back);
  std::fflush(stdout);
}

}  // namespace

void benchWinograd() {
  if (!wanted("winograd grid")) return;
  benchLayer(32, 32, 64, 64);
  for (int64_t channels : {64, 128, 256, 512}) benchLayer(1, 3584 / channels, channels, channels);
  if (!std::strstr("winograd grid", filter) || !*filter || !std::strcmp(filter, "winograd")) return;
  for (int64_t size : {4, 5, 6, 7, 14, 28, 56, 112}) {
    for (int64_t cin : {16, 32, 64}) {
      for (int64_t cout : {16, 32, 64}) benchLayer(1, size, cin, cout);
    }
  }
}
