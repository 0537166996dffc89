import { afterAll, describe, expect, test } from 'vitest';
import { toTable } from '../../lib/data/columns.js';
import { StateBundle } from '../../lib/graph/state.js';
import { Trace } from '../../lib/graph/trace.js';
import {
  type AnyArray,
  compute,
  type Device,
  functional,
  gradients,
  input,
  Layer,
  layers,
  type Model,
  NDArray,
  ops,
  RematScope,
  type RematScopeOptions,
  remat,
  sequential,
  setRandomSeed,
  type Tensor,
} from '../../lib/index.js';
import { buildStep } from '../../lib/models/programs.js';
import { native } from '../../lib/native.js';
import { cudaDevice } from '../ops/cuda_device.js';

// Values that gradients compute again: the same numbers, bit for bit, from a plan that takes less memory.

afterAll(() => native.configure({ threads: native.info().threads, parallelThreshold: 10000 }));

const wave = (count: number, ...shape: number[]): NDArray =>
  new NDArray(
    Float32Array.from({ length: count * shape.reduce((a, n) => a * n, 1) }, (_, i) => Math.sin(i * 1.7)),
    [count, ...shape],
  );

/** Blocks that are segments, or a wrapper that makes them so. */
type Block = { remat?: boolean };

const dense = (options: Block): Model =>
  sequential([
    ...Array.from({ length: 6 }, (_, i) =>
      sequential(
        [
          ...Array.from({ length: 4 }, (_, k) =>
            layers.dense({ units: 64, activation: k % 2 ? 'tanh' : 'gelu', ...(i + k === 0 && { inputShape: [64] }) }),
          ),
          layers.dropout({ rate: 0.1, seed: i }),
        ],
        options,
      ),
    ),
    layers.dense({ units: 3 }),
  ]);

function residual(options: Block): Model {
  const image = input({ shape: [16, 16, 8] });
  let x: Tensor = image;
  for (let i = 0; i < 5; i++) {
    const inside = input({ shape: [16, 16, 8] });
    let y = layers.conv2d({ filters: 8, kernelSize: 3, padding: 'same' }).apply(inside);
    y = layers.relu().apply(layers.batchNormalization().apply(y));
    y = layers.conv2d({ filters: 8, kernelSize: 3, padding: 'same' }).apply(y);
    y = layers.spatialDropout2d({ rate: 0.2, seed: i }).apply(layers.batchNormalization().apply(y));
    x = functional({ inputs: inside, outputs: layers.relu().apply(layers.add().apply([y, inside])), ...options }).apply(
      x,
    );
  }
  return functional({
    inputs: image,
    outputs: layers.dense({ units: 3 }).apply(layers.globalAveragePooling2d().apply(x)),
  });
}

class TransformerBlock extends Layer {
  private readonly attention = layers.multiHeadAttention({ numHeads: 2, keyDim: 8, dropout: 0.1, seed: 5 });
  private readonly first = layers.layerNormalization();
  private readonly second = layers.layerNormalization();
  private readonly wide = layers.dense({ units: 64, activation: 'gelu' });
  private readonly narrow = layers.dense({ units: 16 });

  override call(x: Tensor): Tensor {
    const seen = this.first.apply(x);
    const y = ops.add(x, this.attention.apply(seen, { value: seen, useCausalMask: true }));
    return ops.add(y, this.narrow.apply(this.wide.apply(this.second.apply(y))));
  }
}

const transformer = (options: Block): Model =>
  sequential([
    layers.embedding({ inputDim: 11, outputDim: 16, inputShape: [24] }),
    ...Array.from({ length: 5 }, () => new TransformerBlock(options)),
    layers.globalAveragePooling1d(),
    layers.dense({ units: 3 }),
  ]);

interface Case {
  about: string;
  make: (options: Block) => Model;
  x: (rows: number) => NDArray;
  /** The most that the arena may be, of that without remat. */
  share: number;
}
const ids = (rows: number): NDArray =>
  new NDArray(
    Int32Array.from({ length: rows * 24 }, (_, i) => (i * 7) % 11),
    [rows, 24],
  ) as AnyArray as NDArray;
const cases: Case[] = [
  { about: 'a stack of dense layers', make: dense, x: (rows) => wave(rows, 64), share: 0.35 },
  { about: 'residual blocks with batch norm', make: residual, x: (rows) => wave(rows, 16, 16, 8), share: 0.5 },
  { about: 'transformer blocks', make: transformer, x: ids, share: 0.3 },
];
const labels = (rows: number): NDArray =>
  new NDArray(
    Int32Array.from({ length: rows }, (_, i) => i % 3),
    [rows],
  ) as AnyArray as NDArray;

const devices = ['cpu', ...(cudaDevice ? [cudaDevice] : [])] as Device[];

