import {
  type Argument,
  type Attrs,
  between,
  bool,
  cycle,
  f32,
  type OpCase,
  positionOf,
  type Reference,
  type Values,
  values,
} from '../case.js';

// Attention as Keras's TensorFlow composes it: products, bias, hidden scores replaced by one large negative number, softmax,
// products again, in float64 and without any blocks.

const hidden = Math.fround(3.38953e38 * -0.7);

export const attention: Reference = (inputs, attrs) => {
  const [q, k, v] = inputs as [Values, Values, Values];
  const [n, queries, heads, depth] = q.shape as [number, number, number, number];
  const [, keys, keyHeads, width] = v.shape as [number, number, number, number];
  const bias = attrs.bias ? inputs[3] : undefined;
  const mask = attrs.mask ? inputs[attrs.bias ? 4 : 3] : undefined;
  const window = Number(attrs.slidingWindow ?? 0) || Number.POSITIVE_INFINITY;
  const out = values([n, queries, heads, width]);
  const at = (x: Values, index: number[]): number => x.data[positionOf(x.shape, index)]!;
  for (let batch = 0; batch < n; ++batch) {
    for (let head = 0; head < heads; ++head) {
      const shared = Math.floor(head / (heads / keyHeads));
      for (let i = 0; i < queries; ++i) {
        const scores = Array.from({ length: keys }, (_, j) => {
          const seen =
            (!attrs.causal || j <= i) &&
            Math.abs(i - j) < window &&
            (mask === undefined || at(mask, [batch, head, i, j]) !== 0);
          if (!seen) return hidden;
          const [query, key] = [
            ((batch * queries + i) * heads + head) * depth,
            ((batch * keys + j) * keyHeads + shared) * depth,
          ];
          let sum = 0;
          for (let d = 0; d < depth; ++d) sum += q.data[query + d]! * k.data[key + d]!;
          return sum * Number(attrs.scale ?? 1) + (bias ? at(bias, [batch, head, i, j]) : 0);
        });
        const top = Math.max(...scores);
        const shares = scores.map((score) => Math.exp(score - top));
        const total = shares.reduce((a, b) => a + b, 0);
        for (let d = 0; d < width; ++d) {
          let sum = 0;
          for (let j = 0; j < keys; ++j)
            sum += (shares[j]! / total) * v.data[((batch * keys + j) * keyHeads + shared) * width + d]!;
          out.data[((batch * queries + i) * heads + head) * width + d] = sum;
        }
      }
    }
  }
  return out;
};

const numbers = between(-1, 1);
// One query of the mask sees nothing, others all or a part.
const holes = cycle([1, 1, 0, 1, 0, 1, 1, 0, 1, 1, 1]);

interface Shape {
  about: string;
  queries: number;
  keys: number;
  heads?: number;
  keyHeads?: number;
  depth?: number;
  width?: number;
  attrs?: Attrs;
  bias?: number[];
  mask?: Argument;
  rows?: number[];
  wrt?: number[];
}

function row({ about, queries, keys, heads = 2, keyHeads = heads, depth = 3, width = depth, ...rest }: Shape): OpCase {
  const { bias, mask, attrs, rows = [1, 3], wrt = [0, 1, 2, ...(bias ? [3] : [])] } = rest;
  return {
    op: 'attention',
    about,
    inputs: [
      f32([-1, queries, heads, depth], numbers),
      f32([-1, keys, keyHeads, depth], numbers),
      f32([-1, keys, keyHeads, width], numbers),
      ...(bias ? [f32(bias, numbers)] : []),
      ...(mask ? [mask] : []),
    ],
    attrs: { scale: 1 / Math.sqrt(depth), ...attrs, bias: bias !== undefined, mask: mask !== undefined },
    rows,
    reference: attention,
    exactness: 'norm',
    wrt,
    gradientExactness: 'norm',
  };
}

/** Every `every`-th row of the last axis is all false. */
const blind = (shape: number[], every: number): Argument =>
  bool(shape, (random, index) => {
    const line = Math.floor(index / shape.at(-1)!);
    return line % every === 1 ? 0 : Number(random() < 0.7);
  });

