import { layers } from '../../../lib/index.js';
import type { LayerCase } from '../check_layer.js';
import { type Ref, ref, softmax } from '../reference.js';

// Attention by its formula: one query after the other.

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** x [N, length, features] by a kernel [features, heads, size] and its bias: heads of rows. */
function project(x: Ref, kernel: Ref, bias: Ref | undefined, act = (v: number) => v): number[][][][] {
  const [n, length, features] = x.shape as [number, number, number];
  const [, heads, size] = kernel.shape as [number, number, number];
  return range(n).map((batch) =>
    range(heads).map((head) =>
      range(length).map((i) =>
        range(size).map((d) => {
          let sum = bias?.data[head * size + d] ?? 0;
          for (let f = 0; f < features; ++f)
            sum += x.data[(batch * length + i) * features + f]! * kernel.data[(f * heads + head) * size + d]!;
          return act(sum);
        }),
      ),
    ),
  );
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const dot = (a: number[], b: number[]): number => a.reduce((sum, v, i) => sum + v * b[i]!, 0);
const mixed = (shares: number[], rows: number[][]): number[] =>
  rows[0]!.map((_, d) => shares.reduce((sum, share, j) => sum + share * rows[j]![d]!, 0));
const rowsOf = (x: Ref, batch: number): number[][] => {
  const [, length, size] = x.shape as [number, number, number];
  return range(length).map((i) => x.data.slice((batch * length + i) * size, (batch * length + i + 1) * size));
};

interface Heads {
  seen?: (i: number, j: number) => boolean;
  gate?: boolean;
}

/** Projected attention; weights in Keras's order: query, key, [gate], value, output, each with its bias. */
function projected([q, v, k = v]: Ref[], weights: Ref[], { seen = () => true, gate = false }: Heads = {}): Ref {
  const pairs = range(weights.length / 2).map((i) => [weights[2 * i]!, weights[2 * i + 1]!] as const);
  const [queryPair, keyPair] = pairs as [(typeof pairs)[0], (typeof pairs)[0]];
  const [valuePair, outPair] = pairs.slice(gate ? 3 : 2) as [(typeof pairs)[0], (typeof pairs)[0]];
  const [queries, keys, values] = [project(q!, ...queryPair), project(k!, ...keyPair), project(v!, ...valuePair)];
  const gates = gate ? project(q!, ...pairs[2]!, sigmoid) : undefined;
  const [kernel, bias] = outPair;
  const size = bias.data.length;
  const data = queries.flatMap((heads, batch) =>
    range(heads[0]!.length).flatMap((i) => {
      const joined = heads.flatMap((rows, head) => {
        const shared = Math.floor((head * keys[batch]!.length) / heads.length);
        const scale = 1 / Math.sqrt(rows[i]!.length);
        const scores = keys[batch]![shared]!.map((key, j) =>
          seen(i, j) ? scale * dot(rows[i]!, key) : Number.NEGATIVE_INFINITY,
        );
        const out = mixed(softmax(scores), values[batch]![shared]!);
        return gates ? out.map((x, d) => x * gates[batch]![head]![i]![d]!) : out;
      });
      return range(size).map(
        (o) =>
          bias.data[o]! +
          dot(
            joined,
            joined.map((_, d) => kernel.data[d * size + o]!),
          ),
      );
    }),
  );
  return ref(data, [...q!.shape.slice(0, 2), ...kernel.shape.slice(2)]);
}

/** One head without projections, by its scores. */
function plain([q, v, k = v]: Ref[], score: (query: number[], key: number[]) => number): Ref {
  const data = range(q!.shape[0]!).flatMap((batch) =>
    rowsOf(q!, batch).flatMap((query) =>
      mixed(softmax(rowsOf(k!, batch).map((key) => score(query, key))), rowsOf(v!, batch)),
    ),
  );
  return ref(data, [...q!.shape.slice(0, 2), v!.shape[2]!]);
}

const pair = [
  [2, 3, 4],
  [2, 5, 4],
];
const triple = [
  [2, 3, 4],
  [2, 5, 3],
  [2, 5, 4],
];
const sumTanh = (query: number[], key: number[], scale: number): number =>
  query.reduce((sum, x, d) => sum + Math.tanh(scale * (x + key[d]!)), 0);

/** Keys that all move together change nothing: the gradient of their bias is rounding errors around 0, and not compared. */
function built<L extends layers.MultiHeadAttention | layers.GroupQueryAttention>(layer: L, shapes: number[][]): L {
  layer.build(shapes);
  layer.keyDense.bias!.trainable = false;
  return layer;
}

export const attentionCases: Record<string, LayerCase> = {
  'multi-head attention': {
    make: () => built(layers.multiHeadAttention({ numHeads: 2, keyDim: 3 }), pair),
    input: pair,
    reference: projected,
    config: { num_heads: 2, key_dim: 3, value_dim: 3, attention_axes: [1], output_shape: null },
  },
  'multi-head attention with keys, other sizes and a gate': {
    make: () =>
      built(
        layers.multiHeadAttention({ numHeads: 2, keyDim: 3, valueDim: 2, outputShape: [2, 3], useGate: true }),
        triple,
      ),
    input: triple,
    reference: (inputs, weights) => projected(inputs, weights, { gate: true }),
    config: { use_gate: true, output_shape: [2, 3] },
  },
  'multi-head attention in a window': {
    make: () => built(layers.multiHeadAttention({ numHeads: 1, keyDim: 2, slidingWindow: 2 }), pair),
    input: pair,
    reference: (inputs, weights) => projected(inputs, weights, { seen: (i, j) => Math.abs(i - j) < 2 }),
  },
  'multi-head attention with dropout, predicting': {
    make: () => built(layers.multiHeadAttention({ numHeads: 2, keyDim: 3, dropout: 0.5 }), pair),
    input: pair,
    reference: projected,
  },
  'grouped query attention': {
    make: () => built(layers.groupQueryAttention({ headDim: 3, numQueryHeads: 4, numKeyValueHeads: 2 }), pair),
    input: pair,
    reference: projected,
    config: { head_dim: 3, num_query_heads: 4, num_key_value_heads: 2 },
  },
  attention: {
    make: () => layers.attention({ useScale: true }),
    input: triple,
    reference: (inputs, [scale]) => plain(inputs, (query, key) => scale!.data[0]! * dot(query, key)),
    config: { use_scale: true, score_mode: 'dot', dropout: 0, seed: null },
  },
  'attention by sums': {
    make: () => layers.attention({ scoreMode: 'concat', useScale: true }),
    input: pair,
    reference: (inputs, [scale, weight]) =>
      plain(inputs, (query, key) => weight!.data[0]! * sumTanh(query, key, scale!.data[0]!)),
  },
  'additive attention': {
    make: () => layers.additiveAttention(),
    input: pair,
    reference: (inputs, [scale]) =>
      plain(inputs, (query, key) => query.reduce((sum, x, d) => sum + scale!.data[d]! * Math.tanh(x + key[d]!), 0)),
  },
};
