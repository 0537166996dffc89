import { describe, expect, test } from 'vitest';
import {
  compute,
  functional,
  gradients,
  input,
  layers,
  NDArray,
  ops,
  setRandomSeed,
  type Tensor,
} from '../../lib/index.js';

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const numbers = (shape: number[], seed = 0): NDArray =>
  new NDArray(
    Float32Array.from(range(shape.reduce((a, b) => a * b, 1)), (i) => Math.fround(Math.sin(i * 12.9898 + seed + 1))),
    shape,
  );
const flags = (shape: number[], text: string): NDArray<Uint8Array> =>
  new NDArray(Uint8Array.from(text, Number), shape, 'bool');

/** Largest difference over the largest value. */
function apart(a: NDArray, b: NDArray): number {
  expect(a.shape).toEqual(b.shape);
  const scale = Math.max(...b.data.map(Math.abs));
  return Math.max(...a.data.map((value, i) => Math.abs(value - b.data[i]!))) / scale;
}

describe('one op and the composition agree', () => {
  const x = numbers([2, 6, 8]);
  const y = numbers([2, 5, 8], 3);
  // Every query sees some key: without one, the two differ as in Keras.
  const valueMask = flags([2, 5], '1101110011');
  const attentionMask = flags(
    [1, 6, 5],
    range(30)
      .map((i) => (i % 4 === 3 ? 0 : 1))
      .join(''),
  );
  const calls: [string, object][] = [
    ['plain', {}],
    ['causal', { useCausalMask: true }],
    ['a mask of the values', { valueMask }],
    ['masks and causality', { valueMask, attentionMask, useCausalMask: true }],
  ];
  const makes = {
    'multi-head': () => layers.multiHeadAttention({ numHeads: 2, keyDim: 4 }),
    'multi-head in a window': () => layers.multiHeadAttention({ numHeads: 2, keyDim: 4, slidingWindow: 4 }),
    'grouped query': () => layers.groupQueryAttention({ headDim: 4, numQueryHeads: 4, numKeyValueHeads: 2 }),
  };

  test.each(
    Object.entries(makes).flatMap(([name, make]) => calls.map(([about, call]) => ({ name, make, about, call }))),
  )('$name, $about', async ({ make, call }) => {
    setRandomSeed(3);
    const layer = make();
    // Only the composition can return the scores.
    const results = await compute(() => {
      const [query, value] = [ops.cast(x, 'float32'), ops.cast(y, 'float32')];
      const once = layer.apply(query, { value, ...call });
      const [composed, scores] = layer.apply<[Tensor, Tensor]>(query, { value, ...call, returnAttentionScores: true });
      const down = (out: Tensor): Tensor[] =>
        gradients(ops.sum(out.mul(numbers([2, 6, 8], 5))), [
          query,
          value,
          layer.queryDense.kernel,
          layer.keyDense.kernel,
        ]).map((gradient) => gradient!);
      return { once, composed, total: ops.sum(scores, { axis: -1 }), first: down(once), second: down(composed) };
    });
    expect(apart(results.once, results.composed)).toBeLessThan(4e-6);
    for (const total of results.total.data) expect(total).toBeCloseTo(1, 5);
    for (const [i, gradient] of results.first.entries()) expect(apart(gradient, results.second[i]!)).toBeLessThan(8e-6);
  });
});

test('a query without keys takes the mean of all values, and nothing where scores are asked for', async () => {
  const layer = layers.groupQueryAttention({ headDim: 2, numQueryHeads: 1, numKeyValueHeads: 1, useBias: false });
  const x = numbers([1, 3, 2]);
  const queryMask = flags([1, 3], '101');
  const [once, composed, projected] = await compute(() => {
    const query = ops.cast(x, 'float32');
    const [out] = layer.apply<[Tensor, Tensor]>(query, { value: query, queryMask, returnAttentionScores: true });
    const mean = ops.mean(query, { axis: 1, keepdims: true });
    return [
      layer.apply(query, { value: query, queryMask }),
      out,
      layer.outputDense.apply(layer.valueDense.apply(mean)),
    ] as const;
  });
  const row = (array: NDArray, i: number) => [...array.data.subarray(i * 2, i * 2 + 2)];
  for (const [i, value] of row(once, 1).entries()) expect(value).toBeCloseTo(row(projected, 0)[i]!, 6);
  expect(row(composed, 1).map(Math.abs)).toEqual([0, 0]);
  expect(row(once, 0)).not.toEqual(row(projected, 0));
});

