import { expect, test } from 'vitest';
import { compute, regularizers } from '../../lib/index.js';

const penalty = async (options: { factor?: number; mode?: 'rows' | 'columns' }, x: number[][]): Promise<number> =>
  (await compute(() => regularizers.orthogonalRegularizer(options).apply(x))).item();

test('orthogonal rows cost nothing, parallel ones the factor; columns by their own angles', async () => {
  expect(
    await penalty({}, [
      [1, 0, 0],
      [0, 2, 0],
    ]),
  ).toBe(0);
  expect(
    await penalty({ factor: 0.5 }, [
      [1, 2],
      [-2, -4],
    ]),
  ).toBeCloseTo(0.5, 6);
  // The columns (1, 0) and (1, 1) meet at 45 degrees.
  expect(
    await penalty({ factor: 1, mode: 'columns' }, [
      [1, 1],
      [0, 1],
    ]),
  ).toBeCloseTo(Math.SQRT1_2, 6);
});

test('has its config, and refuses what is no matrix', async () => {
  const made = regularizers.get({
    class_name: 'OrthogonalRegularizer',
    config: { factor: 0.1, mode: 'columns' },
  } as never);
  expect(made!.getConfig()).toEqual({ factor: 0.1, mode: 'columns' });
  await expect(penalty({}, [1, 2] as never)).rejects.toThrow(/matrix/);
  expect(() => regularizers.orthogonalRegularizer({ mode: 'diagonals' as never })).toThrow(/rows/);
});
