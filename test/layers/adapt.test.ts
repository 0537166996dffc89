import { describe, expect, test } from 'vitest';
import { compute, Dataset, layers, NDArray, ops } from '../../lib/index.js';
import { summarize } from '../../lib/layers/preprocessing/quantiles.js';

const rows = Array.from({ length: 40 }, (_, i) => [Math.fround(Math.sin(i)), Math.fround(i / 7), 5]);
const moments = (column: number) => {
  const values = rows.map((row) => row[column]!);
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return { mean, variance: values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length };
};

describe('Normalization.adapt', () => {
  const check = async (layer: ReturnType<typeof layers.normalization>) => {
    const [mean, variance] = [await layer.adaptMean!.value(), await layer.adaptVariance!.value()];
    for (const column of [0, 1, 2]) {
      expect(mean.data[column]).toBeCloseTo(moments(column).mean, 5);
      expect(variance.data[column]).toBeCloseTo(moments(column).variance, 4);
    }
  };

  test('from an array, from batches and from a Dataset: the same moments', async () => {
    const layer = layers.normalization();
    await layer.adapt(rows);
    await check(layer);
    await layer.adapt(
      [new NDArray(Float32Array.from(rows.slice(0, 7).flat()), [7, 3]), rows.slice(7)].map((x) => ({ x })),
    );
    await check(layer);
    await layer.adapt(Dataset.from({ x: rows, y: rows.map(() => 0) }).batch(16));
    await check(layer);
    const out = await compute(() => layer.apply(ops.cast(rows, 'float32')));
    // A column without variance is divided by 1e-7, not by 0.
    expect(out.at(3, 2)).toBe(0);
    expect(out.at(3, 1)).toBeCloseTo((rows[3]![1]! - moments(1).mean) / Math.sqrt(moments(1).variance), 4);
  });

  test('an axis within, and none', async () => {
    const layer = layers.normalization({ axis: 1 });
    await layer.adapt([
      [
        [1, 3],
        [2, 2],
      ],
      [
        [5, 7],
        [4, 4],
      ],
    ]);
    expect((await layer.adaptMean!.value()).toNested()).toEqual([4, 3]);
    expect((await layer.adaptVariance!.value()).toNested()).toEqual([5, 1]);
    const whole = layers.normalization({ axis: null });
    await whole.adapt([
      [1, 3],
      [5, 7],
    ]);
    expect([(await whole.adaptMean!.value()).item(), (await whole.adaptVariance!.value()).item()]).toEqual([4, 5]);
  });

  test('says what does not fit', async () => {
    const layer = layers.normalization();
    await layer.adapt(rows);
    await expect(layer.adapt([[1, 2]])).rejects.toThrow(/built for/);
    await expect(layer.adapt([] as never)).rejects.toThrow();
    await expect(layers.normalization({ mean: 0, variance: 1 }).adapt(rows)).rejects.toThrow(/given/);
    expect(() => layers.normalization({ mean: 0 })).toThrow(/together/);
  });
});

describe('Discretization', () => {
  test('a boundary belongs to the bin behind it; NaN to the last', async () => {
    const layer = layers.discretization({ binBoundaries: [0, 1, 2] });
    const out = await compute(() => layer.apply(ops.cast([[-1, 0, 0.5, 1, 2, 9, Number.NaN]], 'float32')));
    expect(out.dtype).toBe('int32');
    expect(out.toNested()).toEqual([[0, 1, 1, 2, 3, 3, 3]]);
    const hot = layers.discretization({ binBoundaries: [0, 1], outputMode: 'oneHot' });
    expect((await compute(() => hot.apply(ops.cast([[-1], [5]], 'float32')))).toNested()).toEqual([
      [1, 0, 0],
      [0, 0, 1],
    ]);
  });

  test('adapt makes bins of about equally many, in one piece or in batches', async () => {
    const values = Array.from({ length: 4000 }, (_, i) => Math.fround(((i * 2654435761) % 4000) / 4000));
    const layer = layers.discretization({ numBins: 4 });
    await expect(compute(() => layer.apply(ops.cast([1], 'float32')))).rejects.toThrow(/adapt/);
    for (const data of [values, [values.slice(0, 1500), values.slice(1500)].map((part) => ({ x: part }))]) {
      await layer.adapt(data);
      expect(layer.binBoundaries).toHaveLength(3);
      // The sketch is exact to epsilon = 1 % of all numbers.
      layer.binBoundaries!.forEach((boundary, i) => {
        expect(Math.abs(boundary - (i + 1) / 4)).toBeLessThan(0.02);
      });
    }
    expect(layer.getConfig()).toMatchObject({ num_bins: 4, epsilon: 0.01, bin_boundaries: layer.binBoundaries });
  });

  test('a summary of few numbers is all of them', () => {
    expect(summarize([3, 1, 2], 0.01)).toEqual({ values: [1, 2, 3], weights: [1, 1, 1] });
  });
});
