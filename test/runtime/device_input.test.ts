import { describe, expect, test } from 'vitest';
import { Executable } from '../../lib/graph/executable.js';
import { Trace } from '../../lib/graph/trace.js';
import {
  type Device,
  functional,
  layers,
  type Model,
  NDArray,
  setFloat32MatmulPrecision,
  setRandomSeed,
} from '../../lib/index.js';
import { type EpochOptions, native } from '../../lib/native.js';
import { type AnyArray, bound } from '../../lib/ndarray.js';
import * as ops from '../../lib/ops/index.js';
import { cudaDevice } from '../ops/cuda_device.js';
import { fakeGpu, prelude, runScript, stateFile } from './fake_driver.js';

// How batches reach a device: gathered there from a dataset that is kept on it, or sent one by one beside the steps. The rows
// are those of the CPU, bit for bit.

setFloat32MatmulPrecision('highest');

const rows = 23;
const numbers = (count: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(i * i));

describe.skipIf(!cudaDevice)('batches on a device', () => {
  /** A program that gives back what it was fed. */
  async function echo(arrays: readonly AnyArray[], device: Device): Promise<Executable> {
    const trace = new Trace(device);
    const outputs = trace.run(() =>
      arrays.map((array, i) =>
        ops.add(ops.cast(trace.input(`x${i}`, array.dtype, [-1, ...array.shape.slice(1)]), 'float32'), 1),
      ),
    );
    return Executable.compile(trace, outputs);
  }

  const columns = (width: number): AnyArray[] => [
    new NDArray(numbers(rows * width), [rows, width]),
    new NDArray(
      Int32Array.from({ length: rows * 3 }, (_, i) => i * 7 - 11),
      [rows, 3],
    ),
    new NDArray(
      Uint8Array.from({ length: rows * 5 }, (_, i) => i * 13),
      [rows, 5],
      'uint8',
    ),
    new NDArray(
      Uint8Array.from({ length: rows * 32 }, (_, i) => i),
      [rows, 4, 8],
      'uint8',
    ),
    new NDArray(numbers(rows), [rows]),
  ];
  const whole: EpochOptions = {
    batchSize: 8,
    begin: 0,
    end: rows,
    shuffle: true,
    seed: 5,
    epoch: 1,
    firstStep: 0,
    steps: 3,
    collect: true,
  };

  // 9,000 floats a row: the inputs of a batch go over beside the steps; 12: as a part of them.
  test.each([
    [12, 'all rows in another order, the last batch smaller', {}],
    [9000, 'all rows in another order, the last batch smaller', {}],
    [12, 'in order', { shuffle: false }],
    [9000, 'in order', { shuffle: false }],
    [12, 'a part of the rows, from the second step on', { begin: 4, end: 22, firstStep: 1, steps: 2 }],
    [9000, 'a part of the rows, in order', { begin: 4, end: 22, firstStep: 1, steps: 2, shuffle: false }],
  ])('rows of %i floats: %s', async (width, _, part) => {
    const arrays = columns(width);
    const dataset = () => new native.Dataset(arrays.map(bound), false);
    const options = { ...whole, ...part };
    const expected = (await (await echo(arrays, 'cpu')).epoch(dataset(), options)).outputs;
    const there = await echo(arrays, cudaDevice as Device);
    const kept = dataset();
    const seen: Record<string, { outputs: readonly NDArray[] }> = {
      sent: await there.epoch(dataset(), options),
      kept: await there.epoch(kept, { ...options, again: true }),
      'another dataset of the same size': await there.epoch(dataset(), { ...options, again: true }),
    };
    for (const { data } of arrays) data.fill(1); // nobody looks there any more
    seen['kept from before'] = await there.epoch(kept, options);
    for (const [name, { outputs }] of Object.entries(seen)) {
      outputs.forEach((output, i) => {
        expect(output.shape, name).toEqual(expected[i]!.shape);
        expect(output.data, `${name}, ${i}`).toEqual(expected[i]!.data);
      });
    }
  });

  test('a dataset goes over in pieces', async () => {
    const many = 800; // 28.8 MB; the pieces are smaller
    const array = new NDArray(numbers(many * 9000), [many, 9000]);
    const labels = new NDArray(
      Int32Array.from({ length: many }, (_, i) => i),
      [many],
    );
    const there = await echo([array, labels], cudaDevice as Device);
    const dataset = new native.Dataset([array, labels].map(bound), false);
    for (const begin of [0, 233, 466, 798]) {
      const options = { ...whole, batchSize: 2, begin, end: begin + 2, steps: 1, shuffle: false, again: true };
      const { outputs } = await there.epoch(dataset, options);
      expect(outputs[0]!.data).toEqual(array.data.slice(begin * 9000, (begin + 2) * 9000).map((x) => x + 1));
      expect([...outputs[1]!.data]).toEqual([begin + 1, begin + 2]);
    }
  });

  test('a predict that is stopped leaves nothing behind that writes into its results', async () => {
    const many = 800;
    const array = new NDArray(numbers(many * 9000), [many, 9000]);
    const there = await echo([array], cudaDevice as Device);
    const options = { ...whole, batchSize: 1, end: many, steps: many, shuffle: false };
    const dataset = new native.Dataset([bound(array)], false);
    const stop = new AbortController();
    const stopped = there.epoch(dataset, { ...options, onProgress: () => stop.abort() }, stop.signal);
    await expect(stopped).rejects.toThrow(/abort/);
    const { outputs } = await there.epoch(dataset, { ...options, batchSize: 2, end: 8, steps: 4 });
    expect(outputs[0]!.data).toEqual(array.data.slice(0, 8 * 9000).map((x) => x + 1));
  });

  /** Two inputs, two outputs, weights of samples, rows held back for validation. */
  async function train(device: Device, options: object, epochs: number, fits = 1) {
    setRandomSeed(3);
    const [a, b] = [layers.input({ shape: [6] }), layers.input({ shape: [2, 3], dtype: 'uint8' })];
    const flat = layers.rescaling({ scale: 1 / 255 }).apply(layers.flatten().apply(b));
    const joined = layers.concatenate().apply([layers.dropout({ rate: 0.2 }).apply(a), flat]);
    const hidden = layers.dense({ units: 7, activation: 'tanh' }).apply(joined);
    const outputs = [
      layers.dense({ units: 3, activation: 'softmax', name: 'kind' }).apply(hidden),
      layers.dense({ units: 1, name: 'size' }).apply(hidden),
    ];
    const model: Model = functional({ inputs: [a, b], outputs });
    model.compile({ optimizer: 'adam', loss: ['sparseCategoricalCrossentropy', 'meanSquaredError'], device });
    const x = [
      new NDArray(numbers(rows * 6), [rows, 6]),
      new NDArray(
        Uint8Array.from({ length: rows * 6 }, (_, i) => i * 29),
        [rows, 2, 3],
        'uint8',
      ),
    ];
    const y = [
      new NDArray(
        Int32Array.from({ length: rows }, (_, i) => i % 3),
        [rows],
      ),
      new NDArray(numbers(rows), [rows, 1]),
    ];
    let history: Record<string, (number | undefined)[]> = {};
    for (let i = 0; i < fits; i++)
      ({ history } = await model.fit(x, y, { batchSize: 4, epochs, verbose: 0, ...options }));
    const weights = (await model.getWeights()) as readonly NDArray[];
    return { history, numbers: weights.flatMap((weight) => [...weight.data]) };
  }

  const weights = Float32Array.from({ length: rows }, (_, i) => (i % 4) / 2);
  test.each([
    ['shuffled', {}],
    ['in order, with weights of samples', { shuffle: false, sampleWeight: weights }],
    ['rows held back for validation', { validationSplit: 0.3, sampleWeight: weights }],
    ['a part of each epoch', { stepsPerEpoch: 3, validationSplit: 0.3 }],
  ])('fit over several epochs: %s', async (_, options) => {
    const [here, there] = [await train('cpu', options, 3), await train(cudaDevice as Device, options, 3)];
    for (const [name, values] of Object.entries(here.history)) {
      values.forEach((value, i) => {
        expect(there.history[name]![i], `${name} ${i}`).toBeCloseTo(value!, 5);
      });
    }
    expect(there.numbers.length).toBe(here.numbers.length);
    here.numbers.forEach((value, i) => {
      expect(there.numbers[i]).toBeCloseTo(value, 4);
    });
  });

  test('data that are kept over the epochs of a fit give the bits of data that are sent in each', async () => {
    const options = { shuffle: false, sampleWeight: weights };
    const [kept, sent] = [
      await train(cudaDevice as Device, options, 3),
      await train(cudaDevice as Device, options, 1, 3),
    ];
    expect(kept.numbers).toEqual(sent.numbers);
  });
});

const folder = fakeGpu('batches on a GPU');

// The fake driver's copies happen as late as on the slowest GPU: what is overwritten too early would be seen.
test.skipIf(!folder)('two batches in flight: nothing is overwritten before it went over or came back', () => {
  const seen = runScript<{ wrong: number; misuses: number }>(
    `${prelude}
    main(async () => {
      const input = cr.input({ shape: [9000] });
      const model = cr.functional({ inputs: input, outputs: cr.layers.reshape({ targetShape: [90, 100] }).apply(input) });
      model.compile({ optimizer: 'sgd', loss: 'mse', device: 'cuda' });
      const rows = 50;
      const data = new cr.NDArray(Float32Array.from({ length: rows * 9000 }, (_, i) => i), [rows, 9000]);
      const out = await model.predict(data, { batchSize: 8 });
      return { wrong: out.data.findIndex((value, i) => value !== i), misuses: state().misuses };
    });`,
    folder,
    { FAKE_CUDA_STATE: stateFile(), CHAINRULE_DEVICE: 'cuda' },
  );
  expect(seen).toEqual({ wrong: -1, misuses: 0 });
});
