import { describe, expect, test } from 'vitest';
import {
  callbacks,
  type Device,
  layers,
  listDevices,
  type Model,
  NDArray,
  releaseDeviceMemory,
  sequential,
  setDeviceMemoryLimit,
  setDtypePolicy,
  setFloat32MatmulPrecision,
  setRandomSeed,
  trace,
} from '../../lib/index.js';
import { native } from '../../lib/native.js';
import { cudaDevice } from '../ops/cuda_device.js';

// Whole models on the first CUDA device (a GPU, or the emulated grid) against the CPU: the same seeds, the same numbers.

setFloat32MatmulPrecision('highest');

const rows = 24;
const wave = (shape: number[]): NDArray => {
  const count = shape.reduce((a, b) => a * b, 1);
  return new NDArray(
    Float32Array.from({ length: count }, (_, i) => Math.sin(i * i)),
    shape,
  );
};
const classes = new NDArray(
  Float32Array.from({ length: rows }, (_, i) => i % 4),
  [rows, 1],
);

const networks: Record<string, { shape: number[]; build: () => Model }> = {
  'convolutions, batch norm, dropout': {
    shape: [9, 8, 2],
    build: () =>
      sequential([
        layers.conv2d({ filters: 5, kernelSize: 3, activation: 'relu', padding: 'same', inputShape: [9, 8, 2] }),
        layers.batchNormalization(),
        layers.maxPooling2d({ poolSize: 2 }),
        layers.depthwiseConv2d({ kernelSize: 2 }),
        layers.flatten(),
        layers.dropout({ rate: 0.4 }),
        layers.dense({ units: 4, activation: 'softmax' }),
      ]),
  },
  'an LSTM and a GRU': {
    shape: [6, 5],
    build: () =>
      sequential([
        layers.lstm({ units: 7, returnSequences: true, inputShape: [6, 5] }),
        layers.gru({ units: 6 }),
        layers.dense({ units: 4, activation: 'softmax' }),
      ]),
  },
  'layer norm and GELU': {
    shape: [20],
    build: () =>
      sequential([
        layers.dense({ units: 33, activation: 'gelu', inputShape: [20] }),
        layers.layerNormalization(),
        layers.dense({ units: 4, activation: 'softmax' }),
      ]),
  },
};

