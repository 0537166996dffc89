import { mkdtempSync, rmSync } from 'node:fs';
import { stat } from 'node:fs/promises';
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
  type Tensor,
  trace,
  Variable,
  valueAndGrad,
} from '../../lib/index.js';
import { EinsumDense } from '../../lib/layers/einsum_dense.js';
import { einsum } from '../../lib/ops/einsum.js';
import { nearestBfloat16 } from '../ops/cases/bfloat16.js';
import { liveBytes } from './live_bytes.js';
import { bits, wave } from './quantized.js';

// Weights stored as bfloat16 are rounded once; all that follows is float32. So the oracle is the float32 model with rounded
// weights, to the last bit.

const folder = mkdtempSync(join(tmpdir(), 'chainrule-bfloat16-'));
afterAll(() => rmSync(folder, { recursive: true }));

const ids = (rows: number, columns: number, below: number): NDArray =>
  new NDArray(Int32Array.from({ length: rows * columns }, (_, i) => (i * 7) % below) as never, [
    rows,
    columns,
  ]) as never;

const attention = (): Model => {
  const x = input({ shape: [6, 16] });
  const y = layers.multiHeadAttention({ numHeads: 2, keyDim: 8 }).apply(x, { value: x });
  return functional({ inputs: x, outputs: y }) as Model;
};

/** What each model stores, and rows that it takes. */
const kinds: Record<string, [make: () => Model, x: NDArray, stored: string[]]> = {
  'dense layers': [
    () =>
      sequential([
        layers.dense({ units: 100, activation: 'tanh', inputShape: [70] }),
        layers.dense({ units: 33, activation: 'softmax' }),
        layers.dense({ units: 1 }),
      ]),
    wave([50, 70], 1),
    ['kernel', 'kernel', 'kernel'],
  ],
  'an einsum that is a product': [
    () =>
      sequential([
        layers.einsumDense({
          equation: 'abc,cde->abde',
          outputShape: [null, 2, 7],
          biasAxes: 'de',
          inputShape: [3, 10],
        }),
      ]),
    wave([4, 3, 10], 0),
    ['kernel'],
  ],
  'an einsum that is none': [
    () => sequential([layers.einsumDense({ equation: 'abc,bd->adc', outputShape: [4, 5], inputShape: [3, 5] })]),
    wave([4, 3, 5], 0),
    ['kernel'],
  ],
  attention: [attention, wave([3, 6, 16], 0), ['kernel', 'kernel', 'kernel', 'kernel']],
  'an embedding': [
    () => sequential([layers.embedding({ inputDim: 20, outputDim: 12, inputShape: [5] }), layers.flatten()]),
    ids(4, 5, 20),
    ['embeddings'],
  ],
  'a bag of embeddings': [
    () =>
      sequential([layers.embedding({ inputDim: 30, outputDim: 24, inputShape: [9] }), layers.globalAveragePooling1d()]),
    ids(6, 9, 30),
    ['embeddings'],
  ],
  convolutions: [
    () =>
      sequential([
        layers.conv2d({ filters: 8, kernelSize: 3, padding: 'same', inputShape: [9, 10, 3] }),
        layers.conv2d({ filters: 20, kernelSize: 3, strides: 2, groups: 4, activation: 'relu' }),
        layers.conv2d({ filters: 40, kernelSize: 1 }),
        layers.depthwiseConv2d({ kernelSize: 2 }),
      ]),
    wave([5, 9, 10, 3], 1),
    ['kernel', 'kernel', 'kernel'],
  ],
  "Winograd's convolutions": [
    () => sequential([layers.conv2d({ filters: 32, kernelSize: 3, padding: 'same', inputShape: [12, 12, 32] })]),
    wave([2, 12, 12, 32], 1),
    ['kernel'],
  ],
  'convolutions of sequences, and back': [
    () =>
      sequential([
        layers.conv1d({ filters: 6, kernelSize: 3, padding: 'causal', inputShape: [8, 5] }),
        layers.conv1dTranspose({ filters: 4, kernelSize: 3, strides: 2 }),
      ]),
    wave([3, 8, 5], 1),
    ['kernel', 'kernel'],
  ],
  'recurrent layers': [
    () =>
      sequential([
        layers.lstm({ units: 9, returnSequences: true, inputShape: [7, 5] }),
        layers.bidirectional({ layer: layers.gru({ units: 6, returnSequences: true }) }),
        layers.simpleRnn({ units: 4 }),
      ]),
    wave([3, 7, 5], 1),
    Array(8).fill('kernel'),
  ],
};

