import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  Layer,
  Loss,
  layers,
  loadModel,
  Metric,
  ops,
  optimizers,
  registerClass,
  sequential,
  type Tensor,
  type Variable,
} from '../../lib/index.js';
import { array, group, writeKeras } from './files.js';

const folder = mkdtempSync(join(tmpdir(), 'chainrule-load-'));
let files = 0;
const fresh = (ending = 'keras'): string => join(folder, `${files++}.${ending}`);
afterAll(() => rmSync(folder, { recursive: true }));

/** Keras's four keys. */
const keras = (class_name: string, config: object, module = 'keras.layers'): Record<string, unknown> => ({
  module,
  class_name,
  config,
  registered_name: null,
});
const inputLayer = (shape: number[]): object => keras('InputLayer', { batch_shape: [null, ...shape], name: 'in' });
const dense = (units: number, more: object = {}): object => keras('Dense', { name: 'd', units, ...more });
const stack = (...inner: object[]): object =>
  keras('Sequential', { name: 's', layers: [inputLayer([2]), ...inner] }, 'keras');
const denseWeights = (kernel: number[] = [1, 2, 3, 4], bias: number[] = [0, 1]) =>
  group({
    layers: group({ dense: group({ vars: group({ '0': array([2, 2], kernel), '1': array([2], bias) }) }) }),
  });

