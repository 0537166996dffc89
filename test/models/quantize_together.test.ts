import { describe, expect, test } from 'vitest';
import {
  functional,
  initializers,
  input,
  layers,
  type Model,
  NDArray,
  sequential,
  type Tensor,
  trace,
} from '../../lib/index.js';
import { native } from '../../lib/native.js';
import { expectNumbers, wave } from './quantized.js';

// quantize beside what else holds or trains the layers, and layers that stay as they are.

/** Zeros, and scales of 1: they make it plain which weights are read. */
const blank = (model: Model): Promise<void> =>
  model.setWeights(
    model.weights.map(({ name, size, shape }) => {
      const data = new Float32Array(size).fill(name.endsWith('_scale') ? 1 : 0);
      return new NDArray(data, [...shape]);
    }),
  );

describe('another model with the same layers', () => {
  const make = (): { inner: Model; outer: Model } => {
    const inner = sequential([layers.dense({ units: 6, inputShape: [5] }), layers.dense({ units: 4 })]);
    const x = input({ shape: [5] });
    return { inner, outer: functional({ inputs: x, outputs: inner.apply(x) }) as Model };
  };
  const x = wave([3, 5], 1);
  const row = x.data.slice(0, 5);

  test('computes with the new weights, as does a traced function', async () => {
    const { inner, outer } = make();
    outer.compile({ optimizer: 'adam', loss: 'meanSquaredError' });
    const y = wave([3, 4], 2);
    await outer.fit(x, y, { verbose: 0 });
    const traced = trace((t: Tensor) => outer.apply<Tensor>(t));
    const loss = async (): Promise<number> => (await outer.evaluate(x, y, { verbose: 0 })).loss;
    const before = await loss();
    await outer.predict(x);
    outer.predictSync(row);
    await traced.run(x as never);
    await inner.quantize('int8');
    await blank(inner);
    expect([...(await outer.predict(x)).data]).toEqual(Array(12).fill(0));
    expect([...outer.predictSync(row)]).toEqual(Array(4).fill(0));
    expect([...((await traced.run(x as never)) as { data: Float32Array }).data]).toEqual(Array(12).fill(0));
    expect(await loss()).not.toBe(before);
    // Two slots of Adam for each bias are left.
    expect(outer.optimizer.variables).toHaveLength(2 + 4);
  });

  test('is not being fitted meanwhile', async () => {
    const { inner, outer } = make();
    outer.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const fitting = outer.fit(x, wave([3, 4], 2), { epochs: 3, verbose: 0 });
    await expect(inner.quantize('int8')).rejects.toThrow(/is being fitted and computes with layer "dense\w*", too/);
    await fitting;
    const quantizing = inner.quantize('int8');
    await expect(outer.fit(x, wave([3, 4], 2))).rejects.toThrow(/is being quantized/);
    await quantizing;
    await expectNumbers(outer);
  });
});

test('a pattern with flags g or y picks every layer that it fits', async () => {
  for (const filters of [/part/g, /part/y]) {
    const parts = ['part_a', 'part_b', 'part_c'].map((name) => layers.dense({ units: 3, name }));
    const model = sequential(parts);
    model.build([null, 3]);
    await model.quantize('int8', { filters });
    expect(parts.map(({ quantization }) => quantization)).toEqual(Array(3).fill('int8'));
  }
});

test('kernels of more rows than an int32 sum can take stay in float32', async () => {
  const rows = 133_145;
  const model = sequential([layers.dense({ units: 1, inputShape: [rows], name: 'long' }), layers.dense({ units: 2 })]);
  await model.quantize('int8');
  expect(model.layers.map(({ quantization }) => quantization)).toEqual([undefined, 'int8']);
  expect(model.summary({ printFn: () => {} })).toMatch(/long \(Dense\)/);
  const { shape } = await model.predict(wave([1, rows], 0));
  expect(shape).toEqual([1, 2]);
  await expect(model.quantize('int8', { filters: 'long' })).rejects.toThrow(/more than 133,144 rows/);
  const einsum = sequential([layers.einsumDense({ equation: 'ab,bc->ac', outputShape: 1, inputShape: [rows] })]);
  await expect(einsum.quantize('int8')).rejects.toThrow(/more than 133,144 rows/);
  const longest = sequential([layers.dense({ units: 1, inputShape: [rows - 1] })]);
  await longest.quantize('int8');
  await expectNumbers(longest);
  expect((await longest.predict(wave([1, rows - 1], 0))).data[0]).not.toBe(0);
});

test('an error says which layers are done, and quantize goes on with the rest', async () => {
  let broken = true;
  class Broken extends initializers.Initializer {
    override call(...args: Parameters<initializers.Initializer['call']>): Tensor {
      if (broken) throw new Error('no numbers today');
      return initializers.get('ones').call(...args);
    }
    override getConfig(): Record<string, never> {
      return {};
    }
  }
  const model = sequential([
    layers.dense({ units: 3, inputShape: [3], name: 'first' }),
    layers.dense({ units: 3, name: 'second', kernelInitializer: new Broken() }),
  ]);
  await expect(model.quantize('int8')).rejects.toThrow(
    /layer "second" failed \(no numbers today\); "first" is stored as int8 already/,
  );
  expect(model.layers.map(({ quantization }) => quantization)).toEqual(['int8', undefined]);
  broken = false;
  await model.quantize('int8');
  await expectNumbers(model);
});

describe('int8 numbers', () => {
  test.each([
    [[[200, 1]], /within -127..127, but element 0 is 200/],
    [[[1, -128]], /element 1 is -128/],
    [[[1, 0.5]], /element 1 is 0.5/],
    [[[Number.NaN, 1]], /element 0 is NaN/],
  ])('%j is refused', async (values, message) => {
    const model = sequential([layers.dense({ units: 2, useBias: false, inputShape: [1] })]);
    await model.quantize('int8');
    const before = (await model.getWeights())[0]!;
    await expect(model.setWeights([values, [1, 1]])).rejects.toThrow(message);
    expect([...(await model.getWeights())[0]!.data]).toEqual([...before.data]);
    await model.setWeights([[[-127, 5]], [1, 1]]);
    expect([...(await model.getWeights())[0]!.data]).toEqual([-127, 5]);
  });

  test('ranges of int8 columns are those of signed numbers', async () => {
    const dataset = new native.Dataset([{ data: Int8Array.of(3, 120, -1, 5), shape: [4] }], true);
    expect(await dataset.firstBad(0, { low: 0, high: 300 })).toBe(2);
    expect(await dataset.firstBad(0, { low: -1, high: 121 })).toBe(-1);
  });

  test('nothing but their layer computes with them', async () => {
    const model = sequential([layers.dense({ units: 2, inputShape: [1] })]);
    await model.quantize('int8');
    const kernel = model.weights[1]!;
    const twice = trace((x: Tensor) => x.mul(kernel as never));
    await expect(twice.run([1, 2] as never)).rejects.toThrow(/cast: input 0 has the dtype int8.*Call the layer/);
  });
});
