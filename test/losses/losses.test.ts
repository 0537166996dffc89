import { describe, expect, test } from 'vitest';
import { compute, gradients, losses, type NDArray, ops, type Tensor } from '../../lib/index.js';
import { resolveLoss } from '../../lib/losses/loss.js';

const t = [
  [0, 1],
  [1, 0],
  [0.25, 0.75],
];
const p = [
  [0.1, 0.8],
  [0.6, 0.3],
  [0.4, 0.7],
];
const mean = (row: number[]): number => row.reduce((a, b) => a + b, 0) / row.length;
const rows = (fn: (t: number[], p: number[]) => number): number[] => t.map((row, i) => fn(row, p[i]!));
const each = (fn: (t: number, p: number) => number): number[] => rows((a, b) => mean(a.map((v, i) => fn(v, b[i]!))));
const e = 1e-7;

const formulas: Record<string, { make: () => losses.Loss; values: number[] }> = {
  mse: { make: () => losses.mse(), values: each((a, b) => (a - b) ** 2) },
  mae: { make: () => losses.mae(), values: each((a, b) => Math.abs(a - b)) },
  huber: {
    make: () => losses.huber({ delta: 0.3 }),
    values: each((a, b) => (Math.abs(a - b) <= 0.3 ? 0.5 * (a - b) ** 2 : 0.3 * Math.abs(a - b) - 0.045)),
  },
  logCosh: { make: () => losses.logCosh(), values: each((a, b) => Math.log(Math.cosh(b - a))) },
  binaryCrossentropy: {
    make: () => losses.binaryCrossentropy(),
    values: each((a, b) => -(a * Math.log(b) + (1 - a) * Math.log(1 - b))),
  },
  'binaryCrossentropy smoothed': {
    make: () => losses.binaryCrossentropy({ labelSmoothing: 0.2 }),
    values: each((a, b) => -((a * 0.8 + 0.1) * Math.log(b) + (1 - (a * 0.8 + 0.1)) * Math.log(1 - b))),
  },
  'binaryCrossentropy from logits': {
    make: () => losses.binaryCrossentropy({ fromLogits: true }),
    values: each((a, b) => Math.log1p(Math.exp(-b)) + (1 - a) * b),
  },
  categoricalCrossentropy: {
    make: () => losses.categoricalCrossentropy(),
    values: rows((a, b) => -a.reduce((sum, v, i) => sum + v * Math.log(b[i]! / (b[0]! + b[1]!)), 0)),
  },
  'categoricalCrossentropy from logits': {
    make: () => losses.categoricalCrossentropy({ fromLogits: true }),
    values: rows(
      (a, b) => -a.reduce((sum, v, i) => sum + v * (b[i]! - Math.log(Math.exp(b[0]!) + Math.exp(b[1]!))), 0),
    ),
  },
  klDivergence: {
    make: () => losses.klDivergence(),
    values: rows((a, b) => a.reduce((sum, v, i) => sum + Math.max(v, e) * Math.log(Math.max(v, e) / b[i]!), 0)),
  },
  poisson: { make: () => losses.poisson(), values: each((a, b) => b - a * Math.log(b + e)) },
};

const near = (got: NDArray, want: number[]): void => {
  expect(got.size).toBe(want.length);
  want.forEach((value, i) => {
    expect(got.data[i]).toBeCloseTo(value, 5);
  });
};

describe('losses by formula', () => {
  test.each(Object.keys(formulas))('%s: values, reductions, weights', async (name) => {
    const { make, values } = formulas[name]!;
    const loss = make();
    const weights = [2, 0, 1];
    const got = await compute(() => ({
      values: loss.call(ops.cast(t, 'float32'), ops.cast(p, 'float32')),
      reduced: loss.apply(t, p),
      weighted: loss.apply(t, p, weights),
    }));
    near(got.values, values);
    near(got.reduced, [mean(values)]);
    // Sample weights multiply, and the divisor stays the number of samples.
    near(got.weighted, [mean(values.map((value, i) => value * weights[i]!))]);
  });

  test('sparse cross-entropy equals the one-hot one, for [N] and [N, 1] labels', async () => {
    const got = await compute(() => [
      losses.sparseCategoricalCrossentropy([1, 0, 1], p),
      losses.sparseCategoricalCrossentropy([[1], [0], [1]], p),
      losses.categoricalCrossentropy(
        [
          [0, 1],
          [1, 0],
          [0, 1],
        ],
        p,
      ),
    ]);
    expect(got[0]!.data).toEqual(got[2]!.data);
    expect(got[1]!.data).toEqual(got[2]!.data);
  });

  test('targets [N] meet predictions [N, 1] without making [N, N]', async () => {
    const loss = await compute(() => losses.mse().apply([1, 2, 3], [[1], [2], [5]]));
    expect(loss.item()).toBeCloseTo(4 / 3, 6);
  });

  test('a softmax or sigmoid output is judged by its logits: no clip, no rounding', async () => {
    const z = [[200, -200]];
    const got = await compute(() => {
      const logits = ops.cast(z, 'float32');
      const cost = (y: number[], out: Tensor): Tensor => ops.mean(losses.categoricalCrossentropy([y], out));
      const wrong = cost([0, 1], ops.softmax(logits));
      return {
        wrong,
        binary: losses.binaryCrossentropy([[0]], ops.sigmoid([[150]])),
        gradient: gradients(wrong, [logits])[0]!,
      };
    });
    expect(got.wrong.item()).toBe(400);
    expect(got.binary.item()).toBe(150);
    expect(got.gradient.toNested()).toEqual([[1, -1]]);
  });

  test('shapes that cannot fit name the right loss', async () => {
    await expect(compute(() => losses.categoricalCrossentropy([1, 0, 1], p))).rejects.toThrow(
      /sparseCategoricalCrossentropy/,
    );
    await expect(compute(() => losses.sparseCategoricalCrossentropy(t, p))).rejects.toThrow(/categoricalCrossentropy/);
  });

  test('ignoreClass leaves samples out of the mean', async () => {
    const got = await compute(() => [
      losses.sparseCategoricalCrossentropy({ ignoreClass: -1 }).apply([1, -1, 1], p),
      losses.sparseCategoricalCrossentropy().apply([1, 1], [p[0]!, p[2]!]),
    ]);
    expect(got[0]!.item()).toBeCloseTo(got[1]!.item(), 5);
  });
});

test('a file of Keras may say null for no reduction', async () => {
  const saved = { class_name: 'Dice', config: { name: 'dice', reduction: null, axis: [1] } };
  const loss = resolveLoss(saved as never);
  expect(loss.reduction).toBe('none');
  // keras.losses.Dice(reduction=None, axis=(1,)) on these numbers, Keras 3.15.1.
  const values = await compute(() =>
    loss.apply(
      [
        [1, 0],
        [0, 1],
      ],
      [
        [0.5, 0.5],
        [0.25, 0.5],
      ],
    ),
  );
  expect(values.shape).toEqual([2]);
  for (const [i, value] of [0.5, 0.42857146].entries()) expect(values.data[i]).toBeCloseTo(value, 5);
});