describe('loadModel', () => {
  test('a file of Keras 3', async () => {
    const path = fresh();
    await writeKeras(path, stack(dense(2)), denseWeights());
    const model = await loadModel(path);
    expect(Array.from((await model.predict([[1, 1]])).data)).toEqual([4, 7]);
    expect(model.name).toBe('s');
    expect(model.layers[0]!.name).toBe('d');
  });

  test('what compile was called with comes back, unless compile is false', async () => {
    const path = fresh();
    const compile_config = {
      optimizer: keras('Adam', { name: 'adam', learning_rate: 0.25 }, 'keras.optimizers'),
      loss: 'mean_squared_error',
      metrics: ['mae'],
      weighted_metrics: null,
      loss_weights: null,
      run_eagerly: false,
      steps_per_execution: 1,
      jit_compile: false,
    };
    await writeKeras(path, { ...stack(dense(2)), compile_config }, denseWeights());
    const model = await loadModel(path);
    expect(model.optimizer.learningRate).toBe(0.25);
    const logs = await model.evaluate([[1, 1]], [[4, 5]], { verbose: 0 });
    expect(logs).toMatchObject({ loss: 2, mae: 1 });
    expect(() => model.optimizer).not.toThrow();
    const bare = await loadModel(path, { compile: false });
    expect(() => bare.optimizer).toThrow(/not compiled/);
  });

  test.each(['Nadam', 'Adam', 'SGD', 'Ftrl'])('compiled with %s and not trained', async (name) => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const path = fresh();
    const compile_config = { optimizer: { class_name: name, config: {} }, loss: 'mse' };
    // As Keras does: the counter and the learning rate.
    const vars = { '0': { kind: 'int32', shape: [], read: () => Int32Array.of(0) }, '1': array([], [0.5]) } as const;
    const weights = group({ ...Object.fromEntries(denseWeights().members), optimizer: group({ vars: group(vars) }) });
    await writeKeras(path, { ...stack(dense(2)), compile_config }, weights);
    const model = await loadModel(path);
    expect(model.optimizer.learningRate).toBe(0.5);
    expect(model.optimizer.variables.map((variable) => variable.name)).toEqual(['iteration', 'learning_rate']);
    expect(warned).not.toHaveBeenCalled();
    warned.mockRestore();
  });

  test.each([
    [
      'too few weights',
      group({ layers: group({ dense: group({ vars: group({ '0': array([2, 2], [1, 2, 3, 4]) }) }) }) }),
      /2 weights of its own, the file has 1/,
    ],
    ['none at all', group(), /nothing stands at|weights/],
    [
      'another shape',
      group({
        layers: group({
          dense: group({ vars: group({ '0': array([2, 3], [1, 2, 3, 4, 5, 6]), '1': array([2], [0, 0]) }) }),
        }),
      }),
      /has shape \[2, 3\], .* has \[2, 2\]/,
    ],
    [
      'a layer too many',
      group({ ...Object.fromEntries(denseWeights().members), extra: group({ vars: group({ '0': array([1], [1]) }) }) }),
      /it holds "extra\/vars/,
    ],
  ])('weights that do not fit: %s', async (_, weights, message) => {
    const path = fresh();
    await writeKeras(path, stack(dense(2)), weights);
    await expect(loadModel(path)).rejects.toMatchObject({
      code: 'ERR_CHAINRULE_FORMAT',
      message: expect.stringMatching(message),
    });
  });

  test('an unknown layer, an unknown option and a file that is none', async () => {
    const path = fresh();
    await writeKeras(path, stack(keras('FancyAttention', { name: 'f' })), group());
    await expect(loadModel(path)).rejects.toMatchObject({
      code: 'ERR_CHAINRULE_UNKNOWN_CLASS',
      message: expect.stringMatching(/FancyAttention.*Layers that are supported/s),
    });
    await writeKeras(path, stack(dense(2, { sparkle: 7 })), denseWeights());
    await expect(loadModel(path)).rejects.toThrow(/option sparkle = 7 of Dense "d"/);
    writeFileSync(path, 'hello, this is no model');
    await expect(loadModel(path)).rejects.toMatchObject({ code: 'ERR_CHAINRULE_FORMAT' });
    await expect(loadModel(join(folder, 'none.keras'))).rejects.toMatchObject({ code: 'ERR_CHAINRULE_IO' });
    await expect(loadModel('')).rejects.toMatchObject({ code: 'ERR_CHAINRULE_OPTION' });
  });

  test('an abort rejects with its reason', async () => {
    const path = fresh();
    await sequential([layers.dense({ units: 300, inputShape: [300] })]).save(path);
    const reason = new Error('enough');
    await expect(loadModel(path, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const loading = loadModel(path, { signal: controller.signal });
    controller.abort(reason);
    await expect(loading).rejects.toBe(reason);
  });
});

class Scale extends Layer {
  static override readonly options = { factor: 'value' } as const;
  readonly factor: number;
  weight!: Variable;

  constructor(options: { factor?: number; name?: string } = {}) {
    super(options);
    this.factor = options.factor ?? 1;
  }

  override build(): void {
    this.weight = this.addWeight('weight', [1], { initializer: 'ones' });
  }

  override call(inputs: Tensor): Tensor {
    return ops.multiply(ops.multiply(inputs, this.weight), this.factor);
  }
}

class Gap extends Loss {
  override call(yTrue: Tensor, yPred: Tensor): Tensor {
    return ops.mean(ops.abs(ops.subtract(yTrue, yPred)), { axis: -1 });
  }
}

class Largest extends Metric {
  readonly #top = this.addState('top');
  override updateState(_: Tensor, yPred: Tensor): void {
    this.#top.assign(ops.maximum(this.#top.read(), ops.max(yPred)));
  }
  override result(): Tensor {
    return this.#top.read();
  }
}

describe('classes of the program', () => {
  beforeAll(() => {
    registerClass(Scale, { package: 'load' });
    registerClass(Gap, { package: 'load' });
    registerClass(Largest, { package: 'load' });
  });
  const scale = {
    module: 'my_package',
    class_name: 'Scale',
    registered_name: 'load>Scale',
    config: { name: 'k', factor: 3 },
  };
  const scaleWeights = group({ layers: group({ scale: group({ vars: group({ '0': array([1], [2]) }) }) }) });

  test('a registered layer is found by its registered name', async () => {
    const path = fresh();
    await writeKeras(path, stack(scale), scaleWeights);
    const model = await loadModel(path);
    expect(model.layers[0]).toBeInstanceOf(Scale);
    expect(Array.from((await model.predict([[1, 10]])).data)).toEqual([6, 60]);
  });

  test('customObjects know a class for one file only', async () => {
    const path = fresh();
    class Other extends Scale {}
    await writeKeras(
      path,
      stack({ ...scale, class_name: 'Other', registered_name: 'x>Other' }),
      group({ layers: group({ other: group({ vars: group({ '0': array([1], [2]) }) }) }) }),
    );
    expect((await loadModel(path, { customObjects: { Other } })).layers[0]).toBeInstanceOf(Other);
    await expect(loadModel(path)).rejects.toMatchObject({ code: 'ERR_CHAINRULE_UNKNOWN_CLASS' });
  });

  test('losses, metrics and functions of the program come back by name', async () => {
    const model = sequential([layers.dense({ units: 2, inputShape: [2] })]);
    const farthest = (yTrue: Tensor, yPred: Tensor): Tensor => ops.max(ops.subtract(yTrue, yPred), { axis: -1 });
    model.compile({ optimizer: optimizers.sgd(), loss: new Gap(), metrics: [new Largest(), farthest] });
    const data: [number[][], number[][]] = [[[1, 2]], [[3, 4]]];
    await model.fit(...data, { verbose: 0 });
    const path = fresh();
    await model.save(path);
    const loaded = await loadModel(path, { customObjects: { farthest } });
    expect(await loaded.evaluate(...data, { verbose: 0 })).toEqual(await model.evaluate(...data, { verbose: 0 }));
    await expect(loadModel(path)).rejects.toThrow(/function "farthest"/);
  });

  test('two classes cannot have one name', () => {
    expect(() =>
      registerClass(
        class Scale extends Layer {
          override call(x: Tensor) {
            return x;
          }
        },
        { package: 'load' },
      ),
    ).toThrow(/another class is registered as "load>Scale"/);
    expect(registerClass(Scale, { package: 'load' })).toBe(Scale);
  });
});

describe('hostile descriptions', () => {
  const refused = async (config: unknown, code: string, message: RegExp): Promise<void> => {
    const path = fresh();
    await writeKeras(path, config, denseWeights());
    const before = performance.now();
    await expect(loadModel(path)).rejects.toMatchObject({
      code: `ERR_CHAINRULE_${code}`,
      message: expect.stringMatching(message),
    });
    expect(performance.now() - before).toBeLessThan(1000);
  };
  const lambda = { class_name: '__lambda__', config: { value: '4wEAAAAAAAAAAAAAAA==' } };

  test.each(['Lambda', 'TorchModuleWrapper', 'TFSMLayer', 'JaxLayer', 'FlaxLayer'])('%s holds code', (name) =>
    refused(stack(keras(name, { name: 'l', function: lambda })), 'UNSAFE_LAYER', new RegExp(`${name}: it holds code`)),
  );
  test('code in the option of a harmless layer', () =>
    refused(stack(dense(2, { activation: lambda })), 'UNSAFE_LAYER', /holds code/));
  test.each(['os.system', 'builtins', 'keras.utils', 'subprocess'])('a class of the module %s', (module) =>
    refused(stack(keras('Popen', { name: 'p' }, module)), 'UNKNOWN_CLASS', /Popen/),
  );
  test('a layer of 10^12 weights', () => refused(stack(keras('Dense', { name: 'd', units: 1e12 })), 'FORMAT', /./));
  test('a layer of 2^31 weights in a small file', () =>
    refused(stack(keras('Dense', { name: 'd', units: 2 ** 30 })), 'FORMAT', /./));
  test('an input of a huge shape', () =>
    refused(
      keras('Sequential', { name: 's', layers: [inputLayer([2 ** 40, 2 ** 40]), dense(2)] }, 'keras'),
      'FORMAT',
      /./,
    ));
  test.each([
    { units: -1 },
    { units: 0.5 },
    { units: 'many' },
    { units: null },
    { units: [3] },
    { units: 3, activation: 'os.system' },
    { units: 3, kernel_initializer: { class_name: 'exec', config: {} } },
  ])('options that make no sense: %j', async (more) => {
    const path = fresh();
    await writeKeras(path, stack(dense(2, more)), denseWeights());
    await expect(loadModel(path)).rejects.toMatchObject({ name: 'ChainruleError' });
  });
  test('a description nested without end', async () => {
    let config: object = dense(2);
    for (let i = 0; i < 100; i++) config = keras('TimeDistributed', { name: `t${i}`, layer: config });
    await refused(stack(config), 'FORMAT', /nested deeper than/);
    await refused(`${'['.repeat(200_000)}`, 'FORMAT', /no JSON/);
  });
  test('calls in a circle', () =>
    refused(
      keras(
        'Functional',
        {
          name: 'f',
          layers: ['a', 'b'].map((name, i) => ({
            ...keras('Dense', { name, units: 2 }),
            name,
            inbound_nodes: [
              {
                args: [
                  {
                    class_name: '__keras_tensor__',
                    config: { shape: [null, 2], dtype: 'float32', keras_history: ['ba'[i], 0, 0] },
                  },
                ],
                kwargs: {},
              },
            ],
          })),
          input_layers: [],
          output_layers: [['b', 0, 0]],
        },
        'keras.src.models.functional',
      ),
      'FORMAT',
      /form a circle/,
    ));
  test('names of prototypes change nothing', async () => {
    const before = Reflect.ownKeys(Object.prototype).length;
    const text = JSON.stringify(stack(dense(2))).replace(
      '"name":"s"',
      '"name":"s","__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}',
    );
    const path = fresh();
    await writeKeras(path, text, denseWeights());
    await loadModel(path).catch((error: unknown) => expect(error).toMatchObject({ name: 'ChainruleError' }));
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      await writeKeras(path, stack(keras(name, { name })), denseWeights());
      await expect(loadModel(path)).rejects.toMatchObject({ code: 'ERR_CHAINRULE_UNKNOWN_CLASS' });
    }
    expect(Reflect.ownKeys(Object.prototype)).toHaveLength(before);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
  test('a load that fails leaves the weights of the target as they were', async () => {
    const model = sequential([layers.dense({ units: 2, inputShape: [2] }), layers.dense({ units: 2 })]);
    const before = await model.getWeights();
    const path = fresh();
    await writeKeras(path, stack(dense(2)), denseWeights());
    await expect(model.loadWeights(path)).rejects.toMatchObject({ code: 'ERR_CHAINRULE_FORMAT' });
    expect((await model.getWeights()).map(({ data }) => data)).toEqual(before.map(({ data }) => data));
  });
  test('assets with paths that leave the archive', async () => {
    const path = fresh();
    await sequential([layers.dense({ units: 2, inputShape: [2] })]).save(path);
    const { zip } = await import('../formats/zip_bytes.js');
    const evil = zip([
      { name: 'config.json', data: Buffer.from(JSON.stringify(stack(dense(2)))) },
      { name: 'model.weights.h5', data: Buffer.alloc(10) },
      { name: 'assets/../../evil', data: Buffer.from('x') },
    ]);
    writeFileSync(path, evil);
    await expect(loadModel(path)).rejects.toThrow(/leaves the archive|relative path/);
    expect(readdirSync(folder)).not.toContain('evil');
    expect(readFileSync(path).equals(evil)).toBe(true);
  });
});
