import { expect, test, vi } from 'vitest';
import { callbacks, functional, input, layers, losses, optimizers, sequential } from '../../lib/index.js';

// Corners where Keras 3.15.1 (TensorFlow) was asked what it does; the numbers are its.

test('a batch of masked steps only has the loss 0 and changes nothing', async () => {
  const model = sequential([
    layers.masking({ inputShape: [2, 1] }),
    layers.dense({ units: 1, kernelInitializer: 'ones' }),
  ]);
  model.compile({ optimizer: 'sgd', loss: 'mse' });
  const x = [
    [[0], [0]],
    [[0], [0]],
  ];
  const y = [
    [[1], [1]],
    [[1], [1]],
  ];
  expect(await model.evaluate(x, y)).toEqual({ loss: 0 });
  await model.fit(x, y, { verbose: 0 });
  expect((await model.getWeights()).map(({ data }) => [...data])).toEqual([[1], [0]]);
});

test('with an initial state, the mask of the input is carried on but not obeyed', async () => {
  const [x, state] = [input({ shape: [2, 1] }), input({ shape: [1] })];
  const ones = { kernelInitializer: 'ones', recurrentInitializer: 'ones' } as const;
  const rnn = layers.simpleRnn({ units: 1, returnSequences: true, ...ones });
  const outputs = rnn.apply(layers.masking().apply(x), { initialState: state });
  const model = functional({ inputs: [x, state], outputs });
  const { data } = await model.predict([[[[0.5], [0]]], [[0.25]]]);
  expect(data[0]).toBeCloseTo(0.63515, 5);
  expect(data[1]).toBeCloseTo(0.56159, 5);
});

test('a loss without reduction is differentiated as its sum and logged as its mean', async () => {
  const model = sequential([layers.dense({ units: 1, kernelInitializer: 'ones', inputShape: [1] })]);
  model.compile({
    optimizer: optimizers.sgd({ learningRate: 0.1 }),
    loss: losses.meanSquaredError({ reduction: 'none' }),
  });
  const { history } = await model.fit([[1], [2]], [[0], [0]], { verbose: 0 });
  expect(history.loss).toEqual([2.5]);
  const [kernel, bias] = await model.getWeights();
  expect(kernel!.data[0]).toBeCloseTo(0, 6);
  expect(bias!.data[0]).toBeCloseTo(-0.6, 6);
});

test('EarlyStopping with a baseline: progress below it resets nothing, but does not stop either', async () => {
  const model = sequential([layers.dense({ units: 1, inputShape: [2] })]);
  model.compile({ optimizer: 'sgd', loss: 'mse' });
  const early = callbacks.earlyStopping({ monitor: 'loss', patience: 2, baseline: 0.5 });
  early.setModel(model as never);
  early.onTrainBegin();
  for (const [epoch, loss] of [1, 0.9, 0.8, 0.7, 0.4].entries()) await early.onEpochEnd(epoch, { loss });
  expect(early.stoppedEpoch).toBe(0);
});

test('a model without weights is measured by fit, with a warning', async () => {
  const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const model = sequential([layers.globalAveragePooling1d({ inputShape: [2, 1] })]);
  model.compile({ optimizer: 'sgd', loss: 'mse' });
  const { history } = await model.fit([[[1], [3]]], [[0]], { verbose: 0 });
  expect(history.loss).toEqual([4]);
  expect(warned.mock.calls.flat().join()).toMatch(/no trainable weights/);
  warned.mockRestore();
});
