import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { layers, loadModel, sequential } from '../../lib/index.js';
import { array, writeLegacy } from './files.js';

// Files of Keras 1 and 2, made by hand: the forms that their JSON has, each with numbers that can be checked in the head.
const folder = mkdtempSync(join(tmpdir(), 'chainrule-legacy-'));
let files = 0;
const fresh = (): string => join(folder, `${files++}.h5`);
afterAll(() => rmSync(folder, { recursive: true }));

/** A layer of Keras 2: no module. */
const old = (class_name: string, config: object): object => ({ class_name, config });
const dense = (name: string, units: number, more: object = {}): object =>
  old('Dense', {
    name,
    units,
    trainable: true,
    dtype: 'float32',
    activation: 'linear',
    use_bias: true,
    kernel_initializer: { class_name: 'GlorotUniform', config: { seed: null } },
    bias_initializer: { class_name: 'Zeros', config: {} },
    kernel_regularizer: null,
    ...more,
  });
const weights = (name: string, shape: [number, number], kernel: number[], bias: number[]) => ({
  [`${name}/kernel:0`]: array(shape, kernel),
  [`${name}/bias:0`]: array([shape[1]], bias),
});
const one = { one: weights('one', [2, 2], [1, 2, 3, 4], [0, 1]) };

describe('legacy .h5 models', () => {
  test('a stack with batch_input_shape in its first layer', async () => {
    const path = fresh();
    const first = dense('one', 2, { batch_input_shape: [null, 2] });
    await writeLegacy(path, old('Sequential', { name: 'stack', layers: [first] }), one);
    const model = await loadModel(path);
    expect(Array.from((await model.predict([[1, 1]])).data)).toEqual([4, 7]);
    expect(model.name).toBe('stack');
  });

  test('Keras 1: the bare list of layers', async () => {
    const path = fresh();
    await writeLegacy(path, old('Sequential', [dense('one', 2, { batch_input_shape: [null, 2] })] as object), one);
    expect(Array.from((await (await loadModel(path)).predict([[1, 1]])).data)).toEqual([4, 7]);
  });

  const inputLayer = (name: string): object => ({
    ...old('InputLayer', { batch_input_shape: [null, 2], dtype: 'float32', sparse: false, ragged: false, name }),
    name,
    inbound_nodes: [],
  });

  test('a graph whose calls are lists, with a shared layer and named arguments', async () => {
    const path = fresh();
    const shared = { ...dense('one', 2), name: 'one', inbound_nodes: [[['a', 0, 0, {}]], [['b', 0, 0, {}]]] };
    const sum = {
      ...old('Add', { name: 'sum', trainable: true, dtype: 'float32' }),
      name: 'sum',
      inbound_nodes: [
        [
          ['one', 0, 0, {}],
          ['one', 1, 0, {}],
        ],
      ],
    };
    const config = {
      name: 'graph',
      layers: [inputLayer('a'), inputLayer('b'), shared, sum],
      input_layers: [
        ['a', 0, 0],
        ['b', 0, 0],
      ],
      output_layers: [['sum', 0, 0]],
    };
    await writeLegacy(path, old('Functional', config), one);
    const model = await loadModel(path);
    const result = await model.predict([[[1, 1]], [[1, 0]]] as never);
    expect(Array.from(result.data)).toEqual([5, 10]);
  });

  test('a nested model, whose own definition counts as its first call', async () => {
    const inner = {
      name: 'inner',
      layers: [inputLayer('p'), { ...dense('one', 2), name: 'one', inbound_nodes: [[['p', 0, 0, {}]]] }],
      input_layers: [['p', 0, 0]],
      output_layers: [['one', 0, 0]],
    };
    const config = {
      name: 'outer',
      layers: [
        inputLayer('a'),
        { ...old('Functional', inner), name: 'inner', inbound_nodes: [[['a', 0, 0, {}]]] },
        {
          ...old('Activation', { name: 'act', activation: 'relu' }),
          name: 'act',
          inbound_nodes: [[['inner', 1, 0, {}]]],
        },
      ],
      input_layers: [['a', 0, 0]],
      output_layers: [['act', 0, 0]],
    };
    const path = fresh();
    await writeLegacy(path, old('Model', config), { inner: one.one });
    expect(Array.from((await (await loadModel(path)).predict([[1, -1]])).data)).toEqual([0, 0]);
  });

  test('keys that mean nothing any more, and those that got another name', async () => {
    const path = fresh();
    const config = {
      name: 'stack',
      layers: [
        old('InputLayer', { batch_input_shape: [null, 2], dtype: 'float32', name: 'in' }),
        old('LeakyReLU', { name: 'leaky', alpha: 0.5 }),
        old('BatchNormalization', {
          name: 'norm',
          axis: [1],
          momentum: 0.9,
          epsilon: 0,
          virtual_batch_size: null,
          fused: true,
        }),
      ],
    };
    await writeLegacy(path, old('Sequential', config), {
      norm: {
        'norm/gamma:0': array([2], [2, 2]),
        'norm/beta:0': array([2], [1, 1]),
        'norm/moving_mean:0': array([2], [0, 0]),
        'norm/moving_variance:0': array([2], [1, 4]),
      },
    });
    expect(Array.from((await (await loadModel(path)).predict([[-2, 4]])).data)).toEqual([-1, 5]);
  });

  const stack = old('Sequential', { name: 'stack', layers: [dense('one', 2, { batch_input_shape: [null, 2] })] });

  test.each([
    [{ class_name: 'SGD', config: { name: 'SGD', lr: 0.25, decay: 0, momentum: 0, nesterov: false } }, 'SGD', 0.25],
    [
      { class_name: 'Adam', config: { name: 'Adam', learning_rate: 0.5, decay: 0, beta_1: 0.8, epsilon: 1e-7 } },
      'Adam',
      0.5,
    ],
    [
      {
        class_name: 'Custom>RMSprop',
        config: { name: 'r', learning_rate: 0.125, jit_compile: true, is_legacy_optimizer: false },
      },
      'RMSprop',
      0.125,
    ],
  ])('the optimizer of a training_config: %j', async (optimizer_config, className, rate) => {
    const path = fresh();
    const training = {
      optimizer_config,
      loss: { class_name: 'MeanSquaredError', config: { reduction: 'auto', name: 'mean_squared_error' } },
      metrics: [
        [{ class_name: 'MeanMetricWrapper', config: { name: 'mae', dtype: 'float32', fn: 'mean_absolute_error' } }],
      ],
      weighted_metrics: null,
      loss_weights: null,
    };
    await writeLegacy(path, stack, one, { training });
    const model = await loadModel(path);
    expect(model.optimizer.className).toBe(className);
    expect(model.optimizer.learningRate).toBe(rate);
    expect(await model.evaluate([[1, 1]], [[4, 5]], { verbose: 0 })).toMatchObject({ loss: 2 });
  });

  test('the state of an old optimizer is left out with a warning', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const path = fresh();
    const training = { optimizer_config: { class_name: 'Adam', config: { lr: 0.5 } }, loss: 'mse', metrics: [] };
    await writeLegacy(path, stack, one, { training, optimizer: { 'Adam/m:0': array([2, 2], [1, 1, 1, 1]) } });
    await loadModel(path);
    expect(warn).toHaveBeenCalledWith(expect.stringMatching(/old Keras is not taken over/), 'ChainruleWarning');
    warn.mockRestore();
  });

  test('weights load into a model of ours by name or by order', async () => {
    const path = fresh();
    await writeLegacy(path, stack, one);
    const model = sequential([layers.dense({ units: 2, inputShape: [2] })]);
    await model.loadWeights(path);
    expect(Array.from((await model.predict([[1, 1]])).data)).toEqual([4, 7]);
    const other = sequential([layers.dense({ units: 3, inputShape: [2] })]);
    await expect(other.loadWeights(path)).rejects.toThrow(/has shape \[2, 2\]/);
  });
});
