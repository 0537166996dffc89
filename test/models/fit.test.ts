import { describe, expect, test } from 'vitest';
import {
  type Batch,
  Dataset,
  functional,
  input,
  layers,
  losses,
  Model,
  type NDArray,
  ops,
  optimizers,
  type StepContext,
  sequential,
  setRandomSeed,
  type Tensor,
} from '../../lib/index.js';
import { classifier, points } from './data.js';

const quiet = { verbose: 0 } as const;

describe('fit', () => {
  test('learns, and logs loss, metrics and validation by epoch', async () => {
    const { x, y } = points(200);
    const model = classifier();
    const { history, epoch, params } = await model.fit(x, y, {
      ...quiet,
      epochs: 30,
      batchSize: 20,
      validationSplit: 0.2,
    });
    expect(Object.keys(history)).toEqual(['accuracy', 'loss', 'val_accuracy', 'val_loss']);
    expect(epoch).toHaveLength(30);
    expect(params).toMatchObject({ epochs: 30, steps: 8 });
    expect(history.loss!.at(-1)).toBeLessThan(history.loss![0]! * 0.7);
    expect(history.val_accuracy!.at(-1)).toBeGreaterThan(0.9);
  });

  test('the same seed gives the same bits', async () => {
    const { x, y } = points(100);
    const run = async (): Promise<NDArray[]> => {
      const model = classifier(5);
      await model.fit(x, y, { ...quiet, epochs: 3 });
      return model.getWeights();
    };
    const [a, b] = [await run(), await run()];
    a.forEach((array, i) => {
      expect(array.data).toEqual(b[i]!.data);
    });
  });

  test('the logged loss is the mean over rows, the ragged tail included', async () => {
    const { x, y } = points(50);
    const model = classifier();
    model.compile({ optimizer: optimizers.sgd({ learningRate: 0 }), loss: 'mse' });
    const { history } = await model.fit(x, y, { ...quiet, batchSize: 32, shuffle: false });
    const { loss } = await model.evaluate(x, y, { batchSize: 50 });
    expect(history.loss![0]).toBeCloseTo(loss!, 6);
  });

  test('training data may be nested arrays, a Dataset or a stream of batches', async () => {
    const { x, y } = points(64);
    const nested = { x: x.toNested() as number[][], y: y.toNested() as number[] };
    async function* stream(): AsyncGenerator<{ x: NDArray; y: NDArray }> {
      for (let row = 0; row < 64; row += 16) yield { x: x.rows(row, row + 16), y: y.rows(row, row + 16) };
    }
    const results: number[] = [];
    const options = { ...quiet, epochs: 2, batchSize: 16, shuffle: false };
    for (const train of [
      (model: ReturnType<typeof classifier>) => model.fit(nested.x, nested.y, options),
      (model: ReturnType<typeof classifier>) => model.fit(Dataset.from({ x, y }).batch(16), { ...quiet, epochs: 2 }),
      (model: ReturnType<typeof classifier>) => model.fit(Dataset.from(stream), { ...quiet, epochs: 2 }),
      (model: ReturnType<typeof classifier>) =>
        model.fit(
          Dataset.from({ x, y })
            .map((row) => row)
            .batch(16),
          { ...quiet, epochs: 2 },
        ),
    ]) {
      const { history } = await train(classifier(2));
      results.push(history.loss![1]!);
    }
    for (const loss of results) expect(loss).toBeCloseTo(results[0]!, 6);
  });

  test('classWeight equals the sample weights that it stands for', async () => {
    const { x, y } = points(60);
    const run = (options: object): Promise<number> =>
      classifier(4)
        .fit(x, y, { ...quiet, shuffle: false, ...options })
        .then(({ history }) => history.loss![0]!);
    const weights = Float32Array.from(y.data, (label) => (label === 1 ? 3 : 0.5));
    expect(await run({ classWeight: { 0: 0.5, 1: 3 } })).toBeCloseTo(await run({ sampleWeight: weights }), 6);
  });

  test('regularizers join the loss, also of evaluate', async () => {
    const model = sequential([
      layers.dense({ units: 1, kernelInitializer: 'ones', kernelRegularizer: 'l2', inputShape: [2] }),
    ]);
    model.compile({ loss: 'mse' });
    const { loss } = await model.evaluate([[0, 0]], [0]);
    expect(loss).toBeCloseTo(0.02, 6);
  });

  test('a learning rate set during fit takes effect at the next step', async () => {
    const { x, y } = points(32);
    const model = classifier();
    await model.fit(x, y, {
      ...quiet,
      epochs: 2,
      callbacks: [
        {
          onEpochBegin: (epoch) => {
            if (epoch === 1) model.optimizer.learningRate = 0;
          },
        },
      ],
    });
    const before = await model.getWeights();
    await model.fit(x, y, { ...quiet });
    const after = await model.getWeights();
    expect(after.map((array) => array.data)).toEqual(before.map((array) => array.data));
  });
});

