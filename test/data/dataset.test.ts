import { describe, expect, test } from 'vitest';
import { Dataset, NDArray } from '../../lib/index.js';
import { fromNested, fromNestedAsync } from '../../lib/nested.js';

const shapes = async (dataset: Dataset): Promise<number[][]> => {
  const found: number[][] = [];
  for await (const { x } of dataset) found.push([...(x as NDArray).shape]);
  return found;
};
const x = new NDArray(
  Float32Array.from({ length: 10 }, (_, i) => i),
  [5, 2],
);

describe('Dataset', () => {
  test('batches keep the ragged tail, or drop it', async () => {
    expect(await shapes(Dataset.from({ x }).batch(2))).toEqual([
      [2, 2],
      [2, 2],
      [1, 2],
    ]);
    expect(await shapes(Dataset.from({ x }).batch(2, { dropRemainder: true }))).toEqual([
      [2, 2],
      [2, 2],
    ]);
  });

  test('map and take work where they stand', async () => {
    const rows: number[] = [];
    for await (const { y } of Dataset.from({ x, y: [0, 1, 2, 3, 4] })
      .map(({ x, y }) => ({ x, y: new NDArray(Float32Array.of((y as NDArray).item() * 10), []) }))
      .take(3))
      rows.push((y as NDArray).item());
    expect(rows).toEqual([0, 10, 20]);
  });

  test('shuffle gives every sample once, in another order at each pass', async () => {
    const dataset = Dataset.from({ x: Float32Array.from({ length: 50 }, (_, i) => i) }).shuffle({ seed: 1 });
    const pass = async (): Promise<number[]> => {
      const seen: number[] = [];
      for await (const { x } of dataset) seen.push((x as NDArray).item());
      return seen;
    };
    const [first, second] = [await pass(), await pass()];
    expect([...first].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(first).not.toEqual(second);
  });

  test('streams of [x, y] samples', async () => {
    async function* samples(): AsyncGenerator<[number[], number]> {
      for (let i = 0; i < 3; i++) yield [[i, i], i];
    }
    const batches: unknown[] = [];
    for await (const { x, y } of Dataset.from(samples).batch(2))
      batches.push([(x as NDArray).toNested(), (y as NDArray).toNested()]);
    expect(batches).toEqual([
      [
        [
          [0, 0],
          [1, 1],
        ],
        [0, 1],
      ],
      [[[2, 2]], [2]],
    ]);
  });
});

describe('conversion of nested arrays', () => {
  test('rows may be typed arrays; booleans keep their dtype', () => {
    expect(fromNested([Float32Array.of(1, 2), Float32Array.of(3, 4)]).shape).toEqual([2, 2]);
    expect(fromNested([[true, false]]).dtype).toBe('bool');
  });
  test('64-bit integers are checked for their range', () => {
    expect(fromNested(BigInt64Array.of(5n)).dtype).toBe('int32');
    expect(() => fromNested(BigInt64Array.of(2n ** 40n))).toThrow(/does not fit into int32/);
  });
  test('a large array does not hold up the event loop', async () => {
    const rows = Array.from({ length: 20_000 }, () => Array.from({ length: 100 }, (_, i) => i));
    let longest = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 1);
    const array = await fromNestedAsync(rows);
    clearInterval(timer);
    expect(array.shape).toEqual([20_000, 100]);
    expect(longest).toBeLessThan(40);
  });
});
