import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type CallContext,
  Dataset,
  functional,
  input,
  Layer,
  layers,
  loadModel,
  Model,
  NDArray,
  ops,
  type Sequential,
  sequential,
  type Tensor,
} from '../../lib/index.js';

// Axes of unknown length beside the batch: null in an input's shape, as None in Keras.

/** Numbers that differ, in [-1, 1]. */
function numbers(...shape: number[]): NDArray {
  const size = shape.reduce((a, b) => a * b, 1);
  return new NDArray(
    Float32Array.from({ length: size }, (_, i) => Math.sin(i + 1)),
    shape,
  );
}

const tagger = (): Sequential =>
  sequential([
    layers.embedding({ inputDim: 20, outputDim: 4, maskZero: true, inputShape: [null] }),
    layers.bidirectional({ layer: layers.lstm({ units: 3, returnSequences: true }) }),
    layers.timeDistributed({ layer: layers.dense({ units: 2 }) }),
  ]);

const shapesOf = (model: Model): (readonly (number | null)[])[] => model.layers.map((layer) => layer.output.shape);

/** The model for one length, with the weights of the open one. */
async function fixed(open: Model, shape: number[], build: (shape: number[]) => Model): Promise<Model> {
  const model = build(shape);
  await model.setWeights(await open.getWeights());
  return model;
}

describe('output shapes', () => {
  test('of sequences', () => {
    expect(shapesOf(tagger())).toEqual([
      [null, null, 4],
      [null, null, 6],
      [null, null, 2],
    ]);
  });

  test('of images of any size', () => {
    const model = sequential([
      layers.conv2d({ filters: 4, kernelSize: 3, strides: 2, padding: 'same', inputShape: [null, null, 3] }),
      layers.maxPooling2d(),
      layers.zeroPadding2d({ padding: 1 }),
      layers.upSampling2d({ size: 2 }),
      layers.batchNormalization(),
      layers.globalAveragePooling2d(),
      layers.dense({ units: 2 }),
    ]);
    expect(shapesOf(model)).toEqual([...Array.from({ length: 5 }, () => [null, null, null, 4]), [null, 4], [null, 2]]);
    expect(model.layers[0]!.buildShape).toEqual([null, null, null, 3]);
  });

  test.each<[string, () => Layer, (number | null)[]]>([
    ['flatten', () => layers.flatten(), [null, null]],
    ['reshape', () => layers.reshape({ targetShape: [-1, 4] }), [null, null, 4]],
    ['permute', () => layers.permute({ dims: [2, 1] }), [null, 8, null]],
    ['cropping1d', () => layers.cropping1d(), [null, null, 8]],
    ['conv1d', () => layers.conv1d({ filters: 2, kernelSize: 200, padding: 'valid' }), [null, null, 2]],
    ['lstm', () => layers.lstm({ units: 3 }), [null, 3]],
    [
      'a cell of its own',
      () => layers.rnn({ cell: [layers.gruCell({ units: 3 }), layers.gruCell({ units: 2 })] }),
      [null, 2],
    ],
    ['layerNormalization', () => layers.layerNormalization(), [null, null, 8]],
    ['softmax over time', () => layers.softmax({ axis: 1 }), [null, null, 8]],
    ['lambda', () => layers.lambda({ function: (x: Tensor) => ops.multiply(x, x.shape[1]!) }), [null, null, 8]],
    ['globalMaxPooling1d', () => layers.globalMaxPooling1d(), [null, 8]],
  ])('of %s', (_, make, expected) => {
    expect(make().apply(input({ shape: [null, 8] })).shape).toEqual(expected);
  });

  test('of several inputs', () => {
    const [a, b, c] = [input({ shape: [null, 8] }), input({ shape: [null, 8] }), input({ shape: [5, 8] })];
    expect(layers.add().apply([a, b]).shape).toEqual([null, null, 8]);
    expect(layers.concatenate({ axis: 1 }).apply([a, c]).shape).toEqual([null, null, 8]);
    expect(layers.multiHeadAttention({ numHeads: 2, keyDim: 4 }).apply(c, { value: a }).shape).toEqual([null, 5, 8]);
    expect(layers.dot({ axes: 2 }).apply([a, b]).shape).toEqual([null, null, null]);
    expect(ops.add(a, 1).shape).toEqual([null, null, 8]);
    const [sequence, h] = layers.gru({ units: 3, returnSequences: true, returnState: true }).apply<Tensor[]>(a);
    expect([sequence!.shape, h!.shape]).toEqual([
      [null, null, 3],
      [null, 3],
    ]);
  });

  test('summary says None', () => {
    expect(tagger().summary({ printFn: () => {} })).toMatch(/\(None, None, 6\)/);
  });
});

