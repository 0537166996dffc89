#include "measure.h"

using namespace bench;

namespace {

void benchGemm(const char* name, int64_t m, int64_t n, int64_t k, bool transposedA = false) {
  if (!wanted(name)) return;
  const auto a = values(m * k), b = values(n * k);
  Floats packed(panelCount(n) * k * kPanel), c(m * n);
  kernels().packB(b.data(), n, 1, k, n, packed.data(), 0, panelCount(n));
  Gemm g;
  g.m = m, g.n = n, g.k = k;
  g.a = a.data(), g.aRow = transposedA ? 1 : k, g.aCol = transposedA ? m : 1;
  g.b = packed.data(), g.bPanel = k * kPanel;
  g.c = c.data(), g.cRow = n;
  std::vector<char, HugePages<char>> scratch(gemmScratchBytes(g) + 64);
  report(std::string(name) + " " + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k),
         best([&] { kernels().gemm(g, 0, m, 0, panelCount(n), scratch.data()); }), 2.0 * m * n * k,
         m == 1 ? 4.0 * n * k : 0);
}

void benchPack(int64_t k, int64_t n) {
  if (!wanted("pack")) return;
  const auto b = values(n * k);
  Floats packed(panelCount(n) * k * kPanel);
  report("packB row-major " + std::to_string(k) + "x" + std::to_string(n),
         best([&] { kernels().packB(b.data(), n, 1, k, n, packed.data(), 0, panelCount(n)); }), 0, 8.0 * n * k);
  report("packB transposed " + std::to_string(k) + "x" + std::to_string(n),
         best([&] { kernels().packB(b.data(), 1, k, k, n, packed.data(), 0, panelCount(n)); }), 0, 8.0 * n * k);
}

void benchConv(const char* name, int64_t n, int64_t h, int64_t w, int64_t cin, int64_t cout, int64_t kernel = 3,
               int64_t pad = 0, int64_t stride = 1) {
  if (!wanted("conv")) return;
  ConvShape s;
  s.n = n, s.h = h, s.w = w, s.cin = cin, s.cout = cout, s.kh = s.kw = kernel, s.strideH = s.strideW = stride,
  s.padTop = s.padLeft = pad;
  s.oh = (h + 2 * pad - kernel) / stride + 1, s.ow = (w + 2 * pad - kernel) / stride + 1;
  const int64_t rows = s.filterRows(), panels = panelCount(cout);
  const auto x = values(n * h * w * cin), dy = values(n * s.oh * s.ow * cout), f = values(rows * cout),
             bias = values(cout);
  Floats packed(panels * rows * kPanel), transposed(panelCount(cin) * kernel * kernel * cout * kPanel), y(dy.size()),
      dx(x.size());
  const ConvFilterSplit split = convFilterSplit(s);
  Floats dw(split.chunks * packed.size());
  std::vector<char> memory(convScratchBytes(s) + 64);
  void* scratch = memory.data() + (64 - uintptr_t(memory.data()) % 64);
  kernels().packB(f.data(), cout, 1, rows, cout, packed.data(), 0, panels);
  kernels().convPackTransposed(s, packed.data(), true, transposed.data(), 0, panelCount(cin));
  const double flops = 2.0 * double(n * s.oh * s.ow) * double(rows * cout);
  const std::string text = "conv " + std::string(name) + " " + std::to_string(n) + "x" + std::to_string(h) + "x" +
                           std::to_string(w) + "x" + std::to_string(cin) + "->" + std::to_string(cout) + " k" +
                           std::to_string(kernel);
  report(text + " fwd", best([&] {
           kernels().convForward(s, x.data(), packed.data(), Finish{bias.data(), Activation{true}}, y.data(), 0,
                                 n * s.oh, 0, panels, scratch);
         }),
         flops);
  report(text + " dX", best([&] {
           kernels().convBackwardData(s, dy.data(), transposed.data(), dx.data(), 0, n * h, 0, panelCount(cin),
                                      scratch);
         }),
         flops);
  report(text + " dW", best([&] {
           kernels().convBackwardFilter(s, x.data(), dy.data(), dw.data(), int64_t(packed.size()), 0, kPanel,
                                        rows * kPanel, true, 0, split.items(), scratch);
         }),
         flops);
}

}  // namespace

void benchMatrices() {
  benchGemm("gemm big", 1024, 1024, 1024);
  benchGemm("gemm big", 512, 512, 512);
  benchGemm("gemm big", 2048, 2048, 2048);
  benchGemm("gemm big TN", 1024, 1024, 1024, true);
  for (int64_t m : {1, 4, 6, 8, 16, 64}) benchGemm("gemm dense", m, 1024, 1024);
  benchGemm("gemm W4", 128, 512, 784);
  benchGemm("gemm W4", 128, 256, 512);
  benchGemm("gemm W4", 128, 10, 256);
  benchGemm("gemm W4 dW", 784, 512, 128, true);
  benchGemm("gemm W4 dW", 512, 256, 128, true);
  benchGemm("gemm W3", 32, 128, 32);
  benchGemm("gemm W3", 32, 64, 128);
  benchGemm("gemm W3", 32, 1, 64);
  benchGemm("gemm cube", 48, 48, 48);
  benchGemm("gemm cube", 96, 96, 96);
  benchGemm("gemm cube", 192, 192, 192);
  for (int64_t k : {64, 128, 250, 256, 500, 1000}) benchGemm("gemm tile", 6, 16, k);
  for (int64_t k : {64, 128, 250, 256, 500}) benchGemm("gemm tile", 96, 16, k);
  for (int64_t k : {64, 128, 130, 250, 256, 260, 500, 512, 784}) benchGemm("gemm two", 96, 32, k);
  benchGemm("gemm k=4", 480, 480, 4);
  benchGemm("gemm k=16", 480, 480, 16);
  benchPack(1024, 1024);
}

void benchConvs() {
  benchConv("W5a", 128, 28, 28, 1, 32);
  benchConv("W5b", 128, 13, 13, 32, 64);
  benchConv("W6", 32, 32, 32, 64, 64, 3, 1);
  benchConv("resnet1", 1, 224, 224, 3, 64, 7, 3, 2);
  benchConv("resnet2", 1, 56, 56, 64, 64, 3, 1);
  benchConv("resnet3", 1, 28, 28, 128, 128, 3, 1);
  benchConv("resnet4", 1, 14, 14, 256, 256, 3, 1);
  benchConv("resnet5", 1, 7, 7, 512, 512, 3, 1);
  benchConv("resnet s2", 1, 56, 56, 128, 128, 3, 1, 2);
  benchConv("pointwise", 1, 56, 56, 64, 256, 1);
}
