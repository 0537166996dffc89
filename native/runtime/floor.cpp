#include "runtime/floor.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/buffer.h"
#include "cpu/kernel_table.h"
#include "cpu/team.h"

namespace chainrule {
namespace {

template <typename Body>
double secondsOf(Body body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Floor measureFloor(int threads) {
  cpu::Team team(threads);
  constexpr int64_t kIterations = 1 << 22, kFloats = 1 << 24;
  constexpr int64_t kRow = 1024, kCachedRows = 512, kReadings = 8;  // two blocks of 2 MB
  Buffer memory(size_t(kFloats) * 4, true);
  float* data = reinterpret_cast<float*>(memory.data());
  double flop = 0, bestCompute = 1e9, bestStream = 1e9, bestCache = 1e9;
  std::vector<float> sums(kCachedRows);
  for (int round = 0; round < 5; ++round) {
    bestCompute = std::min(bestCompute, secondsOf([&] {
                             team.run([&](int member) {
                               alignas(64) float sink[16];
                               const int64_t done = cpu::kernels().fmaChains(kIterations, sink);
                               if (member == 0) flop = double(done) * threads;
                             });
                           }));
    bestStream = std::min(bestStream, secondsOf([&] {
                            team.run([&](int member) {
                              const cpu::Range part = cpu::partOf(kFloats, 16, member, threads);
                              for (int64_t i = part.begin; i < part.end; ++i) data[i] *= 1.0000001f;
                            });
                          }));
    bestCache = std::min(bestCache, secondsOf([&] {
                           team.run([&](int member) {
                             const cpu::Range part = cpu::partOf(kCachedRows, 1, member, threads);
                             const float* first = data + part.begin * kRow;
                             for (int64_t i = 0; i < kReadings; ++i) {
                               cpu::kernels().dotRows(first, first + kCachedRows * kRow, kRow, kRow,
                                                      sums.data() + part.begin, part.end - part.begin);
                             }
                           });
                         }));
  }
  return {flop / bestCompute / 1e9, double(kFloats) * 8 / bestStream / 1e9,
          double(kCachedRows * kRow) * 8 * kReadings / bestCache / 1e9};
}

}  // namespace chainrule
