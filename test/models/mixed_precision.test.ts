import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import {
  type Batch,
  functional,
  getDtypePolicy,
  gradients,
  input,
  layers,
  loadModel,
  type Model,
  NDArray,
  optimizers,
  Sequential,
  type StepContext,
  sequential,
  setDtypePolicy,
  setRandomSeed,
  type Tensor,
  trace,
  valueAndGrad,
} from '../../lib/index.js';
import { nearestBfloat16 } from '../ops/cases/bfloat16.js';
import { bits, wave } from './quantized.js';

// Models of the policy mixedBfloat16. Each layer by itself is checked in test/layers.

const folder = mkdtempSync(join(tmpdir(), 'chainrule-mixed-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => setDtypePolicy('float32'));

const isHalf = (value: number): boolean => Object.is(nearestBfloat16(value), value);

const kinds: Record<string, [make: () => Model, x: NDArray]> = {
  dense: [
    () =>
      sequential([
        layers.dense({ units: 16, activation: 'relu', inputShape: [12] }),
        layers.layerNormalization(),
        layers.dropout({ rate: 0.2 }),
        layers.dense({ units: 3, activation: 'softmax', dtype: 'float32' }),
      ]),
    wave([24, 12], 1),
  ],
  convolutional: [
    () =>
      sequential([
        layers.conv2d({ filters: 8, kernelSize: 3, padding: 'same', inputShape: [8, 8, 3] }),
        layers.batchNormalization(),
        layers.activation({ activation: 'relu' }),
        layers.maxPooling2d(),
        layers.globalAveragePooling2d(),
        layers.dense({ units: 3, activation: 'softmax', dtype: 'float32' }),
      ]),
    wave([24, 8, 8, 3], 1),
  ],
  attention: [
    () => {
      const x = input({ shape: [6, 16] });
      const y = layers.multiHeadAttention({ numHeads: 2, keyDim: 8 }).apply(x, { value: x });
      const z = layers.globalAveragePooling1d().apply(layers.layerNormalization().apply(layers.add().apply([x, y])));
      const out = layers.dense({ units: 3, activation: 'softmax', dtype: 'float32' }).apply(z);
      return functional({ inputs: x, outputs: out }) as Model;
    },
    wave([24, 6, 16], 1),
  ],
};

const labels = Int32Array.from({ length: 24 }, (_, i) => (i * 7) % 3);

describe.each(Object.entries(kinds))('a %s network', (_name, [make, x]) => {
  const compiled = (policy: 'float32' | 'mixedBfloat16'): Model => {
    setDtypePolicy(policy);
    setRandomSeed(3);
    const model = make();
    model.compile({ optimizer: optimizers.sgd({ learningRate: 0.1 }), loss: 'sparseCategoricalCrossentropy' });
    return model;
  };

  test('learns as in float32, nearly, and keeps its weights in float32', async () => {
    const [mixed, plain] = [compiled('mixedBfloat16'), compiled('float32')];
    await mixed.setWeights(await plain.getWeights());
    const options = { batchSize: 8, epochs: 4, shuffle: false, verbose: 0 } as const;
    const [got, want] = [await mixed.fit(x, labels, options), await plain.fit(x, labels, options)];
    got.history.loss!.forEach((loss, i) => {
      expect(Math.abs(loss - want.history.loss![i]!)).toBeLessThan(0.02);
    });
    expect(got.history.loss).not.toEqual(want.history.loss);
    const weights = await mixed.getWeights();
    expect(new Set(mixed.weights.map(({ dtype }) => dtype))).toEqual(new Set(['float32']));
    expect(weights.some(({ data }) => !data.every(isHalf))).toBe(true);
    const { loss } = await mixed.evaluate(x, labels, { verbose: 0 });
    expect(Number.isFinite(loss)).toBe(true);
  });

  test('predicts a row the same in any batch, and after it is saved', async () => {
    const model = compiled('mixedBfloat16');
    await model.fit(x, labels, { epochs: 1, verbose: 0 });
    const all = await model.predict(x, { batchSize: 24 });
    expect(bits(await model.predict(x.rows(5, 6)))).toEqual(bits(all.rows(5, 6)));
    expect([...model.predictSync(x.rows(5, 6).data)]).toEqual([...all.rows(5, 6).data]);
    const path = join(folder, 'model.keras');
    await model.save(path);
    setDtypePolicy('float32');
    const loaded = await loadModel(path);
    expect(loaded.layers.map(({ dtype }) => dtype)).toEqual(model.layers.map(({ dtype }) => dtype));
    expect(bits(await loaded.predict(x))).toEqual(bits(all));
    const [again, further] = [loaded, model];
    const step = { epochs: 1, shuffle: false, verbose: 0 } as const;
    if (model.layers.some(({ className }) => className === 'Dropout')) return; // draws go on in one, begin in the other
    await again.fit(x, labels, step);
    await further.fit(x, labels, step);
    expect(bits(await again.predict(x))).toEqual(bits(await further.predict(x)));
  });
});

test('what layers give is rounded, and a layer of float32 takes it as it is', async () => {
  setDtypePolicy('mixedBfloat16');
  expect(getDtypePolicy()).toBe('mixedBfloat16');
  const x = input({ shape: [20] });
  const hidden = layers.dense({ units: 30, activation: 'tanh' }).apply(x);
  expect(hidden.dtype).toBe('bfloat16');
  const out = layers.dense({ units: 4, dtype: 'float32' }).apply(hidden);
  expect(out.dtype).toBe('float32');
  const model = functional({ inputs: x, outputs: [hidden, out] });
  const [first, second] = (await model.predict(wave([3, 20], 1))) as unknown as NDArray[];
  expect([first!.dtype, second!.dtype]).toEqual(['bfloat16', 'float32']);
  expect(first!.data.every(isHalf)).toBe(true);
  expect(second!.data.every(isHalf)).toBe(false);
});

test('predictions are inputs of other models', async () => {
  const first = sequential([layers.dense({ units: 4, inputShape: [3], dtype: 'mixedBfloat16' })]);
  const second = sequential([layers.dense({ units: 2, inputShape: [4] })]);
  second.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
  const hidden = await first.predict(wave([5, 3], 1));
  expect(hidden.dtype).toBe('bfloat16');
  expect((await second.predict(hidden)).shape).toEqual([5, 2]);
  const { history } = await second.fit(hidden, wave([5, 2], 2), { verbose: 0 });
  expect(Number.isFinite(history.loss![0]!)).toBe(true);
  const twice = trace((x: Tensor) => x.mul(2).add(hidden), { batch: false });
  expect([...((await twice.run(hidden as never)) as { data: Float32Array }).data]).toEqual([
    ...hidden.data.map((v) => 3 * v),
  ]);
  await expect(
    second.predict(
      new NDArray(
        hidden.data.map(() => Number.NaN),
        [5, 4],
        'bfloat16',
      ),
    ),
  ).rejects.toThrow(/NaN/);
});

test('updates too small for bfloat16 add up in the weights', async () => {
  const model = sequential([
    layers.dense({ units: 1, useBias: false, kernelInitializer: 'ones', inputShape: [1], dtype: 'mixedBfloat16' }),
  ]);
  model.compile({ optimizer: optimizers.sgd({ learningRate: 2 ** -11 }), loss: (_y, pred) => pred });
  const x = new NDArray(Float32Array.of(1), [1, 1]);
  // A step of 1/2048 is an eighth of the distance to the next bfloat16 below 1.
  for (let i = 0; i < 3; i++) await model.fit(x, x, { verbose: 0 });
  expect([...(await model.getWeights())[0]!.data]).toEqual([1 - 3 * 2 ** -11]);
});

test('ops on what layers give compute in float32', async () => {
  setDtypePolicy('mixedBfloat16');
  const layer = layers.dense({ units: 4 });
  const step = trace((x: Tensor) => {
    const y = layer.apply(x);
    return { y, sum: y.sum(), more: y.add(2 ** -20), best: y.max(-1) };
  });
  const { y, sum, more, best } = (await step.run(wave([2, 3], 1) as never)) as unknown as Record<string, NDArray>;
  expect(more!.data[0]).toBe(Math.fround(y!.data[0]! + 2 ** -20));
  expect(best!.data[1]).toBe(Math.max(...y!.data.slice(4)));
  expect(sum!.dtype).toBe('float32');
});

test('a symbolic op on them is recorded as it is, and saved', async () => {
  setDtypePolicy('mixedBfloat16');
  const x = input({ shape: [5] });
  const a = layers.dense({ units: 4 }).apply(x);
  const b = layers.dense({ units: 4 }).apply(x);
  const model = functional({ inputs: x, outputs: a.add(b) });
  const path = join(folder, 'op.keras');
  await model.save(path);
  const data = wave([3, 5], 2);
  expect(bits(await (await loadModel(path)).predict(data))).toEqual(bits(await model.predict(data)));
});

describe('gradients of what layers give', () => {
  const make = () => {
    setDtypePolicy('mixedBfloat16');
    const layer = layers.dense({ units: 3, kernelInitializer: 'ones' });
    layer.build([null, 2]);
    return layer;
  };
  const x = new NDArray(Float32Array.of(1, 2, 3, 4), [2, 2]);

  test('as the loss, as the output and as its weights', async () => {
    const layer = make();
    const step = trace((t: Tensor) => {
      const y = layer.apply<Tensor>(t);
      const { value, grads } = valueAndGrad(() => layer.apply<Tensor>(t), layer.trainableWeights);
      const [plain] = gradients(y, layer.trainableWeights);
      const [seeded] = gradients(y, layer.trainableWeights, y);
      const [toInput] = gradients(y, [t]);
      const [toItself] = gradients(y.mul(2), [y]);
      return { dtype: value, mean: grads[0]!, plain: plain!, seeded: seeded!, toInput: toInput!, toItself: toItself! };
    });
    const out = (await step.run(x as never)) as unknown as Record<string, NDArray>;
    expect(out.dtype!.dtype).toBe('float32');
    expect(out.dtype!.data[0]).toBe(5);
    expect([...out.plain!.data]).toEqual([4, 4, 4, 6, 6, 6]);
    expect([...out.seeded!.data]).toEqual([24, 24, 24, 34, 34, 34]);
    expect([...out.mean!.data]).toEqual([4, 4, 4, 6, 6, 6].map((v) => Math.fround(v * Math.fround(1 / 6))));
    expect([...out.toInput!.data]).toEqual([3, 3, 3, 3]);
    expect([...out.toItself!.data]).toEqual([2, 2, 2, 2, 2, 2]);
  });

  test("in a training step of one's own", async () => {
    class Own extends Sequential {
      override trainStep({ x: rows }: Batch, step: StepContext): Record<string, Tensor> {
        return { loss: step.minimize(() => this.apply<Tensor>(rows as Tensor, { training: true })) };
      }
    }
    setDtypePolicy('mixedBfloat16');
    const model = new Own([layers.dense({ units: 1, kernelInitializer: 'ones', inputShape: [2] })]);
    model.compile({ optimizer: optimizers.sgd({ learningRate: 0.5 }) });
    const { history } = await model.fit(x, undefined, { batchSize: 2, verbose: 0 });
    expect(history.loss).toEqual([5]);
    expect([...(await model.getWeights())[0]!.data]).toEqual([0, -0.5]);
  });
});

describe('other policies', () => {
  test.each(['float16', 'mixed_float16', 'bfloat16', 'float64'])('%s is refused', (name) => {
    expect(() => setDtypePolicy(name as never)).toThrow(/dtype "\w+" is not supported; layers compute in float32, or/);
    expect(() => layers.dense({ units: 1, dtype: name })).toThrow(/Dense: dtype "\w+" is not supported/);
  });

  test('what is no name is refused, too', () => {
    for (const policy of [undefined, null, 16, {}])
      expect(() => setDtypePolicy(policy as never)).toThrow(/setDtypePolicy: the policy is 'float32' or .*got /);
    expect(() => layers.dense({ units: 1, dtype: {} as never })).toThrow(
      /dtype an object with nothing is not supported/,
    );
    expect(() => layers.dense({ units: 1, dtype: 5 as never })).toThrow(/dtype 5 is not supported/);
    expect(layers.dense({ units: 1, dtype: null as never }).dtype).toBe('float32');
  });

  test('int8 is not made of a mixed layer', async () => {
    const model = sequential([layers.dense({ units: 2, inputShape: [2], dtype: 'mixedBfloat16' })]);
    await expect(model.quantize('int8')).rejects.toThrow(
      /has the dtype mixed_bfloat16; int8 is made of layers of float32/,
    );
    const x = wave([3, 2], 1);
    const before = await model.predict(x);
    await model.quantize('bfloat16');
    expect(bits(await model.predict(x))).toEqual(bits(before));
  });
});

describe('what is told apart by more digits than bfloat16 has', () => {
  test.each([
    ['numbers', [257, 511, 1001, 2999]],
    ['a Float32Array', new NDArray(Float32Array.of(257, 511, 1001, 2999), [4, 1])],
  ])('ids of an embedding, as %s', async (_kind, ids) => {
    const make = (dtype: string): Model =>
      sequential([layers.embedding({ inputDim: 3000, outputDim: 4, dtype, inputShape: [1] })]);
    const [mixed, plain] = [make('mixedBfloat16'), make('float32')];
    await mixed.setWeights(await plain.getWeights());
    const rows = Array.isArray(ids) ? ids.map((id) => [id]) : ids;
    const [got, want] = [await mixed.predict(rows), await plain.predict(rows)];
    expect([...got.data]).toEqual(Array.from(want.data, nearestBfloat16));
    expect(new Set(got.data).size).toBeGreaterThan(4);
  });

  test.each([
    ['an Int32Array', Int32Array, 'mixedBfloat16'],
    ['a Float32Array, reshaped in float32', Float32Array, 'float32'],
  ])('ids that are reshaped before, as %s', async (_kind, Numbers, dtype) => {
    const model = sequential([
      layers.reshape({ targetShape: [2, 1], dtype, inputShape: [2] }),
      layers.embedding({ inputDim: 3000, outputDim: 1, dtype: 'mixedBfloat16' }),
    ]);
    const table = (await model.getWeights())[0]!.data;
    const got = await model.predict(new NDArray(Numbers.of(257, 2999) as Float32Array, [1, 2]));
    expect([...got.data]).toEqual([257, 2999].map((id) => nearestBfloat16(table[id]!)));
  });

  test('ids that are reshaped before, as numbers for an input of integers', async () => {
    const ids = input({ shape: [2], dtype: 'int32' });
    const rows = layers.reshape({ targetShape: [2, 1], dtype: 'mixedBfloat16' }).apply(ids);
    const outputs = layers.embedding({ inputDim: 3000, outputDim: 1, dtype: 'mixedBfloat16' }).apply(rows);
    const model = functional({ inputs: ids, outputs });
    const table = (await model.getWeights())[0]!.data;
    const got = await model.predict([[257, 2999]]);
    expect([...got.data]).toEqual([257, 2999].map((id) => nearestBfloat16(table[id]!)));
  });

  test('bins and categories', async () => {
    const x = [[1000.5], [1001.5], [1002.5]];
    const binned = sequential([
      layers.discretization({ binBoundaries: [1001, 1002], dtype: 'mixedBfloat16', inputShape: [1] }),
    ]);
    expect([...(await binned.predict(x)).data]).toEqual([0, 1, 2]);
    const encoded = sequential([
      layers.categoryEncoding({ numTokens: 600, outputMode: 'oneHot', dtype: 'mixedBfloat16', inputShape: [1] }),
    ]);
    expect((await encoded.predict([[511]])).data.indexOf(1)).toBe(511);
  });

  test.each([-999, 0.1])('steps of the mask value %d are masked', async (maskValue) => {
    const model = sequential([layers.masking({ maskValue, dtype: 'mixedBfloat16', inputShape: [3, 2] })]);
    const row = [
      [maskValue, maskValue],
      [1, maskValue],
      [2, 3],
    ];
    const kept = (await model.predict([row])).data;
    expect([...kept.slice(0, 2)]).toEqual([0, 0]);
    expect([...kept.slice(2)]).toEqual([1, nearestBfloat16(maskValue), 2, 3]);
  });
});
