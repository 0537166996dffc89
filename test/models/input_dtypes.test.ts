import { Script } from 'node:vm';
import { describe, expect, test } from 'vitest';
import {
  type Functional,
  functional,
  input,
  layers,
  modelFromJSON,
  NDArray,
  ops,
  type Sequential,
  sequential,
  type Tensor,
} from '../../lib/index.js';

const numbers = [0, 1, 200, 3, 1, 0];
const shape = [3, 2];
/** The same rows in every form that data may come in. */
const forms: [name: string, x: NDArray | number[][]][] = [
  [
    'nested numbers',
    [
      [0, 1],
      [200, 3],
      [1, 0],
    ],
  ],
  ['Float32Array', new NDArray(Float32Array.from(numbers), shape)],
  ['Int32Array', new NDArray(Int32Array.from(numbers), shape) as never],
  ['Uint8Array', new NDArray(Uint8Array.from(numbers), shape) as never],
  ['Uint32Array', new NDArray(Uint32Array.from(numbers), shape) as never],
  ['rows of Float64Array', [Float64Array.of(0, 1), Float64Array.of(200, 3), Float64Array.of(1, 0)] as never],
  ['rows of BigInt64Array', [BigInt64Array.of(0n, 1n), BigInt64Array.of(200n, 3n), BigInt64Array.of(1n, 0n)] as never],
  ['rows of Int16Array', [Int16Array.of(0, 1), Int16Array.of(200, 3), Int16Array.of(1, 0)] as never],
];

describe("data are brought to the input's dtype, as Keras does", () => {
  const x = input({ shape: [2] });
  const models = {
    'the input itself': functional({ inputs: x, outputs: x }),
    'a formula': functional({ inputs: x, outputs: x.add(x).mul(0.25) }),
    'a layer that takes integers as they are': sequential([layers.reshape({ targetShape: [2, 1], inputShape: [2] })]),
  };
  const expected = { 'the input itself': 1, 'a formula': 0.5, 'a layer that takes integers as they are': 1 };

  describe.each(Object.entries(models))('%s', (name, model) => {
    test.each(forms)('%s', async (_, rows) => {
      const factor = expected[name as keyof typeof expected];
      for (const out of [
        await model.predict(rows),
        await model.predict(rows, { batchSize: 2 }),
        model.predictSync(rows),
      ]) {
        const { data, dtype } = out as NDArray;
        expect(dtype).toBe('float32');
        expect([...data]).toEqual(numbers.map((value) => value * factor));
      }
    });
  });

  test('booleans are 0 and 1', async () => {
    const out = await models['a formula'].predict([[true, false]] as never);
    expect([...out.data]).toEqual([0.5, 0]);
  });

  test('an input of integers cuts off fractions', async () => {
    const ids = input({ shape: [2], dtype: 'int32' });
    const model = functional({ inputs: ids, outputs: ops.multiply(ids, 3) as Tensor });
    const out = await model.predict([[1.7, -3.9]]);
    expect(out.dtype).toBe('int32');
    expect([...out.data]).toEqual([3, -9]);
    expect([...model.predictSync(Float32Array.of(1.7, -3.9))]).toEqual([3, -9]);
  });
});

describe('integers that an input of integers does not hold', () => {
  const dense = (dtype: 'int32' | 'int64' | 'uint8'): Functional => {
    const x = input({ shape: [2], dtype });
    const outputs = layers.dense({ units: 2, useBias: false, kernelInitializer: 'identity' }).apply(x);
    return functional({ inputs: x, outputs });
  };
  const large = [7, 3e9];
  const asLarge: [form: string, rows: never][] = [
    ['nested numbers', [large] as never],
    ['nested bigints', [[7n, 3000000000n]] as never],
    ['rows of BigInt64Array', [BigInt64Array.of(7n, 3000000000n)] as never],
    ['Float32Array', new NDArray(Float32Array.from(large), [1, 2]) as never],
    ['Uint32Array', new NDArray(Uint32Array.from(large), [1, 2]) as never],
  ];

  test.each(asLarge)('are kept where int64 is declared: %s', async (_, rows) => {
    const x = input({ shape: [2], dtype: 'int64' });
    for (const model of [dense('int64'), functional({ inputs: x, outputs: x })]) {
      expect([...(await model.predict(rows)).data]).toEqual(large);
      expect([...(model.predictSync(rows) as unknown as NDArray).data]).toEqual(large);
    }
    expect([...dense('int64').predictSync(Float32Array.from(large))]).toEqual(large);
  });

  test.each(asLarge)('are refused with their place where int32 is declared: %s', async (_, rows) => {
    const message = /row 0, column 1 is 3000000000, but the input is declared int32: integers from -2147483648 to/;
    const model = dense('int32');
    model.compile({ loss: 'meanSquaredError', optimizer: 'sgd' });
    await expect(model.predict(rows)).rejects.toThrow(message);
    await expect(model.fit(rows, [[0, 0]], { verbose: 0 })).rejects.toThrow(message);
    expect(() => model.predictSync(rows)).toThrow(message);
    expect(() => model.predictSync(Float32Array.from(large))).toThrow(message);
    await expect(model.predict([[0, Number.NaN]], { allowNonFinite: true })).rejects.toThrow('column 1 is NaN');
  });

  test('the ends of int32 are taken', async () => {
    const ends = Int32Array.of(-2147483648, 2147483647);
    const x = input({ shape: [2], dtype: 'int32' });
    const model = functional({ inputs: x, outputs: x });
    expect([...(await model.predict(new NDArray(ends, [1, 2]) as never)).data]).toEqual([...ends]);
    expect([...(await model.predict([[-2147483648, 2147483520]])).data]).toEqual([-2147483648, 2147483520]);
  });

  test('an input of a file is still int64', () => {
    const again = modelFromJSON(dense('int64').toJSON()) as Functional;
    expect([...again.predictSync(Float32Array.from(large))]).toEqual(large);
  });

  test('are their low byte as uint8, whoever reads them', async () => {
    const x = input({ shape: [2], dtype: 'uint8' });
    const read = layers.dense({ units: 2, useBias: false, kernelInitializer: 'identity' }).apply(x);
    const kept = layers.reshape({ targetShape: [2] }).apply(x);
    const model = functional({ inputs: x, outputs: [read, kept] });
    for (const rows of [[[300, -1]], new NDArray(Int32Array.of(300, -1), [1, 2])])
      for (const out of (await model.predict(rows as never)) as unknown as NDArray[])
        expect([...out.data]).toEqual([44, 255]);
  });
});

