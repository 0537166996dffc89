import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  cloneModel,
  functional,
  input,
  layers,
  loadModel,
  type Model,
  NDArray,
  sequential,
  setRandomSeed,
} from '../../lib/index.js';
import { bits, expectNumbers, setAll, wave } from './quantized.js';

// Products over several axes, convolutions, and the files of quantized models.

const folder = mkdtempSync(join(tmpdir(), 'chainrule-quantize-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('einsum', () => {
  const weights = async (model: Model): Promise<number[][]> =>
    (await model.getWeights()).map((array) => [...array.data]);

  test.each([
    ['abc,cd->abd', [3, 5], [null, 7]],
    ['abc,cde->abde', [3, 5], [null, 2, 7]],
    ['abcd,cde->abe', [3, 2, 5], [null, 7]],
  ])('%s is a dense layer on what it sums over', async (equation, inputShape, outputShape) => {
    const model = await setAll(
      sequential([layers.einsumDense({ equation, outputShape, inputShape }), layers.reshape({ targetShape: [-1, 7] })]),
    );
    const { shape } = model.weights[0]!;
    const x = wave([4, ...inputShape], 1);
    await model.quantize('int8');
    expect(model.weights[0]!.shape).toEqual(shape);
    const summed = equation.startsWith('abcd') ? 10 : 5;
    const dense = await setAll(
      sequential([layers.dense({ units: model.weights[0]!.size / summed, useBias: false, inputShape: [summed] })]),
    );
    await dense.quantize('int8');
    expect(await weights(model)).toEqual(await weights(dense));
    const want = await dense.predict(x.reshape([-1, summed]));
    expect([...(await model.predict(x)).data]).toEqual([...want.data]);
  });

  test.each([
    ['abc,bd->adc', [4, 5]],
    ['...x,xy->...y', [3, 4]],
  ])('%s stays float32', async (equation, outputShape) => {
    const odd = layers.einsumDense({ equation, outputShape, inputShape: [3, 5] });
    const model = sequential([odd, layers.dense({ units: 2 })]);
    await model.quantize('int8');
    expect(odd.quantization).toBeUndefined();
    const { shape } = await model.predict(wave([2, 3, 5], 0));
    expect(shape).toEqual([2, outputShape[0], 2]);
  });

  test('attention: close to float32; saved as weights, not as a model', async () => {
    setRandomSeed(3);
    const make = (): Model => {
      const x = input({ shape: [6, 16] });
      const y = layers.multiHeadAttention({ numHeads: 2, keyDim: 8 }).apply(x, { value: x });
      return functional({ inputs: x, outputs: y }) as Model;
    };
    const [model, other] = [make(), make()];
    const x = wave([3, 6, 16], 0);
    const exact = await model.predict(x);
    await model.quantize('int8');
    const got = await model.predict(x);
    const largest = exact.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (const [i, value] of exact.data.entries()) expect(Math.abs(got.data[i]! - value)).toBeLessThan(0.03 * largest);
    await expect(model.save(join(folder, 'attention.keras'))).rejects.toThrow(/layer "query" holds int8 weights/);
    const path = join(folder, 'attention.weights.h5');
    await model.saveWeights(path);
    await other.quantize('int8');
    await other.loadWeights(path);
    expect(bits(await other.predict(x))).toEqual(bits(got));
  });
});

describe('convolutions', () => {
  const make = (): Model =>
    sequential([
      layers.conv2d({ filters: 8, kernelSize: 3, padding: 'same', inputShape: [9, 10, 1] }),
      layers.conv2d({ filters: 20, kernelSize: 3, strides: 2, activation: 'relu' }),
      layers.maxPooling2d({ poolSize: 2 }),
      layers.flatten(),
      layers.dense({ units: 3 }),
    ]);
  const x = wave([5, 9, 10, 1], 1);

  test('stay in float32, as in Keras, unless they are asked for', async () => {
    const model = make();
    await model.quantize('int8');
    expect(model.layers.map(({ quantization }) => quantization)).toEqual([...Array(4).fill(undefined), 'int8']);
  });

  test('may follow on the rest', async () => {
    const model = make();
    await model.quantize('int8');
    await model.quantize('int8', { convolutions: true });
    expect(model.layers.map(({ quantization }) => quantization)).toEqual([
      undefined,
      'int8',
      undefined,
      undefined,
      'int8',
    ]);
    await expect(model.quantize('int8', { convolutions: true })).rejects.toThrow(/is stored as int8 already/);
  });

  test('close to float32, the same in any batch; kept as weights, not as a model', async () => {
    setRandomSeed(4);
    const model = make();
    const exact = await model.predict(x);
    await model.quantize('int8', { convolutions: true });
    expect(model.layers.map(({ quantization }) => quantization)).toEqual([
      undefined, // windows of 9 numbers
      'int8',
      undefined,
      undefined,
      'int8',
    ]);
    const got = await model.predict(x);
    const largest = exact.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (const [i, value] of exact.data.entries()) expect(Math.abs(got.data[i]! - value)).toBeLessThan(0.03 * largest);
    expect(bits(await model.predict(x.rows(3, 4)))).toEqual(bits(got.rows(3, 4)));
    await expect(model.save(join(folder, 'conv.keras'))).rejects.toThrow(/as a Conv2D, which Keras keeps in float32/);
    const path = join(folder, 'conv.safetensors');
    await model.saveWeights(path);
    const copy = cloneModel(model);
    await copy.loadWeights(path);
    expect(bits(await copy.predict(x))).toEqual(bits(got));
  });
});

describe('files', () => {
  const make = (): Model =>
    sequential([
      layers.embedding({ inputDim: 20, outputDim: 12, inputShape: [5] }),
      layers.flatten(),
      layers.dense({ units: 9, activation: 'relu' }),
      layers.dense({ units: 3, useBias: false }),
    ]);
  const ids = new NDArray(
    Int32Array.from({ length: 20 }, (_, i) => (i * 3) % 20),
    [4, 5],
  );

  test('a saved model predicts the same bits, and its weights are int8', async () => {
    const model = make();
    await model.quantize('int8');
    await expectNumbers(model);
    const path = join(folder, 'model.keras');
    await model.save(path);
    const loaded = await loadModel(path);
    expect(loaded.weights.map(({ dtype }) => dtype)).toEqual(model.weights.map(({ dtype }) => dtype));
    expect(bits(await loaded.predict(ids))).toEqual(bits(await model.predict(ids)));
    await expect(loaded.quantize('int8')).rejects.toThrow(/is stored as int8 already/);
  });

  test('a layer inside another one is not taken for one of the same name that the file tells of', async () => {
    const x = input({ shape: [6, 16] });
    const y = layers.multiHeadAttention({ numHeads: 2, keyDim: 8 }).apply(x, { value: x });
    const model = functional({ inputs: x, outputs: layers.dense({ units: 16, name: 'query' }).apply(y) });
    await model.quantize('int8', { filters: 'query' });
    await expect(model.save(join(folder, 'two.keras'))).rejects.toThrow(
      /layer "query" holds int8 weights inside another/,
    );
  });

  test.each(['weights.h5', 'safetensors'])('weights in .%s go into a quantized model only', async (kind) => {
    const [one, other, plain] = [make(), make(), make()];
    await one.quantize('int8');
    await expectNumbers(one);
    await other.quantize('int8');
    const path = join(folder, `w.${kind}`);
    await one.saveWeights(path);
    await other.loadWeights(path);
    expect(bits(await other.predict(ids))).toEqual(bits(await one.predict(ids)));
    await expect(plain.loadWeights(path)).rejects.toThrow(/does not fit/);
  });
});
