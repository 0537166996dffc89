import { describe, expect, test } from 'vitest';
import { functional, input, layers, NDArray, sequential, setRandomSeed } from '../../lib/index.js';
import { numbers, walk } from './recurrent_reference.js';
import { ref } from './reference.js';

describe('stateful layers', () => {
  const statefulModel = () => {
    setRandomSeed(2);
    const x = input({ batchShape: [2, 3, 2] });
    const layer = layers.lstm({ units: 4, stateful: true, returnSequences: true });
    return { layer, model: functional({ inputs: x, outputs: layer.apply(x) }) };
  };

  test('carry on where the last batch ended, until they are reset', async () => {
    const { layer, model } = statefulModel();
    const long = numbers([2, 6, 2]);
    const part = (from: number): NDArray =>
      new NDArray(
        Float32Array.from({ length: 12 }, (_, i) => long.data[Math.floor(i / 6) * 12 + from * 2 + (i % 6)]!),
        [2, 3, 2],
      );
    const [first, second] = [await model.predict(part(0)), await model.predict(part(3))];
    const weights = (await layer.getWeights()).map((array) => ref(array.data, array.shape));
    const want = walk('lstm', ref(long.data, long.shape), weights)[1]!;
    const at = (n: number, s: number, j: number) => want.data[(n * 6 + s) * 4 + j]!;
    for (const [k, out] of [first, second].entries()) {
      for (const [i, value] of out.data.entries()) {
        const [n, s, j] = [Math.floor(i / 12), Math.floor(i / 4) % 3, i % 4];
        expect(Math.abs(value - at(n, s + 3 * k, j))).toBeLessThan(4e-6);
      }
    }
    await model.resetState();
    expect((await model.predict(part(0))).data).toEqual(first.data);
    await layer.resetState();
    expect((await model.predict(part(0))).data).toEqual(first.data);
    expect(layer.weights).toHaveLength(3);
  });

  test('take whole batches only, and say so', async () => {
    const { model } = statefulModel();
    await expect(model.predict(numbers([3, 3, 2]))).rejects.toThrow(/fixed batch size of 2, but got 3 rows/);
    expect((await model.predict(numbers([4, 3, 2]))).shape).toEqual([4, 3, 4]);
  });

  test('train on batch after batch', async () => {
    const { layer, model } = statefulModel();
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const before = (await layer.getWeights()).map((array) => array.data.slice());
    const { history } = await model.fit(numbers([6, 3, 2]), numbers([6, 3, 4], 9), {
      epochs: 2,
      shuffle: false,
      verbose: 0,
    });
    expect(history.loss!.every(Number.isFinite)).toBe(true);
    for (const [i, array] of (await layer.getWeights()).entries()) expect(array.data).not.toEqual(before[i]);
    // The states of the fit's last batch are where predict goes on.
    const carried = await model.predict(numbers([2, 3, 2]));
    await model.resetState();
    expect((await model.predict(numbers([2, 3, 2]))).data).not.toEqual(carried.data);
  });

  test('need a fixed batch', () => {
    expect(() => layers.gru({ units: 2, stateful: true }).apply(input({ shape: [3, 2] }))).toThrow(
      /stateful, so the batch size must be fixed/,
    );
  });
});

