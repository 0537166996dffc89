import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  cloneModel,
  functional,
  input,
  layers,
  type Model,
  NDArray,
  ops,
  sequential,
  setRandomSeed,
  type Tensor,
  trace,
  valueAndGrad,
} from '../../lib/index.js';
import { liveBytes } from './live_bytes.js';
import { bits, expectNumbers, setAll, wave } from './quantized.js';

type Reference = Record<'dense' | 'einsum' | 'embedding', { weights: number[][]; outputs: number[] }>;
const { int8: reference } = JSON.parse(readFileSync(join(__dirname, 'keras-reference.json'), 'utf8')) as {
  int8: Reference;
};

describe('real Keras', () => {
  test.each([
    [
      'dense',
      () => sequential([layers.dense({ units: 19, activation: 'relu', inputShape: [37] }), layers.dense({ units: 5 })]),
      () => wave([6, 37], 0, 3),
    ],
    [
      'einsum',
      () =>
        sequential([
          layers.einsumDense({
            equation: 'abc,cde->abde',
            outputShape: [null, 2, 7],
            biasAxes: 'de',
            inputShape: [3, 10],
          }),
        ]),
      () => wave([4, 3, 10], 0, 3),
    ],
    [
      'embedding',
      () => sequential([layers.embedding({ inputDim: 9, outputDim: 21, inputShape: [4] })]),
      () =>
        new NDArray(
          Int32Array.from({ length: 12 }, (_, i) => i % 9),
          [3, 4],
        ),
    ],
  ] as const)('%s: weights, scales and outputs to the last bit', async (name, make, x) => {
    const model = await setAll(make());
    await model.quantize('int8');
    const weights = await model.getWeights();
    expect(weights.map((array) => (array.dtype === 'float32' ? bits(array) : [...array.data]))).toEqual(
      reference[name].weights,
    );
    expect(bits(await model.predict(x()))).toEqual(reference[name].outputs);
  });
});

/** Two dense layers that are wide enough for the panels to have a rest, and for several threads. */
function wide(): Promise<Model> {
  setRandomSeed(5);
  const model = sequential([
    layers.dense({ units: 100, activation: 'tanh', inputShape: [70] }),
    layers.dense({ units: 33, activation: 'softmax' }),
  ]);
  return Promise.resolve(model);
}

describe('accuracy', () => {
  test('a layer is off by no more than half a step of each of its factors', async () => {
    const [rows, features, units] = [20, 300, 40];
    const model = sequential([layers.dense({ units, inputShape: [features], useBias: false })]);
    const x = wave([rows, features], 3);
    const [kernel] = await model.getWeights();
    const exact = await model.predict(x);
    await model.quantize('int8');
    const got = await model.predict(x);
    for (let i = 0; i < rows; i++) {
      const row = x.data.subarray(i * features, (i + 1) * features);
      const stepX = row.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127;
      for (let j = 0; j < units; j++) {
        const column = Array.from({ length: features }, (_, k) => kernel!.data[k * units + j]!);
        const stepW = column.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127;
        // |xw - x'w'| <= |x| |w - w'| + |w'| |x - x'|, and a rounding of floats or two.
        const bound = column.reduce(
          (sum, w, k) => sum + (Math.abs(row[k]!) * stepW) / 2 + ((Math.abs(w) + stepW / 2) * stepX) / 2,
          1e-5,
        );
        expect(Math.abs(got.at(i, j) - exact.at(i, j))).toBeLessThan(bound);
      }
    }
    expect([...got.data]).not.toEqual([...exact.data]);
  });

  test('a row is the same in any batch, and on the calling thread', async () => {
    const model = await wide();
    await model.quantize('int8');
    await expectNumbers(model);
    const x = wave([50, 70], 1);
    const all = await model.predict(x, { batchSize: 50 });
    const one = await model.predict(x.rows(7, 8));
    expect([...one.data]).toEqual([...all.rows(7, 8).data]);
    expect([...model.predictSync(x.data.slice(7 * 70, 8 * 70))]).toEqual([...one.data]);
    expect([...(await model.predict(x, { batchSize: 3 })).data]).toEqual([...all.data]);
  });

  test('what is not a number stays so, in its row only', async () => {
    const model = sequential([layers.dense({ units: 4, inputShape: [3] })]);
    await model.quantize('int8');
    await expectNumbers(model);
    const rows = [
      [1, 2, 3],
      [1, Number.NaN, 3],
    ];
    const { data } = await model.predict(rows, { allowNonFinite: true });
    expect([...data].map(Number.isNaN)).toEqual([false, false, false, false, true, true, true, true]);
  });
});

test('models of any kind, layers inside others, and only those that are asked for', async () => {
  const x = input({ shape: [6], dtype: 'int32' });
  const table = layers.embedding({ inputDim: 11, outputDim: 8, name: 'table' });
  const inner = sequential([layers.dense({ units: 5, name: 'inside', inputShape: [8] })]);
  const steps = layers.timeDistributed({ layer: inner });
  const head = layers.dense({ units: 2, name: 'head' });
  const pooled = layers.globalAveragePooling1d().apply(steps.apply(table.apply(x)));
  const model = functional({ inputs: x, outputs: head.apply(pooled) });
  const ids = new NDArray(
    Int32Array.from({ length: 18 }, (_, i) => (i * 5) % 11),
    [3, 6],
  );
  const before = await model.predict(ids);
  await model.quantize('int8', { filters: ['table', /^ins/] });
  expect([table.quantization, inner.layers[0]!.quantization, head.quantization]).toEqual(['int8', 'int8', undefined]);
  const after = await model.predict(ids);
  expect([...after.data]).not.toEqual([...before.data]);
  for (const [i, value] of before.data.entries()) expect(after.data[i]).toBeCloseTo(value, 2);
  await model.quantize('int8', { filters: (layer) => layer.name === 'head' });
  expect(head.quantization).toBe('int8');
});

