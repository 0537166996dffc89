#include "ops/attention.h"

#include "ops/registry.h"
#include "ops/shape_rules.h"

// softmax(scale q k^T + bias, where mask) v, head by head
// (https://keras.io/api/ops/nn/#dot_product_attention-function): query [n, queries, heads, depth], key [n, keys,
// keyHeads, depth], value [n, keys, keyHeads, width], keyHeads dividing heads; bias (float32) and mask (bool) of four
// dimensions broadcast to [n, heads, queries, keys]. Attributes: scale, causal, slidingWindow, and which optional
// inputs there are: bias, mask.

namespace chainrule::ops {
namespace {

void expectBroadcast(const InferContext& c, int input, const char* what, const Shape& scores) {
  expectRank(c, input, 4);
  const Shape& shape = c.in[size_t(input)].shape;
  for (int i = 0; i < 4; ++i) {
    if (!shape[i].isOne() && !(shape[i] == scores[i]))
      fail("SHAPE", "the ", what, " must broadcast to ", toString(scores), ", got ", toString(shape));
  }
}

std::vector<ValueType> infer(const InferContext& c) {
  const AttentionSizes a = attentionSizes(c.attrs);
  if (int(c.in.size()) != a.inputCount()) fail("INTERNAL", "takes ", a.inputCount(), " inputs, got ", c.in.size());
  for (int i = 0; i < 3 + a.hasBias; ++i) expectDType(c, i, DType::f32);
  for (int i = 0; i < 3; ++i) expectRank(c, i, 4);
  const Shape &q = c.in[0].shape, &k = c.in[1].shape, &v = c.in[2].shape;
  const auto differs = [&](const char* why) {
    fail("SHAPE", why, ": query ", toString(q), ", key ", toString(k), ", value ", toString(v));
  };
  for (const Shape* shape : {&q, &k, &v}) {
    for (int i = 1; i < 4; ++i) {
      if ((*shape)[i].perBatch) differs("only the first dimension may be the batch");
    }
  }
  if (!(q[0] == k[0]) || !(k[0] == v[0])) differs("the batches differ");
  if (!(k[1] == v[1]) || !(k[2] == v[2])) differs("key and value must have the same length and heads");
  if (!(q[3] == k[3])) differs("query and key must have heads of the same size");
  if (k[2].value == 0 || q[2].value % k[2].value != 0) differs("the heads of keys must divide those of queries");
  const Shape scores = {q[0], q[2], q[1], k[1]};
  if (a.hasBias) expectBroadcast(c, a.biasInput(), "bias", scores);
  if (a.hasMask) {
    expectDType(c, a.maskInput(), DType::boolean);
    expectBroadcast(c, a.maskInput(), "mask", scores);
  }
  return {typeOf(DType::f32, {q[0], q[1], q[2], v[3]}), typeOf(DType::f32, {q[0], q[2], Dim(2), q[1]})};
}

// Parts: gradients of query, key, value and [of the scores, from which that of a bias is summed].
std::vector<ValueType> inferGradient(const InferContext& c) {
  const Shape &q = c.in[0].shape, &k = c.in[1].shape;
  std::vector<ValueType> parts;
  for (int i = 0; i < 3; ++i) parts.push_back(typeOf(DType::f32, c.in[size_t(i)].shape));
  if (attentionSizes(c.attrs).hasBias) parts.push_back(typeOf(DType::f32, {q[0], q[2], q[1], k[1]}));
  return parts;
}

std::vector<ValueId> gradient(GradientContext& c) {
  const Node node = c.graph.nodes[c.node];
  const AttentionSizes a = attentionSizes(node.attrs);
  if (c.outGradients[1] != kNone) fail("NO_GRADIENT", "attention has no second derivative");
  std::vector<ValueId> inputs = node.inputs;
  inputs.push_back(node.first + 1);
  inputs.push_back(node.first);
  inputs.push_back(c.outGradients[0]);
  std::vector<ValueId> made = c.graph.add("attentionGradient", std::move(inputs), node.attrs);
  if (a.hasMask) made.push_back(kNone);
  return made;
}

const OpDef table[] = {
    {.name = "attention",
     .minInputs = 3,
     .maxInputs = 5,
     .infer = infer,
     .gradient = gradient,
     .lower = lowerAttention},
    {.name = "attentionGradient",
     .minInputs = 6,
     .maxInputs = 8,
     .infer = inferGradient,
     .lower = lowerAttentionGradient},
};

}  // namespace

std::span<const OpDef> attentionOps() { return table; }

cpu::AttentionTile Attention::tile(int64_t batch, int64_t head, int64_t query, int64_t key, const float* bias,
                                   const uint8_t* mask) const {
  cpu::AttentionTile tile;
  tile.rows = std::min(cpu::kAttentionRows, queries - query);
  tile.keys = std::min(cpu::kAttentionKeys, keys - key);
  tile.stride = tileColumns();
  tile.scale = scale;
  const auto start = [&](const int64_t* s) { return batch * s[0] + head * s[1] + query * s[2] + key * s[3]; };
  if (hasBias) {
    tile.bias = bias + start(biasStrides);
    tile.biasRow = biasStrides[2];
    tile.biasKey = biasStrides[3];
  }
  if (hasMask) {
    tile.mask = mask + start(maskStrides);
    tile.maskRow = maskStrides[2];
    tile.maskKey = maskStrides[3];
  }
  const int64_t shift = query - key, reach = window == 0 ? queries + keys : window;
  tile.bandBegin = shift - reach + 1;
  tile.bandEnd = shift + (causal ? 1 : reach);
  return tile;
}

}  // namespace chainrule::ops