async function trained(build: () => Model, shape: number[], device: Device) {
  setRandomSeed(7);
  const model = build();
  model.compile({ optimizer: 'adam', loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'], device });
  const x = wave([rows, ...shape]);
  const history = await model.fit(x, classes, { epochs: 3, batchSize: 10, verbose: 0 });
  const prediction = await model.predict<NDArray>(x, { batchSize: 7 });
  const weights = await model.getWeights();
  return { model, x, history: history.history, prediction, weights };
}

const close = (got: ArrayLike<number>, want: ArrayLike<number>, bound: number): void => {
  expect(got.length).toBe(want.length);
  for (let i = 0; i < got.length; ++i) expect(Math.abs(got[i]! - want[i]!)).toBeLessThan(bound);
};

describe.skipIf(!cudaDevice)('on a CUDA device', () => {
  // Three epochs of Adam amplify what sums in another order differ by: about 1e-6 a step, at a learning rate of 1e-3.
  const bound = 2e-4;

  test.each(Object.entries(networks))('%s learn as on the CPU', { timeout: 120_000 }, async (_name, network) => {
    const here = await trained(network.build, network.shape, 'cpu');
    const there = await trained(network.build, network.shape, cudaDevice as Device);
    close(there.history.loss!, here.history.loss!, bound);
    expect(there.history.accuracy).toEqual(here.history.accuracy);
    close(there.prediction.data, here.prediction.data, bound);
    for (const [i, weight] of there.weights.entries()) close(weight.data, here.weights[i]!.data, 10 * bound);
  });

  test('two runs give the same bits', { timeout: 120_000 }, async () => {
    const { shape, build } = Object.values(networks)[0]!;
    const first = await trained(build, shape, cudaDevice as Device);
    const second = await trained(build, shape, cudaDevice as Device);
    expect(second.history).toEqual(first.history);
    expect(second.weights.map(({ data }) => data)).toEqual(first.weights.map(({ data }) => data));
  });

  test('weights go from device to device, both ways', async () => {
    const { shape, build } = networks['layer norm and GELU']!;
    const { model, x, prediction, weights } = await trained(build, shape, cudaDevice as Device);
    model.compile({ optimizer: 'sgd', loss: 'sparseCategoricalCrossentropy', device: 'cpu' });
    close((await model.predict<NDArray>(x)).data, prediction.data, 1e-5);
    await model.setWeights(
      weights.map(
        ({ data, shape: dims }) =>
          new NDArray(
            data.map((v) => v / 2),
            dims,
          ),
      ),
    );
    const halved = await model.predict<NDArray>(x);
    model.compile({ optimizer: 'sgd', loss: 'sparseCategoricalCrossentropy', device: cudaDevice as Device });
    close((await model.predict<NDArray>(x)).data, halved.data, 1e-5);
    close(model.predictSync(x.data.subarray(0, 20)), halved.data.subarray(0, 4), 1e-5);
  });

  test('weights stored as bfloat16 are widened there', async () => {
    const { shape, build } = networks['layer norm and GELU']!;
    const { model, x } = await trained(build, shape, 'cpu');
    await model.quantize('bfloat16');
    const here = await model.predict<NDArray>(x);
    model.compile({ device: cudaDevice as Device });
    close((await model.predict<NDArray>(x)).data, here.data, 1e-5);
  });

  test('mixed precision learns as on the CPU, but for numbers that lie between two of bfloat16', async () => {
    const mixed = async (device: Device) => {
      setDtypePolicy('mixedBfloat16');
      try {
        const { shape, build } = networks['layer norm and GELU']!;
        return await trained(build, shape, device);
      } finally {
        setDtypePolicy('float32');
      }
    };
    const [here, there] = [await mixed('cpu'), await mixed(cudaDevice as Device)];
    // Sums in another order may be rounded to the neighbour: by 1/256 of them, here and there.
    close(there.history.loss!, here.history.loss!, 0.01);
    close(there.prediction.data, here.prediction.data, 0.02);
    expect(there.weights.map(({ dtype }) => dtype)).toEqual(here.weights.map(({ dtype }) => dtype));
  });

  test('callbacks see the logs, and a learning rate changed in between counts', async () => {
    const { shape, build } = networks['layer norm and GELU']!;
    const losses = async (device: Device) => {
      setRandomSeed(7);
      const model = build();
      model.compile({ optimizer: 'sgd', loss: 'sparseCategoricalCrossentropy', device });
      const seen: number[] = [];
      const rates = new callbacks.LearningRateScheduler((epoch) => (epoch === 0 ? 0.1 : 0.01));
      const watch = { onEpochEnd: (_epoch: number, logs: { loss: number }) => void seen.push(logs.loss) };
      await model.fit(wave([rows, ...shape]), classes, { epochs: 3, verbose: 0, callbacks: [rates, watch] });
      return seen;
    };
    const there = await losses(cudaDevice as Device);
    expect(there).toHaveLength(3);
    close(there, await losses('cpu'), 1e-4);
  });

  test('an id that no table has is named as on the CPU', async () => {
    const model = sequential([layers.embedding({ inputDim: 5, outputDim: 3, inputShape: [2] }), layers.flatten()]);
    model.compile({ device: cudaDevice as Device });
    const ids = new NDArray(Int32Array.of(0, 1, 4, 9), [2, 2], 'int32');
    await expect(model.predict(ids)).rejects.toThrow(/row 1, column 1 is the id 9/);
    await expect(model.predict(new NDArray(Int32Array.of(0, 4), [1, 2], 'int32'))).resolves.toBeDefined();
  });

  test('class weights and validation: programs with looked up numbers, run in turn', async () => {
    const { shape, build } = networks['layer norm and GELU']!;
    const fitted = async (device: Device) => {
      setRandomSeed(7);
      const model = build();
      model.compile({ optimizer: 'adam', loss: 'sparseCategoricalCrossentropy', device });
      const x = wave([rows, ...shape]);
      const classWeight = { 0: 1, 1: 2, 2: 0.5, 3: 3 };
      const options = { epochs: 3, batchSize: 7, verbose: 0, classWeight, validationSplit: 0.25 } as const;
      const { history } = await model.fit(x, classes, options);
      return [...history.loss!, ...history.val_loss!];
    };
    close(await fitted(cudaDevice as Device), await fitted('cpu'), 1e-4);
  });

  test('an epoch reports the bad id of any of its steps, and the next one is free of it', async () => {
    const graph = new native.Graph();
    const ids = graph.input('ids', 'int32', [-1]);
    const table = graph.constant(Float32Array.of(1, 2, 3, 4), 'float32', [4, 1]);
    const [rowsOf] = graph.op('gather', [table, ids]);
    const [total] = graph.op('reduceSum', [rowsOf!], { axes: [0, 1], keepDims: false });
    const program = graph.compileSync([total!], cudaDevice);
    const epoch = (bad: number) => {
      const data = Int32Array.from({ length: 10 }, (_, i) => (i === bad ? 9 : i % 4));
      const dataset = new native.Dataset([{ data, shape: [10] }], true);
      const options = { batchSize: 4, begin: 0, end: 10, shuffle: false, seed: 0, epoch: 0, firstStep: 0, steps: 3 };
      return program.epoch(dataset, options).promise;
    };
    for (const bad of [1, 6, 9]) {
      await expect(epoch(bad), `row ${bad}`).rejects.toThrow(/is the id 9/);
      await expect(epoch(-1)).resolves.toMatchObject({ steps: 3 });
    }
  });

  test('a limit refuses what does not fit, and the same runs when it is lifted; memory that went back is taken anew', async () => {
    const model = sequential([layers.dense({ units: 64, inputShape: [1 << 14] }), layers.dense({ units: 9 })]); // 4 MiB
    model.compile({ device: cudaDevice as Device });
    const row = wave([1, 1 << 14]);
    const state = async () => (await listDevices()).devices[0]!;
    await trained(networks['layer norm and GELU']!.build, [20], cudaDevice as Device); // the device is in use
    await releaseDeviceMemory();
    setDeviceMemoryLimit((await state()).heldBytes! + (2 << 20));
    try {
      await expect(model.predict(row)).rejects.toMatchObject({ code: 'ERR_CHAINRULE_DEVICE_OOM' });
    } finally {
      setDeviceMemoryLimit(Infinity);
    }
    const first = await model.predict<NDArray>(row);
    const busy = await state();
    expect(busy.usedBytes).toBeGreaterThanOrEqual(4 << 20);
    expect(busy.heldBytes).toBeGreaterThanOrEqual(busy.usedBytes!);
    await releaseDeviceMemory();
    const idle = await state();
    expect(idle.usedBytes).toBeLessThan(busy.usedBytes!); // the arena
    expect((await model.predict<NDArray>(row)).data).toEqual(first.data);
  });

  test('a traced function names its device', async () => {
    const double = trace(({ x }) => x!.mul(2), { device: cudaDevice as Device });
    expect(Array.from((await double.run({ x: [1, 2, 3] })).data)).toEqual([2, 4, 6]);
  });
});

test('a device that is not there is an error that says why', async () => {
  const model = sequential([layers.dense({ units: 1, inputShape: [2] })]);
  expect(() => model.compile({ device: 'gpu' as Device })).toThrow(/use 'auto', 'cpu', 'cuda' or 'cuda:0'/);
  model.compile({ loss: 'meanSquaredError', device: 'cuda:77' });
  await expect(model.fit([[1, 2]], [[1]], { verbose: 0 })).rejects.toThrow(
    cudaDevice
      ? /there is no device "cuda:77", only cuda:0/
      : /device "cuda:77" is not available: .+ Use device: 'cpu' or 'auto'/,
  );
});
