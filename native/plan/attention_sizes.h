#pragma once

#include "plan/backend.h"

namespace chainrule {

// Attention's attributes, sizes and operands, for every backend.
struct AttentionSizes {
  int64_t n = 0, queries = 0, keys = 0;
  int64_t heads = 0, keyHeads = 0;
  int64_t depth = 0, width = 0;  // of a query and key, of a value
  float scale = 1;
  bool causal = false, hasBias = false, hasMask = false;
  int64_t window = 0;  // keys at most window - 1 away, 0: all
  // Of bias and mask, [batch][head][query][key]; 0 where they are shared.
  int64_t biasStrides[4] = {}, maskStrides[4] = {};

  int64_t group() const { return heads / keyHeads; }  // query heads that share one head of keys

  // Inputs: query, key, value, [bias], [mask]; those of the gradient go on with statistics, output, its gradient.
  int biasInput() const { return 3; }
  int maskInput() const { return 3 + hasBias; }
  int inputCount() const { return maskInput() + hasMask; }
};

// What is known while tracing, and with the sizes of a plan.
inline AttentionSizes attentionSizes(const Attrs& attrs) {
  AttentionSizes a;
  a.scale = float(attrs.real("scale", 1));
  a.causal = attrs.integer("causal", 0) != 0;
  a.window = attrs.integer("slidingWindow", 0);
  a.hasBias = attrs.integer("bias", 0) != 0;
  a.hasMask = attrs.integer("mask", 0) != 0;
  return a;
}
inline AttentionSizes attentionSizes(const LowerContext& c) {
  AttentionSizes a = attentionSizes(c.attrs());
  const Dims &q = c.in[0].dims, &v = c.in[2].dims;
  a.n = q[0];
  a.queries = q[1];
  a.heads = q[2];
  a.depth = q[3];
  a.keys = v[1];
  a.keyHeads = v[2];
  a.width = v[3];
  const auto broadcastStrides = [](const Dims& dims, int64_t* strides) {
    int64_t stride = 1;
    for (int i = 3; i >= 0; --i) {
      strides[i] = dims[i] == 1 ? 0 : stride;
      stride *= dims[i];
    }
  };
  if (a.hasBias) broadcastStrides(c.in[size_t(a.biasInput())].dims, a.biasStrides);
  if (a.hasMask) broadcastStrides(c.in[size_t(a.maskInput())].dims, a.maskStrides);
  return a;
}

}  // namespace chainrule
