import { describe, expect, test } from 'vitest';
import { layers, sequential } from '../../lib/index.js';
import { holdTo, regressionMetrics } from './judge.js';
import { pollution, temperature } from './series.js';
import { checkInput, isThere, recipe } from './sources.js';
import { trained } from './train.js';

// Forecasts of real time series by recurrent networks.

describe.skipIf(!isThere)('whole jobs on time series', () => {
  const recurrent = {
    lstm: () => sequential([layers.lstm({ units: 32, inputShape: [30, 1] }), layers.dense({ units: 1 })]),
    gru: () => sequential([layers.gru({ units: 32, inputShape: [24, 11] }), layers.dense({ units: 1 })]),
  };
  test.each([
    { job: 'forecast-temperature', read: temperature, build: recurrent.lstm },
    { job: 'forecast-pollution', read: pollution, build: recurrent.gru },
  ])('$job', { timeout: 600_000 }, async ({ job, read, build }) => {
    const steps = recipe(job);
    const { split, mean, deviation } = read();
    checkInput(steps, split);
    const scaled = (values: ArrayLike<number>): number[] => Array.from(values, (value) => value * deviation + mean);
    await holdTo(
      steps,
      async (seed) =>
        regressionMetrics(scaled(await trained(steps, seed, build, split)), scaled(split.testTargets.data)),
      5,
    );
  });

  test('the windows are those that Keras saw', () => {
    expect(temperature().mean).toBeCloseTo(11.10575, 5);
    expect(pollution().deviation).toBeCloseTo(90.27564, 4);
  });
});
