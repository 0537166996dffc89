#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "cpu/float_mode.h"
#include "cpu/kernel_table.h"
#include "cpu/split.h"
#include "cpu/team.h"

// Microbenchmark of the kernels on one core: kernel_bench [filter]. Figures beside the FMA peak measured in the same
// run.
using namespace chainrule;
using namespace chainrule::cpu;

namespace {

const char* filter = "";
double peak = 0;

// CPU time of this thread: other processes on the machine disturb it less than the clock.
double now() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + double(t.tv_nsec) * 1e-9;
}

// Best seconds per call of several blocks of at least 20 ms.
template <typename F>
double best(F&& body) {
  body();
  int64_t repeats = 1;
  double least = 1e9;
  for (int block = 0; block < 24;) {
    const double start = now();
    for (int64_t i = 0; i < repeats; ++i) body();
    const double time = now() - start;
    if (time < 0.02) {
      repeats = time < 0.002 ? repeats * 8 : repeats * 2;
      continue;
    }
    least = std::min(least, time / double(repeats));
    ++block;
  }
  return least;
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) void fmaChains(int64_t n, float* out) {
  typedef float V __attribute__((vector_size(32)));
  V a[12], x = {1, 1, 1, 1, 1, 1, 1, 1}, y = {0.5f};
  for (int j = 0; j < 12; ++j) a[j] = x * float(j) * *out;  // different, or the compiler makes them one
  for (int64_t i = 0; i < n; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < 12; ++j) a[j] = __builtin_ia32_vfmaddps256(a[j], x, y);
  }
  for (int j = 1; j < 12; ++j) a[0] += a[j];
  *out = a[0][0];
}
void measurePeak() {
  float sink = 0.5f;
  const double t = best([&] { fmaChains(100000, &sink); });
  peak = 100000.0 * 12 * 16 / t * 1e-9;
  std::printf("fma peak %.1f GFLOP/s\n", peak);
}
#else
void measurePeak() {}
#endif

void report(const std::string& name, double seconds, double flops, double bytes = 0) {
  std::printf("%-44s %10.2f us", name.c_str(), seconds * 1e6);
  if (flops > 0)
    std::printf("  %7.1f GFLOP/s %5.1f %%", flops / seconds * 1e-9, peak > 0 ? 100 * flops / seconds * 1e-9 / peak : 0);
  if (bytes > 0) std::printf("  %6.1f GB/s", bytes / seconds * 1e-9);
  std::printf("\n");
  std::fflush(stdout);
}
bool wanted(const char* name) { return std::strstr(name, filter) != nullptr; }

// Memory as the engine's arena has it: huge pages.
template <typename T>
struct HugePages {
  using value_type = T;
  T* allocate(size_t n) {
    const size_t bytes = (n * sizeof(T) + (2 << 20) - 1) >> 21 << 21;
    void* p = std::aligned_alloc(2 << 20, bytes);
#if defined(__linux__)
    madvise(p, bytes, MADV_HUGEPAGE);
#endif
    return static_cast<T*>(p);
  }
  void deallocate(T* p, size_t) { std::free(p); }
  bool operator==(const HugePages&) const { return true; }
};
using Floats = std::vector<float, HugePages<float>>;

Floats values(int64_t n) {
  Floats v(n);
  uint32_t x = 1;
  for (float& f : v) f = float(int32_t(x = x * 1664525 + 1013904223)) * 0x1p-31f;
  return v;
}

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

Island chain(int64_t n, std::vector<IslandInstruction> code, int inputs, std::vector<float> constants = {}) {
  Island island;
  island.rank = 1;
  island.dims[0] = n;
  island.inputCount = inputs;
  for (int i = 0; i < inputs; ++i) island.inputs[i].strides[0] = 1;
  for (float c : constants) std::memcpy(&island.constants[island.constantCount++], &c, 4);
  for (const auto& in : code) island.instructions[island.instructionCount++] = in;
  island.outputCount = 1;
  island.outputs[0] = {uint8_t(inputs + island.constantCount + island.instructionCount - 1), DType::f32};
  finishIsland(island);
  return island;
}

void benchIsland(const char* name, const Island& island) {
  if (!wanted("island")) return;
  const int64_t n = island.elements;
  const auto a = values(n), b = values(n);
  Floats y(n);
  std::vector<char, HugePages<char>> scratch(islandScratchBytes(island) + 64);
  const void* in[] = {a.data(), b.data()};
  void* out[] = {y.data()};
  const double t =
      best([&] { kernels().island(island, in, out, 0, n, scratch.data() + (64 - uintptr_t(scratch.data()) % 64)); });
  std::printf("%-44s %10.3f us  %6.2f Gelements/s\n",
              ("island " + std::string(name) + " n=" + std::to_string(n)).c_str(), t * 1e6, double(n) / t * 1e-9);
}

void benchIslands() {
  for (int64_t n : {3, 8, 64, 512, 8192, 65536, 1 << 20}) {
    benchIsland("a*b+a (1 op)", chain(n, {{Opcode::mul_f32, 0, 1, 0}, {Opcode::add_f32, 2, 0, 0}}, 2));
    benchIsland("7 simple ops", chain(n,
                                      {{Opcode::mul_f32, 0, 2, 0},
                                       {Opcode::add_f32, 4, 3, 0},
                                       {Opcode::maximum_f32, 5, 1, 0},
                                       {Opcode::mul_f32, 6, 0, 0},
                                       {Opcode::sub_f32, 7, 1, 0},
                                       {Opcode::mul_f32, 8, 8, 0},
                                       {Opcode::add_f32, 9, 0, 0}},
                                      2, {0.5f, 1.5f}));
    benchIsland("exp", chain(n, {{Opcode::exp_f32, 0, 0, 0}}, 1));
    benchIsland("tanh", chain(n, {{Opcode::tanh_f32, 0, 0, 0}}, 1));
  }
}