async function rounded(model: Model): Promise<NDArray[]> {
  return (await model.getWeights()).map(
    ({ data, shape }) =>
      new NDArray(
        data.map((value) => Math.fround(nearestBfloat16(value))),
        shape,
      ),
  );
}

describe.each(Object.entries(kinds))('%s', (_name, [make, x, stored]) => {
  test('predict the bits of the float32 model with rounded weights', async () => {
    setRandomSeed(5);
    const [model, plain] = [make(), make()];
    await model.setWeights(await rounded(model));
    await plain.setWeights(await model.getWeights());
    const before = await model.predict(x);
    await model.quantize('bfloat16');
    const halves = model.weights.filter(({ dtype }) => dtype === 'bfloat16');
    expect(halves.map(({ name }) => name.replace('recurrent_', ''))).toEqual(stored);
    expect(bits(await model.predict(x))).toEqual(bits(await plain.predict(x)));
    expect(bits(await model.predict(x))).toEqual(bits(before));
    expect(bits(await model.predict(x.rows(1, 2)))).toEqual(bits(before.rows(1, 2)));
  });

  test('round to the nearest', async () => {
    setRandomSeed(6);
    const model = make();
    const exact = await model.getWeights();
    const want = await rounded(model);
    await model.quantize('bfloat16');
    const got = await model.getWeights();
    for (const [i, variable] of model.weights.entries())
      expect(bits(got[i]!), variable.path).toEqual(bits(variable.dtype === 'bfloat16' ? want[i]! : exact[i]!));
  });

  test('files: the same bits, and stored so again', async () => {
    setRandomSeed(7);
    const model = make();
    await model.quantize('bfloat16');
    const path = join(folder, 'model.keras');
    await model.save(path);
    const loaded = await loadModel(path);
    const dtypes = (one: Model): string[] => one.weights.map(({ dtype }) => dtype);
    expect(dtypes(loaded)).toEqual(dtypes(model));
    expect(bits(await loaded.predict(x))).toEqual(bits(await model.predict(x)));
    const copy = cloneModel(model);
    expect(dtypes(copy)).toEqual(dtypes(model));
    for (const kind of ['weights.h5', 'safetensors']) {
      await copy.setWeights(
        (await copy.getWeights()).map(
          ({ data, shape }) =>
            new NDArray(
              data.map(() => 0),
              shape,
            ),
        ),
      );
      await model.saveWeights(join(folder, `w.${kind}`));
      await copy.loadWeights(join(folder, `w.${kind}`));
      expect(bits(await copy.predict(x))).toEqual(bits(await model.predict(x)));
    }
  });
});

test('a copy stores in the same layers, one that an outer and an inner model share included', async () => {
  const shared = layers.dense({ units: 4, name: 'shared' });
  const before = layers.dense({ units: 4, name: 'before' });
  const inner = sequential([layers.dense({ units: 4, inputShape: [4], name: 'inner' }), shared]);
  const x = input({ shape: [4] });
  const model = functional({ inputs: x, outputs: shared.apply(inner.apply(before.apply(x))) }) as Model;
  await model.quantize('bfloat16', { filters: 'inner' });
  const copy = cloneModel(model);
  const dtypes = (one: Model): Record<string, string> =>
    Object.fromEntries(one.weights.map(({ path, dtype }) => [path.split('/').slice(-2).join('/'), dtype]));
  expect(dtypes(copy)).toEqual(dtypes(model));
  expect(dtypes(copy)['inner/kernel']).toBe('bfloat16');
  expect(copy.weights).toHaveLength(model.weights.length);
  await copy.setWeights(await model.getWeights());
  const rows = wave([3, 4], 1);
  expect(bits(await copy.predict(rows))).toEqual(bits(await model.predict(rows)));
});

