import { describe, expect, test } from 'vitest';
import {
  Dataset,
  NDArray,
  normalize,
  padSequences,
  splitDataset,
  timeseriesDatasetFromArray,
  toCategorical,
} from '../../lib/index.js';

// Expected values are those of keras.utils 3.15.

describe('padSequences', () => {
  const lists = [[1], [2, 3], [4, 5, 6]];
  test.each([
    [
      {},
      [
        [0, 0, 1],
        [0, 2, 3],
        [4, 5, 6],
      ],
    ],
    [
      { maxlen: 2 },
      [
        [0, 1],
        [2, 3],
        [5, 6],
      ],
    ],
    [
      { maxlen: 2, truncating: 'post' },
      [
        [0, 1],
        [2, 3],
        [4, 5],
      ],
    ],
    [
      { padding: 'post', value: 9 },
      [
        [1, 9, 9],
        [2, 3, 9],
        [4, 5, 6],
      ],
    ],
    [
      { maxlen: 4, padding: 'post' },
      [
        [1, 0, 0, 0],
        [2, 3, 0, 0],
        [4, 5, 6, 0],
      ],
    ],
  ] as const)('%j', (options, want) => {
    expect(padSequences(lists, options).toNested()).toEqual(want);
  });

  test('empty sequences, vectors in a sequence, other dtypes', () => {
    expect(padSequences([[], [1.5]], { dtype: 'float32' }).toNested()).toEqual([[0], [1.5]]);
    expect(
      padSequences([
        [[1, 2]],
        [
          [3, 4],
          [5, 6],
        ],
      ]).toNested(),
    ).toEqual([
      [
        [0, 0],
        [1, 2],
      ],
      [
        [3, 4],
        [5, 6],
      ],
    ]);
    expect(() => padSequences([[[1, 2]], [[3]]])).toThrow(/sequence 1 has shape \[1\]/);
    expect(() => padSequences([3] as never)).toThrow(/sequence 0 is a single number/);
    expect(() => padSequences(lists, { padding: 'left' as never })).toThrow(/"pre" or "post"/);
  });
});

test('toCategorical', () => {
  expect(toCategorical([[0], [2]]).toNested()).toEqual([
    [1, 0, 0],
    [0, 0, 1],
  ]);
  expect(toCategorical([[0, 1]], 2).toNested()).toEqual([
    [
      [1, 0],
      [0, 1],
    ],
  ]);
  expect(() => toCategorical([0, 3], 3)).toThrow(/element 1 is 3, which is no class 0 … 2/);
});

test('normalize', async () => {
  expect(
    (
      await normalize([
        [3, 4],
        [0, 0],
      ])
    ).toNested(),
  ).toEqual([
    [Math.fround(0.6), Math.fround(0.8)],
    [0, 0],
  ]);
  expect(
    (
      await normalize(
        [
          [3, -1],
          [0, 2],
        ],
        { order: 1 },
      )
    ).toNested(),
  ).toEqual([
    [0.75, -0.25],
    [0, 1],
  ]);
});

describe('timeseriesDatasetFromArray', () => {
  const series = Array.from({ length: 10 }, (_, i) => i);
  const all = async (data: Dataset) => {
    const found: unknown[] = [];
    for await (const { x, y } of data) found.push([(x as NDArray).toNested(), (y as NDArray | undefined)?.toNested()]);
    return found;
  };

  test('windows with targets, within limits', async () => {
    const options = { sequenceLength: 3, sequenceStride: 2, samplingRate: 2, startIndex: 1, endIndex: 9, batchSize: 2 };
    const targets = series.map((value) => value * 10);
    expect(await all(timeseriesDatasetFromArray(series, targets, options))).toEqual([
      [
        [
          [1, 3, 5],
          [3, 5, 7],
        ],
        [10, 30],
      ],
    ]);
    const single = timeseriesDatasetFromArray(series, null, { sequenceLength: 9, batchSize: null });
    expect(await all(single)).toEqual([
      [series.slice(0, 9), undefined],
      [series.slice(1), undefined],
    ]);
  });

  test('says what does not fit', () => {
    const make = (options: object) => timeseriesDatasetFromArray(series, null, { sequenceLength: 3, ...options });
    expect(() => make({ sequenceLength: 11 })).toThrow(/does not fit into 10 steps/);
    expect(() => make({ sequenceStride: 10 })).toThrow(/sequenceStride/);
    expect(() => make({ startIndex: 4, endIndex: 4 })).toThrow(/endIndex/);
  });
});

describe('splitDataset', () => {
  const count = async (data: Dataset) => {
    const found: unknown[] = [];
    for await (const { x } of data) found.push(x instanceof NDArray ? x.toNested() : x);
    return found;
  };

  test('arrays, strings and Datasets; parts are rounded as in Python', async () => {
    const x = Array.from({ length: 10 }, (_, i) => i);
    const [left, right] = await splitDataset(x, { leftSize: 0.25 });
    expect([await count(left), await count(right)]).toEqual([
      [0, 1],
      [2, 3, 4, 5, 6, 7, 8, 9],
    ]);
    const [names] = await splitDataset({ x: ['a', 'b', 'c'], y: [1, 2, 3] }, { rightSize: 1 });
    expect(await count(names)).toEqual(['a', 'b']);
    const [few, rest] = await splitDataset(Dataset.from({ x }), { leftSize: 3, rightSize: 2 });
    expect([await count(few), await count(rest)]).toEqual([
      [0, 1, 2],
      [3, 4],
    ]);
    const mixed = await splitDataset(x, { leftSize: 4, shuffle: true, seed: 3 });
    const both = [...(await count(mixed[0])), ...(await count(mixed[1]))] as number[];
    expect(both).not.toEqual(x);
    expect(both.sort((a, b) => a - b)).toEqual(x);
  });

  test('says what does not fit', async () => {
    await expect(splitDataset([1, 2], {})).rejects.toThrow(/leftSize, rightSize or both/);
    await expect(splitDataset([1, 2], { leftSize: 2 })).rejects.toThrow(/below 2/);
    await expect(splitDataset([1, 2], { leftSize: 0.1 })).rejects.toThrow(/would have none/);
  });
});