describe('stopping', () => {
  test('abort rejects with its reason within a step, and the next fit works', async () => {
    const { x, y } = points(400);
    const model = classifier();
    const controller = new AbortController();
    const fit = model.fit(x, y, { ...quiet, epochs: 100_000, signal: controller.signal });
    setTimeout(() => controller.abort(new Error('enough')), 50);
    await expect(fit).rejects.toThrow('enough');
    const { history } = await model.fit(x, y, quiet);
    expect(history.loss).toHaveLength(1);
  });

  test('stopTraining ends fit normally', async () => {
    const { x, y } = points(400);
    const model = classifier();
    setTimeout(() => {
      model.stopTraining = true;
    }, 50);
    const { epoch } = await model.fit(x, y, { ...quiet, epochs: 100_000 });
    expect(epoch.length).toBeLessThan(100_000);
  });

  test('a second fit is refused while predict and evaluate go on', async () => {
    const { x, y } = points(400);
    const model = classifier();
    const controller = new AbortController();
    const fit = model.fit(x, y, { ...quiet, epochs: 100_000, signal: controller.signal });
    await new Promise((resolve) => setTimeout(resolve, 30));
    await expect(model.fit(x, y, quiet)).rejects.toMatchObject({ code: 'ERR_CHAINRULE_BUSY' });
    expect((await model.predict(x)).shape).toEqual([400, 1]);
    expect(Object.keys(await model.evaluate(x, y))).toEqual(['accuracy', 'loss']);
    controller.abort();
    await expect(fit).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('functional models', () => {
  test('several inputs and outputs, by list and by name', async () => {
    setRandomSeed(3);
    const [a, b] = [input({ shape: [2], name: 'a' }), input({ shape: [1], name: 'b' })];
    const hidden = layers.dense({ units: 4, activation: 'relu' }).apply(layers.concatenate().apply([a, b]));
    const price = layers.dense({ units: 1, name: 'price' }).apply(hidden);
    const kind = layers.dense({ units: 3, activation: 'softmax', name: 'kind' }).apply(hidden);
    const model = functional({ inputs: [a, b], outputs: { price, kind } });
    model.compile({
      loss: { price: 'mse', kind: 'sparseCategoricalCrossentropy' },
      metrics: { kind: ['accuracy'] },
      lossWeights: { price: 0.5, kind: 2 },
    });
    const x = {
      a: [
        [1, 2],
        [3, 4],
      ],
      b: [5, 6],
    };
    const { history } = await model.fit(x, { price: [1, 2], kind: [0, 2] }, quiet);
    expect(Object.keys(history)).toEqual(['kind_accuracy', 'kind_loss', 'loss', 'price_loss']);
    expect(history.loss![0]).toBeCloseTo(0.5 * history.price_loss![0]! + 2 * history.kind_loss![0]!, 5);
    const byName = await model.predict(x);
    const byList = await model.predict([x.a, x.b]);
    expect(byName.kind.shape).toEqual([2, 3]);
    expect(byList.price.data).toEqual(byName.price.data);
  });

  test('a shared layer shares its weights, and ops record like layers', async () => {
    const dense = layers.dense({ units: 2 });
    const [a, b] = [input({ shape: [3] }), input({ shape: [3] })];
    const distance = ops.abs(ops.subtract(dense.apply(a), dense.apply(b)));
    const model = functional({ inputs: [a, b], outputs: distance });
    expect(model.weights).toHaveLength(2);
    const row = [[1, 2, 3]];
    expect((await model.predict([row, row])).toNested()).toEqual([[0, 0]]);
  });

  test('an inner output becomes a model of its own', async () => {
    const base = classifier();
    const inner = functional({ inputs: base.inputs[0]!, outputs: base.layers[0]!.output });
    const { x } = points(4);
    const features = await inner.predict(x);
    const activations = await base.activations(x, [base.layers[0]!.name]);
    expect(features.data).toEqual(activations[base.layers[0]!.name]!.data);
  });
});

describe('models by class', () => {
  class Doubled extends Model {
    readonly inner = layers.dense({ units: 3, activation: 'tanh' });
    readonly head = layers.dense({ units: 1 });
    override call(x: Tensor): Tensor {
      return ops.multiply(this.head.apply(this.inner.apply(x)), 2);
    }
  }

  test('layers in properties train', async () => {
    const model = new Doubled();
    model.compile({ optimizer: optimizers.adam({ learningRate: 0.05 }), loss: 'mse' });
    const x = [[0], [0.5], [1]];
    const { history } = await model.fit(x, [0, 1, 2], { ...quiet, epochs: 200 });
    expect(history.loss!.at(-1)).toBeLessThan(0.02);
    expect(model.weights.map((weight) => weight.name)).toEqual(['kernel', 'bias', 'kernel', 'bias']);
  });

  test('a trainStep of its own, with two optimizers', async () => {
    class Adversarial extends Model {
      readonly generator = layers.dense({ units: 1 });
      readonly critic = layers.dense({ units: 1 });
      readonly generatorOptimizer = optimizers.adam({ learningRate: 0.05 });
      override call(x: Tensor): Tensor {
        return this.generator.apply(x);
      }
      override trainStep({ x, y }: Batch, step: StepContext): Record<string, Tensor> {
        const fake = this.generator.apply(x as Tensor);
        const criticLoss = step.minimize(
          () => losses.mse().apply(y as Tensor, this.critic.apply(ops.stopGradient(fake))),
          this.optimizer,
          this.critic.trainableWeights,
        );
        const generatorLoss = step.minimize(
          () => ops.mean(ops.square(this.critic.apply(this.generator.apply(x as Tensor)))),
          this.generatorOptimizer,
          this.generator.trainableWeights,
        );
        return { criticLoss, generatorLoss };
      }
    }
    const model = new Adversarial();
    model.build([null, 2]); // makes the layers that call reaches, and the critic is not among them
    model.critic.build([null, 1]);
    model.compile({ optimizer: 'sgd' });
    const { history } = await model.fit(
      [
        [1, 2],
        [3, 4],
      ],
      [[1], [0]],
      { ...quiet, epochs: 3 },
    );
    expect(Object.keys(history)).toEqual(['criticLoss', 'generatorLoss']);
    expect(history.generatorLoss).toHaveLength(3);
  });
});

describe('a step of its own', () => {
  const x = [[1], [2]];
  const y = [[1], [3]];
  class Own extends Model {
    readonly layer = layers.dense({ units: 1 });
    override call(inputs: Tensor): Tensor {
      return this.layer.apply(inputs);
    }
    override trainStep(batch: Batch, step: StepContext): Record<string, Tensor> {
      return { loss: step.minimize(() => losses.mse().apply(batch.y as Tensor, this.apply(batch.x))) };
    }
  }
  const validate = (model: Model): Promise<unknown> => model.fit(x, y, { ...quiet, validationData: [x, y] });

  test('is not validated by a loss of zero', async () => {
    const model = new Own();
    model.compile({});
    await expect(validate(model)).rejects.toThrow(/"own\w*" has no loss to compute and no metrics\. Pass one/);
    await expect(model.evaluate(x, y)).rejects.toThrow(/no loss to compute/);
    model.compile({ metrics: [] });
    await expect(model.evaluate(x, y)).rejects.toThrow(/no loss to compute/);
  });

  test.each<[string, () => unknown, RegExp]>([
    [
      'is not async',
      async () => ({}),
      /trainStep must return a record of tensors.*got an object of class Promise\. .*async/,
    ],
    ['returns something', () => undefined, /trainStep must return a record of tensors, like \{ loss \}, got undefined/],
    ['returns no tensor alone', () => ops.zeros([]), /trainStep must return a record of tensors.*class Tensor/],
  ])('%s', async (_, trainStep, message) => {
    const model = new Own();
    model.compile({});
    Object.assign(model, { trainStep, testStep: trainStep });
    await expect(model.fit(x, y, quiet)).rejects.toThrow(message);
    await expect(model.evaluate(x, y)).rejects.toThrow(/testStep must return a record of tensors/);
  });

  test.each<[string, readonly unknown[], RegExp]>([
    [
      'an optimizer by name',
      [() => ops.zeros([]), 'adam'],
      /minimize: an optimizer is expected.*got the string "adam"/,
    ],
    ['a value for the loss', [1], /the loss must be a function \(\) => loss, got 1/],
    [
      'a layer for its weights',
      [() => ops.zeros([]), undefined, layers.dense({ units: 1 })],
      /a list of variables .*class Dense/,
    ],
    [
      'layers for their weights',
      [() => ops.zeros([]), undefined, [layers.dense({ units: 1 })]],
      /must hold variables.*class Dense/,
    ],
  ])('does not minimize with %s', async (_, given, message) => {
    const model = new Own();
    model.compile({});
    const trainStep = (_batch: Batch, step: StepContext): unknown => ({
      loss: (step.minimize as (...all: readonly unknown[]) => Tensor).apply(step, given as unknown[]),
    });
    Object.assign(model, { trainStep });
    await expect(model.fit(x, y, quiet)).rejects.toThrow(message);
  });

  test('is validated by metrics, or a testStep', async () => {
    const model = new Own();
    model.compile({ metrics: ['mae'] });
    const { history } = await model.fit(x, y, { ...quiet, validationData: [x, y] });
    expect(Object.keys(history)).toEqual(['loss', 'val_mae']);
    expect(Object.keys(await model.evaluate(x, y))).toEqual(['mae']);
    class Tested extends Own {
      override testStep(batch: Batch): Record<string, Tensor> {
        return { error: losses.mae().apply(batch.y as Tensor, this.apply(batch.x)) };
      }
    }
    const tested = new Tested();
    tested.compile({});
    expect(Object.keys(await tested.evaluate(x, y))).toEqual(['error']);
  });
});

describe('frozen layers', () => {
  test('trainable = false leaves weights alone and puts batch normalization at rest', async () => {
    setRandomSeed(2);
    const normalise = layers.batchNormalization();
    const model = sequential([layers.dense({ units: 4, inputShape: [2] }), normalise, layers.dense({ units: 1 })]);
    model.layers[0]!.trainable = false;
    normalise.trainable = false;
    model.compile({ loss: 'mse' });
    const before = await model.getWeights();
    await model.fit(
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      [1, 2, 3],
      { ...quiet, epochs: 3 },
    );
    const after = await model.getWeights();
    const changed = after.map((array, i) => array.data.some((value, k) => value !== before[i]!.data[k]));
    expect(changed).toEqual([false, false, false, false, false, false, true, true]);
  });
});

describe('trainOnBatch and testOnBatch', () => {
  test('give the logs of one batch', async () => {
    const { x, y } = points(16);
    const model = classifier();
    const first = await model.trainOnBatch(x, y);
    const second = await model.testOnBatch(x, y);
    expect(second.loss).toBeLessThan(first.loss!);
  });
});