describe('options', () => {
  test('weights: names, shapes and order as in Keras', () => {
    const layer = layers.bidirectional({ layer: layers.gru({ units: 2 }), name: 'both' });
    layer.build([null, 5, 3]);
    expect(layer.weights.map(({ path, shape }) => [path.replace(/_gru(_\d+)?\//, '_gru/'), [...shape]])).toEqual([
      ['both/forward_gru/gru_cell/kernel', [3, 6]],
      ['both/forward_gru/gru_cell/recurrent_kernel', [2, 6]],
      ['both/forward_gru/gru_cell/bias', [2, 6]],
      ['both/backward_gru/gru_cell/kernel', [3, 6]],
      ['both/backward_gru/gru_cell/recurrent_kernel', [2, 6]],
      ['both/backward_gru/gru_cell/bias', [2, 6]],
    ]);
  });

  test('the two directions start with different weights', async () => {
    const layer = layers.bidirectional({ layer: layers.lstm({ units: 2 }) });
    layer.build([null, 3, 2]);
    const [kernel, , , backward] = await layer.getWeights();
    expect(kernel!.data).not.toEqual(backward!.data);
  });

  test('weights given to bidirectional are its first ones, and no other', async () => {
    const weights = [[3, 2], [2, 2], [2], [3, 2], [2, 2], [2]].map((shape, i) => numbers(shape, i));
    const make = () => layers.bidirectional({ layer: layers.simpleRnn({ units: 2 }), weights });
    const layer = make();
    layer.build([null, 4, 3]);
    for (const [i, array] of (await layer.getWeights()).entries()) expect(array.data).toEqual(weights[i]!.data);
    weights.pop();
    expect(() => make().build([null, 4, 3])).toThrow(/weights must hold 6 arrays, got 5/);
  });

  test('the forget gate starts with a bias of one', async () => {
    const layer = layers.lstm({ units: 2 });
    layer.build([null, 3, 1]);
    expect(Array.from((await layer.getWeights())[2]!.data)).toEqual([0, 0, 1, 1, 0, 0, 0, 0]);
  });

  test('configs have the keys of Keras', () => {
    const walkKeys = ['return_sequences', 'return_state', 'go_backwards', 'stateful', 'unroll', 'zero_output_for_mask'];
    const cellKeys = ['units', 'activation', 'use_bias', 'dropout', 'recurrent_dropout'].concat(
      ['kernel', 'recurrent', 'bias'].flatMap((which) => [
        `${which}_initializer`,
        `${which}_regularizer`,
        `${which}_constraint`,
      ]),
    );
    const own = { name: 1, trainable: 1 };
    const keys = (layer: { getConfig(): object }) =>
      Object.keys({ ...layer.getConfig(), ...own })
        .filter((key) => key !== 'dtype')
        .sort();
    const expected = (...more: string[]) => [...new Set([...Object.keys(own), ...more])].sort();
    const units = { units: 2 };
    expect(keys(layers.simpleRnn(units))).toEqual(expected(...walkKeys, ...cellKeys, 'activity_regularizer'));
    expect(keys(layers.lstm(units))).toEqual(
      expected(...walkKeys, ...cellKeys, 'activity_regularizer', 'seed', 'recurrent_activation', 'unit_forget_bias'),
    );
    expect(keys(layers.gru(units))).toEqual(
      expected(...walkKeys, ...cellKeys, 'activity_regularizer', 'seed', 'recurrent_activation', 'reset_after'),
    );
    expect(keys(layers.lstmCell(units))).toEqual(
      expected(...cellKeys, 'seed', 'recurrent_activation', 'unit_forget_bias'),
    );
    expect(keys(layers.rnn({ cell: layers.gruCell(units) }))).toEqual(expected(...walkKeys, 'cell'));
    expect(keys(layers.bidirectional({ layer: layers.lstm(units) }))).toEqual(
      expected('layer', 'backward_layer', 'merge_mode'),
    );
    expect(keys(layers.timeDistributed({ layer: layers.dense(units) }))).toEqual(expected('layer'));
  });

  test('mistakes are named', () => {
    expect(() => layers.bidirectional({ layer: layers.dense({ units: 2 }) })).toThrow(/must be a recurrent layer/);
    expect(() =>
      layers.bidirectional({ layer: layers.lstm({ units: 2 }), backwardLayer: layers.lstm({ units: 2 }) }),
    ).toThrow(/different goBackwards/);
    expect(() => layers.rnn({ cell: layers.dense({ units: 2 }) })).toThrow(/must be an RNNCell/);
    expect(() => layers.lstm({ units: 2 }).apply(input({ shape: [4] }))).toThrow(
      /expects 3 dimensions.*Sequences are \[N, steps, features\]/,
    );
    const [x, h] = [input({ shape: [4, 2] }), input({ shape: [2] })];
    expect(() => layers.lstm({ units: 2 }).apply(x, { initialState: h })).toThrow(
      /initialState must be 2 tensors, got 1/,
    );
  });
});

test('an LSTM learns to tell which sequences contain a peak', async () => {
  setRandomSeed(1);
  const model = sequential([
    layers.lstm({ units: 8, inputShape: [6, 1] }),
    layers.dense({ units: 1, activation: 'sigmoid' }),
  ]);
  model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy' });
  model.optimizer.learningRate = 0.03;
  const x = new Float32Array(64 * 6);
  const y = new Float32Array(64);
  for (let n = 0; n < 64; n++) {
    y[n] = n % 2;
    if (n % 2) x[n * 6 + (n % 6)] = 1;
  }
  const { history } = await model.fit(new NDArray(x, [64, 6, 1]), new NDArray(y, [64, 1]), { epochs: 60, verbose: 0 });
  expect(history.loss!.at(-1)!).toBeLessThan(0.1);
});
