#include "cuda/kernels/attention.cuh"

#include "cuda/kernels/attention_gradient.cuh"
#include "cuda/ops/sizes.h"
#include "cuda/queue.h"
#include "plan/attention_sizes.h"

namespace chainrule::cuda {
namespace {

DeviceAttention attentionOf(const AttentionSizes& s) {
  DeviceAttention a;
  a.n = s.n;
  a.queries = s.queries;
  a.keys = s.keys;
  a.heads = s.heads;
  a.keyHeads = s.keyHeads;
  a.depth = s.depth;
  a.width = s.width;
  a.scale = s.scale;
  a.causal = s.causal;
  a.window = s.window;
  std::copy_n(s.biasStrides, 4, a.biasStrides);
  std::copy_n(s.maskStrides, 4, a.maskStrides);
  return a;
}
void bindInputs(DeviceAttention& a, const AttentionSizes& s, const StepArgs& args) {
  a.query = args.in<float>(0);
  a.key = args.in<float>(1);
  a.value = args.in<float>(2);
  if (s.hasBias) a.bias = args.in<float>(s.biasInput());
  if (s.hasMask) a.mask = args.in<uint8_t>(s.maskInput());
  a.wide = s.depth % 4 == 0 && s.width % 4 == 0 && startAt16({a.query, a.key, a.value});
}

// By how many columns of the result a block holds; more take several blocks.
int64_t columnsOfBlock(int64_t size) { return size <= 64 ? 64 : size <= 128 ? 128 : 256; }
#define CHOOSE_COLUMNS(size, name, math) \
  (size <= 64 ? KERNEL(name##64##math) : size <= 128 ? KERNEL(name##128##math) : KERNEL(name##256##math))
#define CHOOSE(size, name) (tf32 ? CHOOSE_COLUMNS(size, name, Tf32) : CHOOSE_COLUMNS(size, name, Exact))
// Blocks for tiles of `length` queries or keys of each of `heads` heads, and for the `size` columns of the result.
LaunchSize sizeFor(int64_t length, int64_t heads, int64_t size) {
  const int64_t tiles = (length + kAttentionTile - 1) / kAttentionTile, columns = columnsOfBlock(size);
  return {{tiles * heads, (size + columns - 1) / columns},
          {kAttentionThreads},
          (2 * kAttentionTileFloats + 3 * kAttentionTile) * int64_t(sizeof(float))};
}
double scoresOf(const AttentionSizes& s) {
  return double(s.n * s.heads) * double(s.queries) * double(s.keys) * (s.causal ? 0.5 : 1);
}

Lowering lowerAttention(const LowerContext& c) {
  const AttentionSizes s = attentionSizes(c);
  Lowering result{
      .launch = [s, tf32 = c.precision == MatmulPrecision::high, keeps = bool(c.used[1])](const StepArgs& args) {
        Queue& queue = queueOf(args);
        if (s.keys == 0) return queue.fill(args.out<float>(), 0, s.n * s.queries * s.heads * s.width);
        DeviceAttention a = attentionOf(s);
        bindInputs(a, s, args);
        a.output = args.out<float>();
        a.statistics = keeps ? args.out<float>(1) : nullptr;
        queue.launch(CHOOSE(s.width, attention), sizeFor(s.queries, s.n * s.heads, s.width), a);
      }};
  result.flop = 2 * scoresOf(s) * double(s.depth + s.width);
  return result;
}

Lowering lowerAttentionGradient(const LowerContext& c) {
  const AttentionSizes s = attentionSizes(c);
  bool wants[4] = {};
  for (size_t part = 0; part < c.used.size(); ++part) wants[part] = c.used[part];
  const auto launch = [=, tf32 = c.precision == MatmulPrecision::high, query = wants[0], key = wants[1],
                       value = wants[2], scores = wants[3]](const StepArgs& args) {
    Queue& queue = queueOf(args);
    DeviceAttention a = attentionOf(s);
    bindInputs(a, s, args);
    a.kept = args.in<float>(s.inputCount());
    a.result = args.in<float>(s.inputCount() + 1);
    a.arriving = args.in<float>(s.inputCount() + 2);
    a.wide = a.wide && startAt16({a.arriving});
    a.delta = reinterpret_cast<float*>(args.shared);
    if (query) a.dQuery = args.out<float>(0);
    if (key) a.dKey = args.out<float>(1);
    if (value) a.dValue = args.out<float>(2);
    if (scores) a.dScores = args.out<float>(3);
    queue.launch(KERNEL(attentionDelta), threadsFor(s.n * s.queries * s.heads * kWarp), a);
    if (query || scores) {
      queue.launch(CHOOSE(s.depth, attentionQuery), sizeFor(s.queries, s.n * s.heads, s.depth), a);
    }
    if (key) {
      queue.launch(CHOOSE(s.depth, attentionKey), sizeFor(s.keys, s.n * s.keyHeads, s.depth), a);
    }
    if (value) {
      queue.launch(CHOOSE(s.width, attentionValue), sizeFor(s.keys, s.n * s.keyHeads, s.width), a);
    }
  };
  Lowering result{.launch = launch};
  result.flop = 2 * scoresOf(s) * double(3 * s.depth + 2 * s.width);
  result.sharedScratch = size_t(s.n * s.heads * s.queries) * 4;
  return result;
}

#undef CHOOSE
#undef CHOOSE_COLUMNS

constexpr Launcher table[] = {{"attention", lowerAttention}, {"attentionGradient", lowerAttentionGradient}};

}  // namespace

Launchers attentionLaunchers() { return table; }

}  // namespace chainrule::cuda