test('masks of layers above are used and go on', async () => {
  setRandomSeed(1);
  const ids = input({ shape: [5], dtype: 'int32' });
  const embedded = layers.embedding({ inputDim: 9, outputDim: 4, maskZero: true }).apply(ids);
  const attended = layers.multiHeadAttention({ numHeads: 2, keyDim: 2 }).apply(embedded, { value: embedded });
  const model = functional({ inputs: ids, outputs: layers.globalAveragePooling1d().apply(attended) });
  // What stands behind the end of a sequence is neither seen nor averaged.
  const short = new NDArray(Int32Array.of(3, 4, 5, 0, 0), [1, 5]);
  const inner = functional({ inputs: ids, outputs: [embedded, attended] });
  const [, rows] = (await inner.predict(short)) as [NDArray, NDArray];
  const pooled = await model.predict(short);
  range(4).forEach((d) => {
    const mean = (rows.data[d]! + rows.data[4 + d]! + rows.data[8 + d]!) / 3;
    expect(pooled.data[d]).toBeCloseTo(mean, 6);
  });
});

test('attention masks values, and zeroes queries that do not count', async () => {
  const layer = layers.attention();
  const [q, v] = [numbers([1, 3, 2]), numbers([1, 4, 2], 2)];
  const out = await compute(() =>
    layer.apply([ops.cast(q, 'float32'), ops.cast(v, 'float32')], {
      mask: [ops.cast(flags([1, 3], '110'), 'bool'), ops.cast(flags([1, 4], '1000'), 'bool')],
    }),
  );
  expect([...out.data]).toEqual([v.data[0], v.data[1], v.data[0], v.data[1], 0, 0]);
});

test('causal attention of the first query is the first value', async () => {
  const layer = layers.additiveAttention();
  const x = numbers([2, 3, 2]);
  const [out, scores] = await compute(() => {
    const tensor = ops.cast(x, 'float32');
    return layer.apply<[Tensor, Tensor]>([tensor, tensor], { useCausalMask: true, returnAttentionScores: true });
  });
  expect([...out!.data.subarray(0, 2)]).toEqual([...x.data.subarray(0, 2)]);
  expect([...scores!.data.subarray(0, 3)]).toEqual([1, 0, 0]);
});

test('dropout drops shares in training only', async () => {
  setRandomSeed(2);
  const layer = layers.multiHeadAttention({ numHeads: 1, keyDim: 4, dropout: 0.5 });
  const x = numbers([2, 8, 4]);
  const run = (training: boolean) =>
    compute(() => {
      const query = ops.cast(x, 'float32');
      return layer.apply(query, { value: query, training });
    });
  const [rest, again, dropped] = [await run(false), await run(false), await run(true)];
  expect(again.data).toEqual(rest.data);
  expect(apart(dropped, rest)).toBeGreaterThan(0.01);
});

test('attention along chosen axes looks along those alone', async () => {
  setRandomSeed(4);
  const layer = layers.multiHeadAttention({ numHeads: 2, keyDim: 3, attentionAxes: 2 });
  const x = numbers([1, 2, 4, 5]);
  const changed = numbers([1, 2, 4, 5]);
  changed.data[0]! += 1;
  const run = (array: NDArray) =>
    compute(() => {
      const query = ops.cast(array, 'float32');
      return layer.apply(query, { value: query });
    });
  const [a, b] = [await run(x), await run(changed)];
  expect(a.shape).toEqual([1, 2, 4, 5]);
  expect(b.data.subarray(20)).toEqual(a.data.subarray(20));
  expect(b.data.subarray(0, 20)).not.toEqual(a.data.subarray(0, 20));
});

test('a file says what it was built for', () => {
  const [q, v] = [input({ shape: [3, 4] }), input({ shape: [5, 6] })];
  const layer = layers.multiHeadAttention({ numHeads: 2, keyDim: 2 });
  layer.apply(q, { value: v });
  const shapes = { query_shape: [null, 3, 4], value_shape: [null, 5, 6] };
  expect(layer.savedBeside()).toEqual({ build_config: { shapes_dict: shapes } });
  expect(layer.weights.map(({ path }) => path.split('/').slice(-2).join('/'))).toEqual(
    ['query', 'key', 'value', 'attention_output'].flatMap((name) => [`${name}/kernel`, `${name}/bias`]),
  );
});

describe('what is refused', () => {
  const x = () => input({ shape: [3, 4] });
  test.each([
    ['no value', () => layers.multiHeadAttention({ numHeads: 2, keyDim: 2 }).apply(x()), /needs a query and a value/],
    [
      'a key of another length',
      () => layers.multiHeadAttention({ numHeads: 2, keyDim: 2 }).apply([x(), x(), input({ shape: [2, 4] })]),
      /may differ in the last dimension only/,
    ],
    ['no heads', () => layers.multiHeadAttention({ numHeads: 0, keyDim: 2 }), /numHeads must be an integer >= 1/],
    [
      'heads that do not divide',
      () => layers.groupQueryAttention({ headDim: 2, numQueryHeads: 3, numKeyValueHeads: 2 }),
      /must be a multiple/,
    ],
    ['one tensor', () => layers.attention().apply(x()), /\[query, value\]/],
    ['a score that is not known', () => layers.attention({ scoreMode: 'sum' as 'dot' }), /"dot" or "concat"/],
    ['three dimensions', () => ops.dotProductAttention(x(), x(), x()), /\[N, length, heads, size\]/],
  ])('%s', (_name, make, message) => {
    expect(make).toThrow(message);
  });
});