function made(make: (options: Block) => Model, options: Block, device: Device, memoryBudget?: number): Model {
  setRandomSeed(7);
  const model = make(options);
  const loss = 'sparseCategoricalCrossentropy';
  model.compile({ optimizer: 'adam', loss, metrics: ['accuracy'], device, ...(memoryBudget && { memoryBudget }) });
  return model;
}

/** Bytes that a training step on 512 rows takes. */
async function arenaOf(model: Model, x: NDArray, y = labels(2)): Promise<number> {
  const { step } = await buildStep(model, 'train', await toTable({ x, y }), new StateBundle());
  return Number(/arena (\d+) bytes/.exec(step.program.describe(512))![1]);
}

async function trained(model: Model, x: NDArray): Promise<unknown[]> {
  const rows = x.shape[0]!;
  const { history } = await model.fit(x, labels(rows), { epochs: 2, batchSize: 10, verbose: 0 });
  return [history, ...(await Promise.all(model.weights.map(async (weight) => (await weight.value()).data)))];
}

describe.each(devices)('on %s', (device) => {
  const rows = device === 'cpu' ? 24 : 3;

  test.each(cases)('$about: a smaller arena', async ({ make, x, share }) => {
    const kept = await arenaOf(made(make, {}, device), x(2));
    const again = await arenaOf(made(make, { remat: true }, device), x(2));
    expect(again / kept).toBeLessThan(share);
  });

  test.each(cases)('$about: the same bits', { timeout: 120_000 }, async ({ make, x }) => {
    const expected = await trained(made(make, {}, device), x(rows));
    expect(await trained(made(make, { remat: true }, device), x(rows))).toEqual(expected);
    if (device !== 'cpu') return;
    native.configure({ threads: 3, parallelThreshold: 0 });
    expect(await trained(made(make, { remat: true }, device), x(rows))).toEqual(expected);
    native.configure({ threads: native.info().threads, parallelThreshold: 10000 });
  });

  test.each(cases)('$about: within a budget', { timeout: 120_000 }, async ({ make, x, share }) => {
    const kept = await arenaOf(made(make, {}, device), x(2));
    for (const part of [0.9, 1.1 * share + 0.1]) {
      const budget = Math.round(kept * part);
      const arena = await arenaOf(made(make, {}, device, budget), x(2));
      expect(arena).toBeLessThanOrEqual(budget);
      expect(arena).toBeGreaterThan(0.6 * budget);
    }
    const small = made(make, {}, device, 100_000);
    await expect(arenaOf(small, x(2))).rejects.toThrow(/512 rows needs at least \d+ bytes.*memoryBudget is 100000/);
  });
});

test.each(cases)('$about: a budget changes no bit', async ({ make, x }) => {
  const { step } = await buildStep(
    made(make, {}, 'cpu'),
    'train',
    await toTable({ x: x(2), y: labels(2) }),
    new StateBundle(),
  );
  const arena = Number(/arena (\d+) bytes/.exec(step.program.describe(10))![1]);
  const tight = made(make, {}, 'cpu', Math.round(0.9 * arena));
  expect(await trained(tight, x(24))).toEqual(await trained(made(make, {}, 'cpu'), x(24)));
});

test('a budget must be a number of bytes', () => {
  for (const memoryBudget of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])
    expect(() => dense({}).compile({ memoryBudget })).toThrow(/memoryBudget must be a number of bytes, 1 or more/);
  expect(() => dense({}).compile({ memoryBudget: '2GB' as never })).toThrow(/got the string "2GB"/);
  expect(() => dense({}).compile({ memoryBudget: { mb: 1 } as never })).toThrow(/got an object with mb/);
  const model = dense({});
  model.compile({ memoryBudget: 1e6 / 3 });
  expect(model.compiled!.options.memoryBudget).toBe(333333);
});

/** Names of layers whose part of the description says that gradients compute it again. */
function again(model: Layer, op = 'matmul'): string[] {
  const trace = new Trace('cpu');
  trace.run(() => model.apply(trace.input('x', 'float32', [-1, 8])));
  const lines = trace.graph.describe().split('\n');
  const found = lines.map((line) => new RegExp(`${op} .*/(\\w+) \\(again for gradients\\)`).exec(line)?.[1]);
  return found.filter((name): name is string => name !== undefined);
}

