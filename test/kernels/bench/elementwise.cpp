#include "measure.h"

using namespace bench;

namespace {

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

}  // namespace

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
    report("rows softmax" + size, best([&] { kernels().softmax(x.data(), y.data(), n, false, 0, rows); }), 0,
           8.0 * rows * n);
    report("rows softmaxBackward" + size,
           best([&] { kernels().softmaxBackward(y.data(), x.data(), y.data(), n, false, 0, rows); }), 0,
           12.0 * rows * n);
    report("rows reduceInner sum" + size,
           best([&] { kernels().reduceInner(Reduce::sum, DType::f32, x.data(), n, s.data(), 0, rows); }), 0,
           4.0 * rows * n);
    report("rows reduceOuter sum" + size,
           best([&] { kernels().reduceOuter(Reduce::sum, DType::f32, x.data(), rows, n, s.data(), 0, n); }), 0,
           4.0 * rows * n);
  }
}
