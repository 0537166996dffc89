import { expect, test, vi } from 'vitest';
import {
  type Batch,
  callbacks,
  functional,
  input,
  Layer,
  layers,
  losses,
  Model,
  ops,
  optimizers,
  type StepContext,
  sequential,
  type Tensor,
} from '../../lib/index.js';

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

test('targets of several outputs may be a list of typed arrays', async () => {
  const a = input({ shape: [2] });
  const model = functional({
    inputs: a,
    outputs: [layers.dense({ units: 1 }).apply(a), layers.dense({ units: 3, activation: 'softmax' }).apply(a)],
  });
  model.compile({ optimizer: 'adam', loss: ['mse', 'sparseCategoricalCrossentropy'] });
  const x = [0, 1, 2, 3].map((i) => [i, 1]);
  const { history } = await model.fit(x, [new Float32Array(4), Int32Array.of(0, 1, 2, 0)], { verbose: 0 });
  expect(Number.isFinite(history.loss![0])).toBe(true);
});

test('binary cross-entropy refuses targets of another shape', async () => {
  const model = sequential([layers.dense({ units: 1, activation: 'sigmoid', inputShape: [2] })]);
  model.compile({ loss: 'binaryCrossentropy' });
  await expect(model.fit([[1, 2]], [[0, 1]], { verbose: 0 })).rejects.toThrow(/must have one shape/);
});

test('fit without a loss, or with a callback class, says so', async () => {
  const model = sequential([layers.dense({ units: 1, inputShape: [2] })]);
  model.compile({ optimizer: 'adam' });
  await expect(model.fit([[1, 2]], [[0]], { verbose: 0 })).rejects.toThrow(/no loss to minimise/);
  const wrong = { verbose: 0, callbacks: [callbacks.EarlyStopping as never] } as const;
  await expect(model.fit([[1, 2]], [[0]], wrong)).rejects.toThrow(/got a function/);
});

test('a model with a trainStep alone can be fitted', async () => {
  class Critic extends Model {
    critic = layers.dense({ units: 1, inputShape: [2] });
    override trainStep({ x }: Batch, step: StepContext): Record<string, Tensor> {
      if (!this.critic.built) this.critic.build([null, 2]);
      const loss = step.minimize(
        () => ops.mean(ops.square(this.critic.apply(x as Tensor))),
        undefined,
        this.critic.trainableWeights,
      );
      return { critic: loss };
    }
  }
  const model = new Critic();
  model.compile({ optimizer: 'sgd' });
  const { history } = await model.fit([[1, 2]], undefined, { verbose: 0 });
  expect(history.critic).toHaveLength(1);
});

test('what a layer adds to the loss counts in training and evaluation', async () => {
  class Penalty extends Layer {
    override call(x: Tensor): Tensor {
      this.addLoss(ops.square(x));
      return x;
    }
  }
  const model = sequential([layers.dense({ units: 1, kernelInitializer: 'ones', inputShape: [1] }), new Penalty()]);
  model.compile({ optimizer: optimizers.sgd({ learningRate: 0.1 }), loss: 'mse' });
  const [x, y] = [
    [[1], [2]],
    [[1], [2]],
  ];
  // No error, and a penalty of 1 + 4.
  expect(await model.evaluate(x, y)).toEqual({ loss: 5 });
  await model.fit(x, y, { verbose: 0 });
  // d/dw (w² + 4 w²) = 10 at w = 1.
  expect((await model.getWeights())[0]!.data[0]).toBeCloseTo(0, 6);
});