test('a class that extends EinsumDense reads its kernel in the shape that it had', async () => {
  class Doubled extends EinsumDense {
    override call(x: Tensor): Tensor {
      return einsum(this.equation, x, this.kernel.read().mul(2));
    }
  }
  class Named extends EinsumDense {}
  const options = { equation: 'abc,cde->abde', outputShape: [3, 2, 4] };
  for (const Class of [Doubled, Named]) {
    const model = sequential([new Class({ ...options, inputShape: [3, 5] })]);
    const x = wave([2, 3, 5], 1);
    const weights = (await model.getWeights())[0]!;
    await model.quantize('bfloat16');
    expect(model.weights[0]!.dtype).toBe('bfloat16');
    expect(model.weights[0]!.shape).toEqual([5, 2, 4]);
    const plain = sequential([new Class({ ...options, inputShape: [3, 5] })]);
    await plain.setWeights([
      new NDArray(
        weights.data.map((v) => Math.fround(nearestBfloat16(v))),
        weights.shape,
      ),
    ]);
    expect(bits(await model.predict(x))).toEqual(bits(await plain.predict(x)));
  }
});

const wide = (): Model => sequential([layers.dense({ units: 200, inputShape: [300] }), layers.dense({ units: 3 })]);

test('a file holds half the bytes; a float32 model reads it, and rounds what it writes into halves', async () => {
  const [model, plain] = [wide(), wide()];
  const sizeAt = async (name: string): Promise<number> => {
    await model.saveWeights(join(folder, name));
    return (await stat(join(folder, name))).size;
  };
  const before = await sizeAt('float.safetensors');
  await plain.loadWeights(join(folder, 'float.safetensors'));
  await model.quantize('bfloat16');
  expect(before - (await sizeAt('half.safetensors'))).toBe((300 * 200 + 200 * 3) * 2);
  const x = wave([3, 300], 1);
  const want = bits(await model.predict(x));
  await plain.loadWeights(join(folder, 'half.safetensors'));
  expect(bits(await plain.predict(x))).toEqual(want);
  await model.loadWeights(join(folder, 'float.safetensors'));
  expect(bits(await model.predict(x))).toEqual(want);
});

test('evaluate goes on, fit says why it does not, and nothing trains what is stored so', async () => {
  const model = wide();
  model.compile({ optimizer: 'adam', loss: 'meanSquaredError' });
  const [x, y] = [wave([8, 300], 1), wave([8, 3], 2)];
  await model.fit(x, y, { verbose: 0 });
  const { loss } = await model.evaluate(x, y, { verbose: 0 });
  await model.quantize('bfloat16', { filters: ({ name }) => name === model.layers[0]!.name });
  expect((await model.evaluate(x, y, { verbose: 0 })).loss).toBeCloseTo(loss, 2);
  await expect(model.fit(x, y)).rejects.toThrow(
    /is quantized \(layer "dense\w*" holds bfloat16 weights\).*Train first/,
  );
  model.trainable = false;
  model.trainable = true;
  expect(model.trainableWeights.map(({ name }) => name)).toEqual(['bias', 'kernel', 'bias']);
  expect(model.optimizer.variables).toHaveLength(2 + 6);
  // A step of one's own may: gradients pass through the layer to those before and beside it.
  const step = trace((t: Tensor) => valueAndGrad(() => model.apply<Tensor>(t).sum(), model.trainableWeights).grads[0]!);
  expect([...((await step.run(x as never)) as { data: Float32Array }).data].some((value) => value !== 0)).toBe(true);
});