test('evaluate goes on, fit says why it does not', async () => {
  const model = await wide();
  model.compile({ optimizer: 'adam', loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'] });
  const x = wave([64, 70], 2);
  const y = Int32Array.from({ length: 64 }, (_, i) => i % 33);
  await model.fit(x, y, { epochs: 2, verbose: 0 });
  const before = await model.evaluate(x, y, { verbose: 0 });
  await model.quantize('int8');
  const after = await model.evaluate(x, y, { verbose: 0 });
  expect(after.loss).not.toBe(before.loss);
  expect(after.loss).toBeCloseTo(before.loss, 2);
  // The slots of what is not trained any more are gone: two of Adam for each bias are left.
  expect(model.optimizer.variables).toHaveLength(2 + 4);
  await expect(model.fit(x, y)).rejects.toThrow(/is quantized \(layer "dense\w*" holds int8 weights\).*Train first/);
  await expect(model.trainOnBatch(x, y)).rejects.toThrow(/for inference/);
});

test('a gradient through int8 weights is an error that names the op', async () => {
  const model = sequential([layers.dense({ units: 3, inputShape: [4] }), layers.dense({ units: 1, name: 'last' })]);
  await model.quantize('int8', { filters: 'last' });
  const step = trace((x: Tensor) => valueAndGrad(() => ops.sum(model.apply(x)), model.trainableWeights).grads[0]!);
  await expect(step.run([[1, 2, 3, 4]])).rejects.toThrow(/matmulInt8 has no gradient, in layer ".*last"/);
});

test('the summary counts bytes', async () => {
  const model = sequential([layers.dense({ units: 1000, inputShape: [500] })], { name: 'm' });
  await model.quantize('int8');
  const text = model.summary({ printFn: () => {} });
  expect(text).toMatch(/dense\w* \(Dense, int8\)/);
  expect(text).toContain('Total params: 502,000 (496.09 KB)');
  expect(text).toContain('Trainable params: 1,000 (3.91 KB)');
});

test('the float32 weights are let go, with the programs and slots that held them', async () => {
  const units = 1000;
  const model = sequential([layers.dense({ units, inputShape: [units] }), layers.dense({ units })]);
  model.compile({ optimizer: 'adam', loss: 'meanSquaredError' });
  const x = wave([4, units], 0);
  await model.fit(x, x, { verbose: 0 });
  const before = await liveBytes();
  await model.quantize('int8');
  await model.predict(x);
  // Two kernels with two slots each are 24 MB; 2 MB of int8 take their place.
  expect(before - (await liveBytes())).toBeGreaterThan(2 * units * units * (12 - 1.5));
});

test('a clone is quantized, too, and takes the weights', async () => {
  const model = await wide();
  await model.quantize('int8');
  await expectNumbers(model);
  const copy = cloneModel(model);
  await copy.setWeights(await model.getWeights());
  const x = wave([3, 70], 0);
  expect(bits(await copy.predict(x))).toEqual(bits(await model.predict(x)));
});

describe('mistakes', () => {
  const dense = () => sequential([layers.dense({ units: 2, inputShape: [2] })]);

  test.each([
    [
      'an unknown mode',
      () => dense().quantize('int3' as never),
      /the mode is 'int8' or 'bfloat16', got the string "int3"/,
    ],
    ['a misspelt option', () => dense().quantize('int8', { filter: 'x' } as never), /filters/],
    [
      'no layer',
      () => sequential([layers.flatten({ inputShape: [2] })]).quantize('int8'),
      /Dense, EinsumDense and Embedding/,
    ],
    ['filters that pick none', () => dense().quantize('int8', { filters: 'conv' }), /filters pick/],
    ['filters that are no pattern', () => dense().quantize('int8', { filters: '(' }), /quantize: filters .*escape/],
    ['a number', () => dense().quantize('int8', { filters: 7 as never }), /quantize: filters .* 7: a string, a RegExp/],
    ['null', () => dense().quantize('int8', { filters: null as never }), /quantize: filters .*leave filters out/],
    ['not built', () => sequential([layers.dense({ units: 2 })]).quantize('int8'), /not built/],
  ])('%s', async (_name, run, message) => {
    await expect(run()).rejects.toThrow(message);
  });

  test('a kernel that another layer changes', async () => {
    const model = sequential([
      layers.spectralNormalization({ layer: layers.dense({ units: 2, name: 'wrapped' }), inputShape: [3] }),
    ]);
    await expect(model.quantize('int8')).rejects.toThrow(/kernel of "wrapped", too/);
  });

  test('-128, which the products cannot take', async () => {
    const model = dense();
    await model.quantize('int8');
    await expect(model.weights[1]!.write(Int8Array.of(1, 2, -128, 3) as never)).rejects.toThrow(/-127..127/);
  });
});