describe('which layers', () => {
  const make = (): Model =>
    sequential([
      layers.dense({ units: 8, activation: 'gelu', inputShape: [8], name: 'first' }),
      layers.dense({ units: 40, activation: 'gelu', name: 'wide' }),
      layers.dense({ units: 8, activation: 'gelu', name: 'narrow', remat: false }),
      sequential([layers.dense({ units: 3, name: 'inner' }), layers.dense({ units: 3, name: 'last' })]),
    ]);
  const inScope = (options: RematScopeOptions, op?: string): string[] => again(new RematScope(options).run(make), op);

  test('none without a scope', () => expect(again(make())).toEqual([]));
  test('all in a full one, but for those that say no', () =>
    expect(inScope({})).toEqual(['first', 'wide', 'inner', 'last']));
  test('those of many numbers', () =>
    expect(inScope({ mode: 'largerThan', outputSizeThreshold: 39 })).toEqual(['wide']));
  test('not those of as many', () => expect(inScope({ mode: 'largerThan', outputSizeThreshold: 40 })).toEqual([]));
  test('those in a list', () =>
    expect(inScope({ mode: 'listOfLayers', layerNames: ['wide', 'narrow', 'last'] })).toEqual(['wide', 'last']));
  test('activations alone', () => {
    expect(inScope({ mode: 'activations' })).toEqual([]);
    expect(inScope({ mode: 'activations' }, 'gelu')).toEqual(['first', 'wide']);
  });
  test('none in a scope of none inside another', () =>
    expect(again(new RematScope().run(() => new RematScope({ mode: null }).run(make)))).toEqual([]));
  test('an unknown mode is refused', () =>
    expect(() => new RematScope({ mode: 'some' as 'full' })).toThrow(/mode must be one of 'full'/));
});

describe('mistakes', () => {
  test('a scope around a function that is not done when it returns', async () => {
    const scope = new RematScope();
    const fail = (fn: () => unknown) => expect(() => scope.run(fn)).toThrow(/returned a promise.*memoryBudget/);
    fail(async () => layers.dense({ units: 1 }));
    // biome-ignore lint/suspicious/noThenProperty: what a promise of another library looks like
    fail(() => ({ then: () => {} }));
    expect(RematScope.current).toBeUndefined();
  });

  test('options of other types', () => {
    const scope = (options: object) => () => new RematScope(options);
    expect(scope({ mode: 'listOfLayers', layerNames: 'dense' })).toThrow(/layerNames must be a list of names, got the/);
    expect(scope({ mode: 'listOfLayers', layerNames: ['a', 3] })).toThrow(/layerNames must be a list of names/);
    for (const outputSizeThreshold of [-1, Number.NaN, '9', null])
      expect(scope({ mode: 'largerThan', outputSizeThreshold })).toThrow(/outputSizeThreshold must be a number >= 0/);
    expect(() => new RematScope().run(3 as never)).toThrow(/RematScope\.run: a function is expected, got 3/);
    expect(() => remat(layers.dense({ units: 1 }) as never)).toThrow(
      /remat: a function is expected, got an object of class Dense/,
    );
    for (const value of ['full', 2, [true]])
      expect(() => layers.dense({ units: 1, remat: value as never })).toThrow(
        /Dense: remat must be true or false \(modes are options of RematScope\), got/,
      );
    const x = input({ shape: [2] });
    for (const value of [0, 1]) {
      const outputs = layers.dense({ units: 1, remat: value as never }).apply(x);
      expect(() => functional({ inputs: x, outputs, remat: value as never })).not.toThrow();
    }
  });
});

test('remat of a function: gradients of gradients, too, are the same', async () => {
  const loss = (wrapped: boolean) => {
    const inner = (x: Tensor): Tensor => ops.sum(ops.tanh(ops.multiply(ops.exp(x), ops.sin(x))));
    const fn = wrapped ? remat(inner) : inner;
    return compute(() => {
      const x = ops.add([0.3, -0.7, 1.1], 0);
      const [slope] = gradients(fn(x), [x]);
      return [slope!, gradients(ops.sum(ops.square(slope!)), [x])[0]!];
    });
  };
  expect(await loss(true)).toEqual(await loss(false));
});

test('remat keeps nothing of a function that only its gradient reads', () => {
  const arena = (wrapped: boolean): number => {
    const trace = new Trace('cpu');
    const outputs = trace.run(() => {
      const x = trace.input('x', 'float32', [-1, 256]);
      const step = (y: Tensor): Tensor => {
        for (let i = 0; i < 5; i++) y = ops.tanh(ops.roll(y, 1, 1));
        return y;
      };
      let y = x;
      for (let i = 0; i < 5; i++) y = (wrapped ? remat(step) : step)(y);
      return gradients(ops.sum(y), [x]) as Tensor[];
    });
    return Number(/arena (\d+) bytes/.exec(trace.compileSync(outputs).describe(64))![1]);
  };
  // 25 tanhs of 64 KB, or 5 of them and those of one segment.
  expect(arena(false)).toBeGreaterThan(24 * 65536);
  expect(arena(true)).toBeLessThan(13 * 65536);
});

test('a model with remat saves and loads as one without', () => {
  const model = sequential([layers.dense({ units: 3, inputShape: [8], remat: true })]);
  expect(JSON.stringify(model.getConfig())).not.toContain('remat');
});