test('the float32 weights are let go, and nothing keeps a widened copy', async () => {
  const units = 1000;
  const model = sequential([layers.dense({ units, inputShape: [units] }), layers.dense({ units })]);
  const x = wave([4, units], 0);
  await model.predict(x);
  const before = await liveBytes();
  await model.quantize('bfloat16');
  await model.predict(x);
  // 4 MB of halves take the place of 8 MB.
  expect(before - (await liveBytes())).toBeGreaterThan(2 * units * units * (2 - 0.1));
});

test('the summary counts bytes', async () => {
  const model = sequential([layers.dense({ units: 1000, inputShape: [500] })], { name: 'm' });
  await model.quantize('bfloat16');
  const text = model.summary({ printFn: () => {} });
  expect(text).toMatch(/dense\w* \(Dense, bfloat16\)/);
  expect(text).toContain('Total params: 501,000 (980.47 KB)');
});

describe('mistakes', () => {
  test('twice, or after int8', async () => {
    const model = wide();
    await model.quantize('bfloat16');
    await expect(model.quantize('bfloat16')).rejects.toThrow(/is stored as bfloat16 already.*bfloat16 can store/);
    await expect(model.quantize('int8')).rejects.toThrow(/is stored as bfloat16 already/);
    const other = wide();
    await other.quantize('int8');
    await expect(other.quantize('bfloat16')).rejects.toThrow(/is stored as int8 already/);
  });

  test('another name of a mode', async () => {
    await expect(wide().quantize('bf16' as never)).rejects.toThrow(/got the string "bf16"; did you mean "bfloat16"\?/);
    await expect(wide().quantize('int4' as never)).rejects.toThrow(/got the string "int4"; did you mean "int8"\?/);
    await expect(wide().quantize('gptq' as never)).rejects.toThrow(/got the string "gptq"\. Keras's other modes/);
  });

  test('an option of the other mode', async () => {
    await expect(wide().quantize('bfloat16', { convolutions: true })).rejects.toThrow(
      /convolutions is an option of 'int8'/,
    );
  });

  test('nothing to store', async () => {
    const model = sequential([layers.flatten({ inputShape: [2] })]);
    await expect(model.quantize('bfloat16')).rejects.toThrow(/no layer that bfloat16 can store: Dense/);
  });
});

describe('variables', () => {
  test('are read as float32, written and assigned with rounding', async () => {
    const variable = new Variable('v', [3], { dtype: 'bfloat16', initialValue: 0.1 });
    const tenth = Math.fround(nearestBfloat16(Math.fround(0.1)));
    const { data, dtype } = await variable.value();
    expect([...data, dtype]).toEqual([tenth, tenth, tenth, 'bfloat16']);
    await variable.write([1, 1.001, -3.1425]);
    expect([...(await variable.value()).data]).toEqual([1, 1, -3.140625]);
    const step = trace(
      (x: Tensor) => {
        variable.assign(variable.read().mul(x));
        return { now: variable.read(), sum: variable.read().add(1) };
      },
      { batch: false },
    );
    const out = (await step.run([2, 3, 1.1] as never)) as unknown as Record<string, NDArray>;
    expect([...out.now!.data]).toEqual([2, 3, nearestBfloat16(Math.fround(-3.140625 * Math.fround(1.1)))]);
    expect(out.sum!.data[1]).toBe(4);
    expect([...(await variable.value()).data]).toEqual([...out.now!.data]);
  });

  test('gradients towards them are float32', async () => {
    const variable = new Variable('v', [2], { dtype: 'bfloat16', initialValue: 2 });
    const step = trace((x: Tensor) => valueAndGrad(() => variable.read().square().mul(x).sum(), [variable]).grads[0]!, {
      batch: false,
    });
    expect([...((await step.run([1, 0.3] as never)) as { data: Float32Array }).data]).toEqual([
      4,
      Math.fround(4 * Math.fround(0.3)),
    ]);
  });
});