describe('numbers', () => {
  test('predict at several lengths is what models of those lengths give', async () => {
    const build = (shape: (number | null)[]): Model =>
      sequential([
        layers.conv1d({ filters: 5, kernelSize: 3, padding: 'same', activation: 'relu', inputShape: [...shape, 4] }),
        layers.gru({ units: 6, returnSequences: true }),
        layers.layerNormalization(),
        layers.globalAveragePooling1d(),
        layers.dense({ units: 2 }),
      ]);
    const open = build([null]);
    for (const steps of [3, 7, 50, 3]) {
      const x = numbers(4, steps, 4);
      const got = await open.predict(x);
      expect(got.data).toEqual((await (await fixed(open, [steps], build)).predict(x)).data);
      expect(open.predictSync(x).data).toEqual(got.data);
    }
  });

  test('images of several sizes', async () => {
    const build = (shape: (number | null)[]): Model =>
      sequential([
        layers.conv2d({ filters: 3, kernelSize: 3, strides: 2, inputShape: [...shape, 2] }),
        layers.upSampling2d({ interpolation: 'bilinear' }),
        layers.averagePooling2d(),
        layers.globalMaxPooling2d(),
      ]);
    const open = build([null, null]);
    for (const [height, width] of [
      [9, 12],
      [32, 8],
    ] as const) {
      const x = numbers(2, height, width, 2);
      expect((await open.predict(x)).data).toEqual((await (await fixed(open, [height, width], build)).predict(x)).data);
    }
  });

  test('fit on batches of several lengths trains the same weights', async () => {
    const model = tagger();
    model.compile({ optimizer: 'adam', loss: 'mse', metrics: ['mae'] });
    const before = (await model.getWeights()).map(({ data }) => data.slice());
    const batch = (steps: number): { x: NDArray; y: NDArray } => ({
      x: new NDArray(
        Float32Array.from({ length: 4 * steps }, (_, i) => 1 + (i % 19)),
        [4, steps],
      ),
      y: numbers(4, steps, 2),
    });
    const batches = Dataset.from(async function* () {
      for (const steps of [3, 8, 5, 3]) yield batch(steps);
    });
    const { history } = await model.fit(batches, { epochs: 8, verbose: 0 });
    expect(history.loss).toHaveLength(8);
    expect(history.loss.at(-1)!).toBeLessThan(history.loss[0]!);
    const after = await model.getWeights();
    expect(after.every(({ data }, i) => data.some((value, k) => value !== before[i]![k]))).toBe(true);
    const { x, y } = batch(11);
    expect((await model.evaluate(x, y)).mae).toBeGreaterThan(0);
    // The same step, whether the length is fixed or not.
    const twin = await fixed(model, [3], (shape) =>
      sequential([
        layers.embedding({ inputDim: 20, outputDim: 4, maskZero: true, inputShape: shape }),
        ...tagger().layers.slice(1),
      ]),
    );
    for (const one of [model, twin]) {
      one.compile({ optimizer: 'sgd', loss: 'mse' });
      await one.trainOnBatch(batch(3).x, batch(3).y);
    }
    expect((await model.getWeights()).map(({ data }) => data)).toEqual(
      (await twin.getWeights()).map(({ data }) => data),
    );
  });

  test('texts of any length', async () => {
    const vocabulary = ['good', 'bad', 'film'];
    const model = sequential([
      layers.textVectorization({ vocabulary }),
      layers.embedding({ inputDim: 5, outputDim: 3 }),
      layers.globalAveragePooling1d(),
    ]);
    expect(model.outputs[0]!.shape).toEqual([null, 3]);
    const one = await model.predict(['good film']);
    const other = await model.predict(['good good film film', 'bad film bad film']);
    for (let i = 0; i < 3; i++) expect(other.at(0, i)).toBeCloseTo(one.at(0, i), 6);
  });

  test('a model inside a model, and a class of its own', async () => {
    const inner = sequential([layers.gru({ units: 3, returnSequences: true }), layers.globalAveragePooling1d()]);
    const x = input({ shape: [null, 4] });
    const outer = functional({ inputs: x, outputs: layers.dense({ units: 2 }).apply(inner.apply(x)) });
    expect(inner.inputs[0]!.shape).toEqual([null, null, 4]);
    for (const steps of [2, 9]) expect((await outer.predict(numbers(3, steps, 4))).shape).toEqual([3, 2]);

    const own = new Pooled();
    own.build([null, null, 4]);
    expect(own.countParams()).toBe(10);
    for (const steps of [2, 9]) expect((await own.predict(numbers(3, steps, 4))).shape).toEqual([3, 2]);
    expect(() => new Pooled('flatten').build([null, null, 4])).toThrow(/depends on the length of an axis/);
  });
});

