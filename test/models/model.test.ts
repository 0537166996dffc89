import { mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import {
  type CallContext,
  cloneModel,
  functional,
  input,
  Layer,
  layers,
  Model,
  NDArray,
  sequential,
  setRandomSeed,
  type Tensor,
  type Variable,
} from '../../lib/index.js';
import { classifier, points } from './data.js';

describe('summary', () => {
  test("looks like Keras's", async () => {
    const model = sequential(
      [
        layers.dense({ units: 128, activation: 'relu', inputShape: [784], name: 'dense' }),
        layers.dense({ units: 10, name: 'dense_1' }),
      ],
      { name: 'digits' },
    );
    let printed = '';
    const text = model.summary({
      lineLength: 76,
      printFn: (line) => {
        printed = line;
      },
    });
    expect(printed).toBe(text);
    expect(text).toMatchInlineSnapshot(`
      "Model: "digits"
      ┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
      ┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
      ┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
      │ dense (Dense)                   │ (None, 128)            │       100,480 │
      ├─────────────────────────────────┼────────────────────────┼───────────────┤
      │ dense_1 (Dense)                 │ (None, 10)             │         1,290 │
      └─────────────────────────────────┴────────────────────────┴───────────────┘
       Total params: 101,770 (397.54 KB)
       Trainable params: 101,770 (397.54 KB)
       Non-trainable params: 0 (0.00 B)"
    `);
  });

  test('of a graph names what a layer is connected to', () => {
    const a = input({ shape: [4], name: 'a' });
    const left = layers.dense({ units: 2, name: 'left' }).apply(a);
    const model = functional({ inputs: a, outputs: layers.add({ name: 'sum' }).apply([left, left]) });
    expect(model.summary({ printFn: () => {} })).toMatch(/sum \(Add\).*left\[0\]\[0\]/);
  });
});

describe('predict', () => {
  test('agrees in one piece, in batches, for rows and on the calling thread', async () => {
    const model = classifier();
    await model.warmup({ batchSizes: [1, 32] });
    const { x } = points(70);
    const all = await model.predict(x, { batchSize: 128 });
    expect((await model.predict(x)).data).toEqual(all.data);
    const row = Float32Array.from(x.rows(3, 4).data);
    const out = new Float32Array(1);
    expect(model.predictSync(row, out)).toBe(out);
    expect(out[0]).toBe(all.data[3]);
    expect(model.predictSync(x.rows(0, 5).toNested() as number[][]).data).toEqual(all.rows(0, 5).data);
  });
});

describe('weights', () => {
  test('get, set, save and load', async () => {
    const [model, other] = [classifier(1), classifier(2)];
    const { x } = points(5);
    await other.setWeights(await model.getWeights());
    const expected = await model.predict(x);
    expect((await other.predict(x)).data).toEqual(expected.data);
    const folder = await mkdtemp(join(tmpdir(), 'chainrule-'));
    await model.saveWeights(join(folder, 'w.safetensors'));
    expect(await readdir(folder)).toEqual(['w.safetensors']);
    const third = classifier(3);
    await third.loadWeights(join(folder, 'w.safetensors'));
    expect((await third.predict(x)).data).toEqual(expected.data);
  });

  test('setWeights checks number and shapes', async () => {
    const model = classifier();
    await expect(model.setWeights([])).rejects.toThrow(/has 4 weights but got 0/);
    const weights = await model.getWeights();
    await expect(model.setWeights([new NDArray(new Float32Array(3)), ...weights.slice(1)])).rejects.toThrow(
      /\[2, 8\].*\[3\]/,
    );
  });
});

test('activations gives what inner layers give', async () => {
  const model = classifier();
  const { x } = points(3);
  const inner = await model.activations(x);
  const names = model.layers.map((layer) => layer.name);
  expect(Object.keys(inner)).toEqual(names);
  expect(inner[names[1]!]!.data).toEqual((await model.predict(x)).data);
  await expect(model.activations(x, ['nothing'])).rejects.toThrow(/has no layer "nothing"/);
});

test('a clone has the same architecture and weights of its own', async () => {
  setRandomSeed(1);
  const a = input({ shape: [3] });
  const shared = layers.dense({ units: 3, activation: 'relu' });
  const model = functional({
    inputs: a,
    outputs: layers.add().apply([shared.apply(a), shared.apply(shared.apply(a))]),
  });
  const copy = cloneModel(model);
  expect(copy.weights.map((weight) => weight.shape)).toEqual(model.weights.map((weight) => weight.shape));
  await copy.setWeights(await model.getWeights());
  const x = [[1, 2, 3]];
  expect((await copy.predict(x)).data).toEqual((await model.predict(x)).data);
});

describe('arguments of call beside the inputs', () => {
  class Shift extends Layer {
    static override readonly callArguments = ['by', 'factor'];
    override call(x: Tensor, { by, factor = 1 }: CallContext & { by?: Tensor; factor?: number }): Tensor {
      return by ? x.add(by.mul(factor)) : x;
    }
  }

  test('symbolic ones are part of the recorded call, plain ones are kept', async () => {
    const [a, b] = [input({ shape: [2] }), input({ shape: [2] })];
    const model = functional({ inputs: [a, b], outputs: new Shift().apply(a, { by: b, factor: 10 }) });
    const data = [[[1, 2]], [[3, 4]]];
    expect((await model.predict(data)).toNested()).toEqual([[31, 42]]);
    expect((await cloneModel(model).predict(data)).toNested()).toEqual([[31, 42]]);
  });

  test('a name that the layer does not have is refused', () => {
    expect(() => new Shift().apply(input({ shape: [2] }), { fctor: 2 })).toThrow(/unknown option "fctor".*factor/);
  });
});

test('what input() gives may begin a sequential model, as in Keras', async () => {
  const model = sequential([input({ shape: [3] }), layers.dense({ units: 2 })]);
  expect(model.built).toBe(true);
  expect(model.layers).toHaveLength(1);
  const x = input({ shape: [3] });
  expect(() => sequential([layers.dense({ units: 2 }).apply(x) as unknown as Layer])).toThrow(/is no layer/);
});

describe('addWeight', () => {
  class Scale extends Layer {
    override call(inputs: Tensor): Tensor {
      return inputs;
    }
  }

  test('takes all in one record, as in Keras', async () => {
    const layer = new Scale({ name: 'scale' });
    const weight = layer.addWeight({ name: 'factor', shape: [2], initializer: 'ones', trainable: false });
    expect(weight).toMatchObject({ name: 'factor', shape: [2], trainable: false, path: 'scale/factor' });
    expect([...(await weight.value()).data]).toEqual([1, 1]);
    expect(layer.addWeight({ shape: [] }).name).toBe('variable');
    expect(layer.weights).toHaveLength(2);
  });

  test.each([
    [['factor'], 'the string "factor" and undefined'],
    [[[2]], '[2] and undefined'],
    [[null], 'null and undefined'],
    [[{ name: 'factor' }], 'the string "factor" and undefined'],
  ])('says what is expected instead of %j', (given, got) => {
    const add = new Scale().addWeight as (...all: unknown[]) => unknown;
    expect(() => add.apply(new Scale(), given)).toThrow(`a name and a shape are expected`);
    expect(() => add.apply(new Scale(), given)).toThrow(`got ${got}.`);
    expect(() => new Scale().addWeight({ shape: [1], init: 'ones' } as never)).toThrow(/unknown option "init"/);
  });
});

describe('layers that no property leads to', () => {
  const x = [[1, 2]];
  const y = [[1]];
  const train = (model: Model): Promise<unknown> => {
    model.compile({ optimizer: 'sgd', loss: 'mse' });
    return model.fit(x, y, { epochs: 1, verbose: 0 });
  };
  const message = (layer: string, user: string): RegExp =>
    new RegExp(
      `layer "${layer}" is used in ${user}\\.call but is in no property of ${user}: it would be neither trained nor saved\\. Keep it in a public field`,
    );

  test('are refused in a private field of a model', async () => {
    class Hidden extends Model {
      readonly #first = layers.dense({ units: 3, name: 'first' });
      readonly last = layers.dense({ units: 1 });
      override call(inputs: Tensor): Tensor {
        return this.last.apply(this.#first.apply(inputs));
      }
    }
    await expect(train(new Hidden())).rejects.toThrow(message('first', 'Hidden'));
  });

  test('are refused where there is no other', async () => {
    class Only extends Model {
      readonly #only = layers.dense({ units: 1, name: 'only' });
      override call(inputs: Tensor): Tensor {
        return this.#only.apply(inputs);
      }
    }
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    await expect(train(new Only())).rejects.toThrow(message('only', 'Only'));
    warned.mockRestore();
  });

  test('are refused where they are made in call', async () => {
    class Made extends Model {
      readonly last = layers.dense({ units: 1 });
      override call(inputs: Tensor): Tensor {
        return this.last.apply(layers.dense({ units: 3, name: 'passing' }).apply(inputs));
      }
    }
    await expect(train(new Made())).rejects.toThrow(message('passing', 'Made'));
  });

  test('are refused in a layer, also in one that a graph calls', async () => {
    class Block extends Layer {
      readonly #inner = sequential([layers.dense({ units: 1 })], { name: 'inner' });
      override call(inputs: Tensor): Tensor {
        return this.#inner.apply(inputs);
      }
    }
    const ends = input({ shape: [2] });
    const hidden = new Block().apply(layers.dense({ units: 2 }).apply(ends));
    await expect(train(functional({ inputs: ends, outputs: hidden }))).rejects.toThrow(message('inner', 'Block'));
  });

  test('are all that is refused: lists, maps, nested and shared models, closures over found layers, frozen networks', async () => {
    const shared = layers.dense({ units: 2, name: 'shared' });
    const teacher = sequential([layers.dense({ units: 2, inputShape: [2] })]);
    teacher.trainable = false;
    class Tied extends Layer {
      constructor(private readonly inside: (inputs: Tensor) => Tensor) {
        super();
      }
      override call(inputs: Tensor): Tensor {
        return this.inside(inputs);
      }
    }
    class Held extends Model {
      readonly list = [layers.dense({ units: 2 })];
      readonly map = new Map([['a', layers.dense({ units: 2 })]]);
      readonly record = { deep: [sequential([layers.dense({ units: 2 })])] };
      readonly shared = shared;
      readonly tied = new Tied((inputs) => shared.apply(inputs));
      readonly formula = layers.lambda({ function: (inputs: Tensor) => shared.apply(inputs) });
      readonly wrapped = layers.dense({ units: 1 });
      late: Layer | undefined;
      override call(inputs: Tensor): Tensor {
        const late = this.late ?? layers.dense({ units: 2 });
        let h = late.apply(inputs);
        this.late = late;
        for (const layer of [this.list[0]!, this.map.get('a')!, this.record.deep[0]!, this.shared]) h = layer.apply(h);
        return this.wrapped.apply(this.formula.apply(this.tied.apply(h)).add(teacher.apply(inputs)));
      }
    }
    const model = new Held();
    await train(model);
    expect(model.weights).toContain(shared.weights[0]);
    class Named extends Model {
      readonly #inside = layers.dense({ units: 1, inputShape: [2] });
      override get trainableWeights(): Variable[] {
        return this.#inside.trainableWeights;
      }
      override call(inputs: Tensor): Tensor {
        return this.#inside.apply(inputs);
      }
    }
    await train(new Named());
  });
});