describe('an NDArray of numbers that the engine has no dtype for', () => {
  const given: [data: ArrayLike<number>, dtype: string][] = [
    [Float64Array.of(0, 0.5), 'float32'],
    [Int16Array.of(-5, 300), 'int32'],
    [Uint16Array.of(0, 65535), 'int32'],
    [Uint8ClampedArray.of(0, 255), 'uint8'],
    [new Script('Float32Array.of(1, 2.5)').runInNewContext() as Float32Array, 'float32'],
  ];

  test.each(given)('%s converts them', async (data, dtype) => {
    const array = new NDArray(data as Float32Array, [1, 2]);
    expect(array.dtype).toBe(dtype);
    expect([...array.data]).toEqual(Array.from(data));
    const model = sequential([layers.reshape({ targetShape: [2, 1], inputShape: [2] })]);
    expect([...(await model.predict(array)).data]).toEqual(Array.from(data));
  });

  test('bytes share their memory', () => {
    const pixels = new Uint8ClampedArray(4).subarray(1);
    const array = new NDArray(pixels as never);
    pixels[0] = 9;
    expect([...array.data]).toEqual([9, 0, 0]);
  });

  test('integers of 64 bits are refused, and the message shows what works', () => {
    const data = BigInt64Array.of(1n, 2n);
    let message = '';
    try {
      new NDArray(data as never);
    } catch (error) {
      ({ message } = error as Error);
    }
    const [first, second] = message
      .match(/\w+\.from\(.*?\)/g)!
      .map((code) => new Function('data', `return ${code}`)(data));
    expect([first, second]).toEqual([Float32Array.of(1, 2), Int32Array.of(1, 2)]);
  });
});

describe('ids and labels', () => {
  const words = (): Sequential => {
    const made = sequential([
      layers.embedding({ inputDim: 6, outputDim: 2, inputShape: [2], embeddingsInitializer: 'ones' }),
      layers.globalAveragePooling1d(),
      layers.dense({ units: 3, activation: 'softmax', kernelInitializer: 'ones' }),
    ]);
    made.compile({ optimizer: 'sgd', loss: 'sparseCategoricalCrossentropy' });
    return made;
  };
  const ids = [0, 5, 2, 3, 1, 0];
  const asIds = [
    new NDArray(Int32Array.from(ids), shape),
    new NDArray(Float32Array.from(ids), shape),
    new NDArray(Uint8Array.from(ids), shape),
    [
      [0, 5],
      [2, 3],
      [1, 0],
    ],
    [BigInt64Array.of(0n, 5n), BigInt64Array.of(2n, 3n), BigInt64Array.of(1n, 0n)],
  ];
  const asLabels = [
    [0, 2, 1],
    [[0], [2], [1]],
    Uint8Array.of(0, 2, 1),
    Int32Array.of(0, 2, 1),
    Float32Array.of(0, 2, 1),
    Float64Array.of(0, 2, 1),
    BigInt64Array.of(0n, 2n, 1n),
    Buffer.from([0, 2, 1]),
  ];

  test('in any form give the same bits', async () => {
    const seen = new Set<string>();
    for (const x of asIds)
      for (const y of asLabels) {
        const model = words();
        await model.fit(x as never, y, { epochs: 2, batchSize: 2, shuffle: false, verbose: 0 });
        seen.add(String((await model.getWeights()).map(({ data }) => [...data])));
      }
    expect(seen.size).toBe(1);
  });

  test('that no table has are named with their place, in any form', async () => {
    for (const x of [Int32Array.of(0, 6), Float32Array.of(0, 6), Uint8Array.of(0, 6)])
      await expect(words().fit(new NDArray(x, [1, 2]) as never, [0], { verbose: 0 })).rejects.toThrow(
        /x: row 0, column 1 has the id 6, but layer "embedding.*ids must be 0 … 5/,
      );
  });

  test('weights of samples in any form count the same', async () => {
    const seen = new Set<string>();
    for (const sampleWeight of [[1, 0, 2], [[1], [0], [2]], Uint8Array.of(1, 0, 2), Float64Array.of(1, 0, 2)]) {
      const model = words();
      await model.fit(asIds[0] as never, [0, 2, 1], { sampleWeight, shuffle: false, verbose: 0 });
      seen.add(String((await model.getWeights()).map(({ data }) => [...data])));
    }
    expect(seen.size).toBe(1);
  });
});
