import { describe, expect, test } from 'vitest';
import { layers, sequential } from '../../lib/index.js';
import { classMetrics, holdTo } from './judge.js';
import { differsFrom, digits, isThere, recipe } from './sources.js';
import { mlp, trained } from './train.js';

// Real handwriting: a small convolutional network and a plain one.

const cnn = () =>
  sequential([
    layers.conv2d({ filters: 32, kernelSize: 3, activation: 'relu', inputShape: [28, 28, 1] }),
    layers.maxPooling2d({ poolSize: 2 }),
    layers.conv2d({ filters: 64, kernelSize: 3, activation: 'relu' }),
    layers.maxPooling2d({ poolSize: 2 }),
    layers.flatten(),
    layers.dropout({ rate: 0.5 }),
    layers.dense({ units: 10, activation: 'softmax' }),
  ]);

describe.skipIf(!isThere)('whole jobs on digits', () => {
  test.each([
    { job: 'mnist-cnn', shape: [28, 28, 1], build: cnn },
    { job: 'mnist-mlp', shape: [784], build: () => mlp(784, [512, 256], 10, 'softmax') },
  ])('$job', { timeout: 600_000 }, async ({ job, shape, build }) => {
    const steps = recipe(job);
    const split = digits(shape);
    for (const name of ['train', 'trainTargets', 'test', 'testTargets'] as const) {
      expect(differsFrom(split[name], steps.inputCheck[name]), name).toEqual([]);
    }
    const run = async (seed: number) =>
      classMetrics(await trained(steps, seed, build, split), split.testTargets.data, 10);
    await holdTo(steps, run, 5);
  });
});
