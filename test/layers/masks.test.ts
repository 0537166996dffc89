import { describe, expect, test } from 'vitest';
import { compute, functional, input, type Layer, layers, NDArray, ops, type Tensor, trace } from '../../lib/index.js';

// Which layers pass masks on, and which use them (Keras: supports_masking and compute_mask of each layer).

const steps = [
  [
    [1, 2],
    [0, 0],
    [3, 4],
  ],
];

/** The numbers that a function of a masked tensor (step 1 of 3 does not count) gives. */
const masked = (fn: (x: Tensor) => Tensor): Promise<NDArray> =>
  compute(() => fn(layers.masking().apply(ops.cast(steps, 'float32'))));

const passing: Record<string, () => Layer> = {
  dense: () => layers.dense({ units: 2 }),
  dropout: () => layers.dropout({ rate: 0.5 }),
  spatialDropout1d: () => layers.spatialDropout1d({ rate: 0.5 }),
  gaussianNoise: () => layers.gaussianNoise({ stddev: 0.5 }),
  gaussianDropout: () => layers.gaussianDropout({ rate: 0.5 }),
  alphaDropout: () => layers.alphaDropout({ rate: 0.5 }),
  activityRegularization: () => layers.activityRegularization({ l2: 0.1 }),
  layerNormalization: () => layers.layerNormalization(),
  groupNormalization: () => layers.groupNormalization({ groups: 1 }),
  batchNormalization: () => layers.batchNormalization(),
  unitNormalization: () => layers.unitNormalization(),
  activation: () => layers.activation({ activation: 'tanh' }),
  relu: () => layers.relu(),
  leakyRelu: () => layers.leakyRelu(),
  elu: () => layers.elu(),
  prelu: () => layers.prelu(),
  identity: () => layers.identity(),
  rescaling: () => layers.rescaling({ scale: 2 }),
  normalization: () => layers.normalization({ mean: 0, variance: 1 }),
};
const stopping: Record<string, () => Layer> = {
  conv1d: () => layers.conv1d({ filters: 2, kernelSize: 1 }),
  maxPooling1d: () => layers.maxPooling1d(),
  globalAveragePooling1d: () => layers.globalAveragePooling1d(),
  globalMaxPooling1d: () => layers.globalMaxPooling1d(),
  rmsNormalization: () => layers.rmsNormalization(),
  reshape: () => layers.reshape({ targetShape: [6] }),
  permute: () => layers.permute({ dims: [2, 1] }),
  cropping1d: () => layers.cropping1d(),
  zeroPadding1d: () => layers.zeroPadding1d(),
  upSampling1d: () => layers.upSampling1d(),
  einsumDense: () => layers.einsumDense({ equation: 'abc,cd->abd', outputShape: [null, 2] }),
  lambda: () => layers.lambda({ function: (x: Tensor) => ops.add(x, 1) }),
};

describe('masks through layers', () => {
  test('masking zeroes the steps and says which', async () => {
    const out = await compute(() => {
      const x = layers.masking({ maskValue: 3 }).apply(
        ops.cast(
          [
            [
              [3, 3],
              [3, 1],
            ],
          ],
          'float32',
        ),
      );
      return [x, x.mask!];
    });
    expect(out.map((one) => one.toNested())).toEqual([
      [
        [
          [0, 0],
          [3, 1],
        ],
      ],
      [[false, true]],
    ]);
  });

  test.each(Object.keys(passing))('%s passes the mask on', async (name) => {
    const mask = await masked((x) => passing[name]!().apply(x).mask!);
    expect(mask.toNested()).toEqual([[true, false, true]]);
  });

  test.each(Object.keys(stopping))('%s ends it', async (name) => {
    await masked((x) => {
      const out = stopping[name]!().apply(x);
      expect(out.mask).toBeUndefined();
      return out;
    });
  });

  test('merging layers: either; concatenate: what each part says', async () => {
    const [either, none, side] = await compute(() => {
      const x = layers.masking().apply(ops.cast(steps, 'float32'));
      const y = layers.masking().apply(
        ops.cast(
          [
            [
              [0, 0],
              [0, 0],
              [1, 1],
            ],
          ],
          'float32',
        ),
      );
      const plain = ops.cast(steps, 'float32');
      const sum = layers.add().apply([x, plain]);
      expect(sum.mask).toBeUndefined();
      expect(layers.dot({ axes: 2 }).apply([x, y]).mask).toBeUndefined();
      return [
        layers.multiply().apply([x, y]).mask!,
        layers.concatenate().apply([x, plain]).mask!,
        layers.concatenate({ axis: 1 }).apply([x, y]).mask!,
      ];
    });
    expect(either!.toNested()).toEqual([[true, false, true]]);
    expect(none!.toNested()).toEqual([[true, true, true]]);
    expect(side!.toNested()).toEqual([[true, false, true, false, false, true]]);
  });

  test('global average pooling leaves masked steps out', async () => {
    const mean = await masked((x) => layers.globalAveragePooling1d().apply(x));
    expect(mean.toNested()).toEqual([[2, 3]]);
    const kept = await masked((x) => layers.globalAveragePooling1d({ keepdims: true }).apply(x));
    expect(kept.toNested()).toEqual([[[2, 3]]]);
  });

  test('softmax gives masked places nothing, even where all are', async () => {
    const out = await compute(() =>
      layers.softmax().apply(
        ops.cast(
          [
            [1, 2, 3],
            [1, 2, 3],
          ],
          'float32',
        ),
        {
          mask: ops.cast(
            [
              [1, 0, 1],
              [0, 0, 0],
            ],
            'bool',
          ),
        },
      ),
    );
    const share = 1 / (1 + Math.exp(2));
    expect(out.at(0, 0)).toBeCloseTo(share, 6);
    expect(out.at(0, 1)).toBe(0);
    expect(out.rows(1).toNested()).toEqual([[0, 0, 0]]);
  });

  test('a mask crosses a functional model', async () => {
    const x = input({ shape: [3, 2] });
    const pooled = layers
      .globalAveragePooling1d()
      .apply(layers.dropout({ rate: 0.5 }).apply(layers.masking().apply(x)));
    const model = functional({ inputs: x, outputs: pooled });
    expect((await model.predict(new NDArray(Float32Array.of(1, 2, 0, 0, 3, 4), [1, 3, 2]))).toNested()).toEqual([
      [2, 3],
    ]);
  });
});

