import { describe, test } from 'vitest';
import { averageOf, binaryMetrics, holdTo, type Metrics, rareMetrics, regressionMetrics } from './judge.js';
import { checkInput, isThere, recipe } from './sources.js';
import { readRows, splitRows } from './tabular.js';
import { mlp, trained } from './train.js';

// Small jobs on real tables: as good as Keras at the end, from our own initial weights and shuffling.

const minutes = 60_000;

describe.skipIf(!isThere)('whole jobs on tables', () => {
  test.each([
    { job: 'loan', hidden: [64, 32], target: (cell: string) => Number(cell === '1') },
    { job: 'disease-breast', hidden: [32, 16], target: (cell: string) => Number(cell === '4') },
    { job: 'disease-pima', hidden: [32, 16], target: Number },
  ])('$job', { timeout: 3 * minutes }, async ({ job, hidden, target }) => {
    const steps = recipe(job);
    const rows = readRows(steps, target);
    const folds = [0, 1, 2, 3, 4].map((fold) => splitRows(rows, steps, (row) => row % 5 === fold));
    checkInput(steps, folds[0]!);
    await holdTo(steps, async (seed) => {
      const perFold: Metrics[] = [];
      for (const split of folds) {
        const build = () => mlp(split.train.shape[1]!, hidden, 1, 'sigmoid');
        perFold.push(binaryMetrics(await trained(steps, seed, build, split), split.testTargets.data));
      }
      return averageOf(perFold);
    });
  });

  test('fraud', { timeout: 3 * minutes }, async () => {
    const steps = recipe('fraud');
    const rows = readRows(steps, (cell) => Number(cell === "'1'"));
    const folds = [0, 1, 2, 3, 4].map((fold) => splitRows(rows, steps, (row) => row % 5 === fold));
    checkInput(steps, folds[0]!);
    await holdTo(steps, async (seed) => {
      const perFold: Metrics[] = [];
      for (const split of folds) {
        const labels = split.trainTargets.data;
        const positives = labels.reduce((a, b) => a + b, 0);
        const classWeight = {
          0: labels.length / (2 * (labels.length - positives)),
          1: labels.length / (2 * positives),
        };
        const predicted = await trained(steps, seed, () => mlp(6, [32, 16], 1, 'sigmoid'), split, { classWeight });
        perFold.push(rareMetrics(predicted, split.testTargets.data));
      }
      return averageOf(perFold);
    });
  });

  test('regression-wine', { timeout: 3 * minutes }, async () => {
    const steps = recipe('regression-wine');
    const split = splitRows(readRows(steps, Number), steps, (row) => row % 5 === 0);
    checkInput(steps, split);
    await holdTo(steps, async (seed) => {
      const predicted = await trained(steps, seed, () => mlp(11, [64, 64], 1, 'linear'), split);
      return regressionMetrics(predicted, split.testTargets.data);
    });
  });
});