test('files keep the open axes', async () => {
  const model = tagger();
  const path = join(await mkdtemp(join(tmpdir(), 'chainrule-')), 'm.keras');
  await model.save(path);
  const again = await loadModel(path);
  expect(again.inputs[0]!.shape).toEqual([null, null]);
  expect(shapesOf(again)).toEqual(shapesOf(model));
  const x = new NDArray(Float32Array.of(1, 2, 3, 0, 5, 6, 0, 0), [2, 4]);
  expect((await again.predict(x)).data).toEqual((await model.predict(x)).data);
});

describe('what needs a length', () => {
  const sequence = (): Tensor => input({ shape: [null, 8] });
  test.each<[string, () => unknown, RegExp]>([
    [
      'dense behind flatten',
      () => layers.dense({ units: 1, name: 'head' }).apply(layers.flatten().apply(sequence())),
      /layer "head" \(Dense\): axis -1 of its input \[null, null\] must have a known size/,
    ],
    [
      'dense on an unknown last axis',
      () => sequential([layers.dense({ units: 1, inputShape: [null] })]),
      /axis -1 of its input \[null, null\] must have a known size/,
    ],
    [
      'normalization over an unknown axis',
      () => layers.layerNormalization({ axis: 1 }).apply(sequence()),
      /axis 1 of its input \[null, null, 8\] must have a known size/,
    ],
    [
      'a layer inside a layer',
      () => new Flat().apply(sequence()),
      /"flat\w*" depends on the length of an axis that is not known/,
    ],
    [
      'a fixed shape in between',
      () => layers.reshape({ targetShape: [4, 4] }).apply(sequence()),
      /tried with 128 for the axes of unknown length|reshape/,
    ],
    ['ops that take part of an axis', () => ops.flip(sequence(), 1), /slice: it depends on an axis of unknown length/],
    [
      'a row of numbers for predictSync',
      () => tagger().predictSync(Float32Array.of(1, 2, 3)),
      /has axes of any length, \[null, null\]; numbers in a row do not tell them/,
    ],
    ['warmup', () => tagger().warmup(), /has axes of any length/],
  ])('%s', async (_, make, message) => {
    await expect((async () => make())()).rejects.toThrow(message);
  });

  test('batches of different lengths make no one array', async () => {
    const batches = Dataset.from(async function* () {
      for (const steps of [3, 4]) yield { x: numbers(2, steps) };
    });
    await expect(tagger().predict(batches)).rejects.toThrow(
      /rows of different shapes, \[null, 3, 2\] and \[null, 4, 2\]/,
    );
  });
});

class Flat extends Layer {
  readonly flatten = layers.flatten();
  readonly head = layers.dense({ units: 2 });
  override call(x: Tensor, _ctx: CallContext): Tensor {
    return this.head.apply(this.flatten.apply(x));
  }
}

class Pooled extends Model {
  readonly pool: Layer;
  readonly head = layers.dense({ units: 2 });
  constructor(pool: 'pool' | 'flatten' = 'pool') {
    super();
    this.pool = pool === 'pool' ? layers.globalMaxPooling1d() : layers.flatten();
  }
  override call(x: Tensor): Tensor {
    return this.head.apply(this.pool.apply(x));
  }
}