void benchRows() {
  if (!wanted("rows")) return;
  for (auto [rows, n] : {std::pair<int64_t, int64_t>{8192, 1024}, {128, 10}, {256, 64}}) {
    const auto x = values(rows * n);
    Floats y(rows * n), s(std::max(rows, n));
    const std::string size = " " + std::to_string(rows) + "x" + std::to_string(n);
    report("rows softmax" + size, best([&] { kernels().softmax(x.data(), y.data(), n, 0, rows); }), 0, 8.0 * rows * n);
    report("rows softmaxBackward" + size,
           best([&] { kernels().softmaxBackward(y.data(), x.data(), y.data(), n, 0, rows); }), 0, 12.0 * rows * n);
    report("rows reduceInner sum" + size,
           best([&] { kernels().reduceInner(Reduce::sum, DType::f32, x.data(), n, s.data(), 0, rows); }), 0,
           4.0 * rows * n);
    report("rows reduceOuter sum" + size,
           best([&] { kernels().reduceOuter(Reduce::sum, DType::f32, x.data(), rows, n, s.data(), 0, n); }), 0,
           4.0 * rows * n);
  }
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
           kernels().convForward(s, x.data(), packed.data(), bias.data(), Activation::relu, y.data(), 0, n * s.oh, 0,
                                 panels, scratch);
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
    report("pool max bwd W5", best([&] { k.maxPoolBackward(s, dy.data(), index.data(), dx.data(), 0, s.n * s.h); }), 0, bytes);
    report("pool average fwd W5", best([&] { k.averagePool(s, x.data(), y.data(), 0, s.n * s.oh); }), 0, bytes);
    report("pool average bwd W5", best([&] { k.averagePoolBackward(s, dy.data(), dx.data(), 0, s.n * s.h); }), 0, bytes);
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
      report("copy transposed " + std::to_string(n), best([&] { k.copyStrided(transposed, 4, x.data(), y.data(), 0, n * n); }), 0, 8.0 * double(n * n));
    }
    const auto x = values(32 * 128 * 4 * 64);
    Floats y(x.size());
    const StridedSpace heads{4, {32, 4, 128, 64}, {128 * 256, 64, 256, 1}};
    report("copy heads [32,128,4,64] -> [32,4,128,64]", best([&] { k.copyStrided(heads, 4, x.data(), y.data(), 0, int64_t(x.size())); }), 0, 8.0 * double(x.size()));
  }
  if (wanted("gather")) {
    const int64_t rows = 20000, width = 16, count = 131072;
    const auto table = values(rows * width);
    Floats out(count * width), sums(rows * width);
    std::vector<int32_t> indices(count), order(count);
    uint32_t r = 7;
    for (int32_t& i : indices) i = int32_t((r = r * 1664525 + 1013904223) >> 8) % int32_t(rows);
    std::vector<char> scratch(sortScratchBytes(count) + 64);
    int64_t bad = INT64_MAX;
    report("gather rows W11", best([&] { k.gatherRows(table.data(), rows, width * 4, indices.data(), out.data(), 0, count, &bad); }), 0, 8.0 * double(count * width));
    report("gather sort W11", best([&] { k.sortIndices(indices.data(), count, order.data(), scratch.data()); }), 0, 4.0 * double(count));
    report("gather scatterAdd W11", best([&] { k.scatterAddRows(out.data(), width, indices.data(), order.data(), count, sums.data(), false, 0, rows); }), 0, 8.0 * double(count * width));
  }
  if (wanted("depthwise")) {
    ConvShape s;
    s.n = 16, s.h = s.w = s.oh = s.ow = 56, s.cin = s.cout = s.groups = 144, s.kh = s.kw = 3, s.padTop = s.padLeft = 1;
    const auto x = values(s.n * s.h * s.w * s.cin), f = values(9 * s.cout);
    Floats y(x.size()), dw(depthwiseFilterChunks(s) * 9 * s.cout);
    const double flops = 18.0 * double(x.size()), bytes = 8.0 * double(x.size());
    report("depthwise W8 fwd", best([&] { k.depthwiseForward(s, x.data(), f.data(), nullptr, Activation::none, y.data(), 0, s.n * s.oh); }), flops, bytes);
    report("depthwise W8 dX", best([&] { k.depthwiseBackwardData(s, x.data(), f.data(), y.data(), 0, s.n * s.h); }), flops, bytes);
    report("depthwise W8 dW", best([&] { k.depthwiseBackwardFilter(s, x.data(), y.data(), dw.data(), 0, depthwiseFilterChunks(s)); }), flops, bytes);
  }
}

void benchTeam() {
  if (!wanted("team")) return;
  Team team(2);
  const double region = best([&] { team.run([](int) {}); });
  double barrier = 0;
  team.run([&](int member) {
    const double start = now();
    for (int i = 0; i < 100000; ++i) team.barrier(member);
    if (member == 0) barrier = (now() - start) / 100000;
  });
  std::printf("team of 2: run() %.2f us, barrier %.0f ns\n", region * 1e6, barrier * 1e9);
}

}  // namespace

int main(int count, char** arguments) {
  if (count > 1) filter = arguments[1];
  const FlushDenormals flush;
  std::printf("isa %s\n", std::string(isaName()).c_str());
  measurePeak();
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
  benchGemm("gemm k=4", 480, 480, 4);
  benchGemm("gemm k=16", 480, 480, 16);
  benchPack(1024, 1024);
  benchConvs();
  benchIslands();
  benchRows();
  benchOthers();
  benchTeam();
}