describe('regularization in training', () => {
  const ones = (shape: number[]): NDArray =>
    new NDArray(new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1), shape);
  const drawn = async (layer: Layer, shape: number[]): Promise<NDArray> => {
    const [out] = await trace(({ x }: { x: Tensor }) => [layer.apply(x, { training: true })]).run({ x: ones(shape) });
    return out!;
  };
  const moments = (data: Float32Array): { mean: number; std: number } => {
    const mean = data.reduce((a, b) => a + b, 0) / data.length;
    return { mean, std: Math.sqrt(data.reduce((a, b) => a + (b - mean) ** 2, 0) / data.length) };
  };

  test('spatial dropout drops whole channels', async () => {
    const out = await drawn(layers.spatialDropout2d({ rate: 0.5, seed: 3 }), [20, 4, 5, 8]);
    for (let n = 0; n < 20; n++)
      for (let c = 0; c < 8; c++) {
        const places = Array.from({ length: 20 }, (_, k) => out.at(n, Math.floor(k / 5), k % 5, c));
        expect(new Set(places).size).toBe(1);
      }
    expect([...new Set(out.data)].sort()).toEqual([0, 2]);
    const first = await drawn(
      layers.spatialDropout3d({ rate: 0.5, dataFormat: 'channelsFirst', seed: 3 }),
      [3, 6, 2, 2, 2],
    );
    for (let channel = 0; channel < 18; channel++)
      expect(new Set(first.data.slice(channel * 8, channel * 8 + 8)).size).toBe(1);
  });

  test('gaussian noise and dropout have their deviation, alpha dropout keeps mean and variance', async () => {
    const size = [100, 200];
    // The mean of 20000 draws strays by 3 deviations / √20000 at most, almost always.
    const noise = moments((await drawn(layers.gaussianNoise({ stddev: 0.5, seed: 1 }), size)).data);
    expect(Math.abs(noise.mean - 1)).toBeLessThan((4 * 0.5) / Math.sqrt(20000));
    expect(noise.std).toBeCloseTo(0.5, 1);
    const dropped = moments((await drawn(layers.gaussianDropout({ rate: 0.2, seed: 1 }), size)).data);
    expect(Math.abs(dropped.mean - 1)).toBeLessThan((4 * 0.5) / Math.sqrt(20000));
    expect(dropped.std).toBeCloseTo(0.5, 1);
    const layer = layers.alphaDropout({ rate: 0.3, seed: 1 });
    const alpha = await compute(() => layer.apply(ops.random.normal([100, 400], { seed: 5 }), { training: true }));
    expect(moments(alpha.data).mean).toBeCloseTo(0, 1);
    expect(moments(alpha.data).std).toBeCloseTo(1, 1);
  });
});

describe('merging functions', () => {
  test('take the tensors at once, as keras.layers.add does', async () => {
    const [sum, side, product] = await compute(() => {
      const [a, b] = [ops.cast([[1, 2]], 'float32'), ops.cast([[3, 5]], 'float32')];
      return [layers.add([a, b]), layers.concatenate([a, b], { axis: 0 }), layers.dot([a, b], { axes: 1 })];
    });
    expect(sum!.toNested()).toEqual([[4, 7]]);
    expect(side!.toNested()).toEqual([
      [1, 2],
      [3, 5],
    ]);
    expect(product!.toNested()).toEqual([[13]]);
  });
});

describe('lambda', () => {
  test('calls its function with arguments, and cannot be written', async () => {
    const layer = layers.lambda({
      function: (x: Tensor, { scale }) => ops.multiply(x, scale as number),
      arguments: { scale: 3 },
    });
    expect((await compute(() => layer.apply(ops.cast([1, 2], 'float32')))).toNested()).toEqual([3, 6]);
    expect(() => layer.getConfig()).toThrow(/Make it a class/);
    expect(() => layers.lambda({ function: 'x + 1' as never })).toThrow(/function of tensors/);
  });
});

test('a layer of several outputs gives each its own mask', async () => {
  const has = async (layer: Layer): Promise<boolean[]> => {
    let masks: boolean[] = [];
    await compute(() => {
      const x = layers.masking().apply(ops.cast(steps, 'float32'));
      const outputs = [layer.apply<Tensor | readonly Tensor[]>(x)].flat() as Tensor[];
      masks = outputs.map((output) => output.mask !== undefined);
      return outputs;
    });
    return masks;
  };
  const walk = { units: 2, returnSequences: true };
  expect(await has(layers.lstm({ ...walk, returnState: true }))).toEqual([true, false, false]);
  expect(await has(layers.gru({ units: 2, returnState: true }))).toEqual([false, false]);
  const both = (mergeMode: 'sum' | null, returnState: boolean): Layer =>
    layers.bidirectional({ layer: layers.gru({ ...walk, returnState }), mergeMode });
  expect(await has(both('sum', false))).toEqual([true]);
  expect(await has(both('sum', true))).toEqual([true, false, false]);
  expect(await has(both(null, true))).toEqual([true, true, false, false]);
});
