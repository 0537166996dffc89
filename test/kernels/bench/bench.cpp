#include "measure.h"

// Microbenchmark of the kernels on one core: kernel_bench [filter]. Figures beside the FMA peak measured in the same
// run.
using namespace bench;

void benchMatrices();
void benchConvs();
void benchIslands();
void benchRows();
void benchOthers();
void benchWinograd();
void benchQuantized();

namespace {

void measurePeak() {
  float sink[16];
  const double operations = double(kernels().fmaChains(100000, sink));
  peak = operations / best([&] { kernels().fmaChains(100000, sink); }) * 1e-9;
  std::printf("fma peak %.1f GFLOP/s\n", peak);
}

void benchTeam() {
  if (!wanted("team")) return;
  Team team(2);
  const double region = best([&] { team.run([](int) {}); });
  double barrier = 0;
  team.run([&](int member) {
    const double start = now();
    for (int i = 0; i < 100000; ++i) team.barrier().wait();
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
  benchMatrices();
  benchConvs();
  benchWinograd();
  benchIslands();
  benchRows();
  benchOthers();
  benchQuantized();
  benchTeam();
}