export const attentionCases: OpCase[] = [
  row({ about: 'heads as they are', queries: 5, keys: 7 }),
  // Its share is always 1: query and key have no influence.
  row({ about: 'one query, one key', queries: 1, keys: 1, heads: 1, wrt: [2] }),
  row({ about: 'values of another size, whole panels', queries: 4, keys: 16, depth: 16, width: 32 }),
  // Beyond 64 and 256 columns of a head.
  row({ about: 'wide heads', queries: 3, keys: 5, heads: 1, depth: 70, width: 130, rows: [1] }),
  row({ about: 'very wide heads', queries: 3, keys: 5, heads: 1, depth: 260, width: 300, rows: [1] }),
  row({ about: 'heads share keys', queries: 5, keys: 6, heads: 6, keyHeads: 2, width: 5 }),
  row({ about: 'all heads share one head of keys', queries: 3, keys: 4, heads: 3, keyHeads: 1 }),
  row({ about: 'causal', queries: 9, keys: 9, attrs: { causal: true } }),
  row({ about: 'causal, more queries than keys', queries: 8, keys: 3, attrs: { causal: true } }),
  row({ about: 'a window', queries: 9, keys: 9, attrs: { slidingWindow: 2 } }),
  row({
    about: 'a causal window that leaves queries blind',
    queries: 9,
    keys: 4,
    attrs: { causal: true, slidingWindow: 2 },
  }),
  row({ about: 'a bias for each head', queries: 5, keys: 9, bias: [1, 2, 5, 9] }),
  row({ about: 'a bias that all share, and one of the keys', queries: 5, keys: 9, bias: [-1, 1, 1, 9] }),
  row({ about: 'a bias of the queries changes nothing', queries: 5, keys: 4, bias: [1, 1, 5, 1], wrt: [0, 1, 2] }),
  row({ about: 'a mask of the keys', queries: 5, keys: 9, mask: bool([-1, 1, 1, 9], holes) }),
  // The first sees 40 of them, the second 140, the third none.
  row({
    about: 'a mask that hides the last keys',
    queries: 1,
    keys: 300,
    mask: bool([-1, 1, 1, 300], (_, i) => Number(i < 600 && i % 300 < 40 + Math.floor(i / 300) * 100)),
  }),
  row({
    about: 'a mask that leaves keys in the middle, and with causality some queries blind',
    queries: 70,
    keys: 200,
    mask: bool([-1, 1, 1, 200], (_, i) => Number(i % 200 > 9 && i % 200 < 100)),
    attrs: { causal: true },
    rows: [1],
  }),
  row({ about: 'a mask of the queries', queries: 5, keys: 9, mask: bool([-1, 1, 5, 1], holes) }),
  row({ about: 'a mask that leaves queries blind', queries: 6, keys: 9, mask: blind([-1, 1, 6, 9], 3) }),
  row({
    about: 'bias, mask and causality',
    queries: 7,
    keys: 10,
    bias: [1, 2, 7, 10],
    mask: blind([-1, 2, 7, 10], 4),
    attrs: { causal: true },
  }),
  // Beyond one block of queries (64) and of keys (128).
  row({
    about: 'few queries that share keys, blocks of keys',
    queries: 2,
    keys: 270,
    keyHeads: 1,
    width: 19,
    rows: [1],
  }),
  row({ about: 'blocks of queries and keys', queries: 67, keys: 270, heads: 1, rows: [2] }),
  row({ about: 'blocks, causal', queries: 150, keys: 150, heads: 1, attrs: { causal: true }, rows: [1] }),
  row({
    about: 'blocks, a causal window',
    queries: 200,
    keys: 200,
    heads: 1,
    depth: 2,
    attrs: { causal: true, slidingWindow: 5 },
    rows: [1],
  }),
  row({
    about: 'blocks, causal with blind queries',
    queries: 140,
    keys: 140,
    heads: 2,
    keyHeads: 1,
    depth: 2,
    mask: blind([1, 1, 140, 140], 5),
    attrs: { causal: true },
    rows: [1],
  }),
];
