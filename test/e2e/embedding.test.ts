import { describe, expect, test } from 'vitest';
import {
  Dataset,
  functional,
  input,
  layers,
  NDArray,
  ops,
  optimizers,
  sequential,
  setRandomSeed,
  type Tensor,
} from '../../lib/index.js';
import { holdTo, type Metrics, regressionMetrics } from './judge.js';
import { differsFrom, digits, isThere, type Recipe, recipe, type Split } from './sources.js';
import { trained } from './train.js';

// Digits without labels as targets: an autoencoder, and an embedding by the triplet loss.

const pixels = 784;

/** Anchor, positive and negative of each step of an epoch, by the recipe's formula. */
function schedule(epoch: number, labels: Float32Array): [number, number, number][] {
  const classes = Array.from({ length: 10 }, (_, c) => [...labels.keys()].filter((i) => labels[i] === c));
  const rank = new Map(classes.flatMap((list) => list.map((i, r) => [i, r] as const)));
  return Array.from(labels, (y, i) => {
    const own = classes[y]!;
    const positive = own[(rank.get(i)! + 1 + ((131 * epoch + i) % (own.length - 1))) % own.length]!;
    const other = classes[(y + 1 + ((epoch + i) % 9)) % 10]!;
    return [i, positive, other[(17 * i + 7919 * epoch) % other.length]!];
  });
}

/** mean of max(d(a, p) - d(a, n) + 1, 0), on [N, 96] = anchor, positive and negative side by side. */
function tripletLoss(_: Tensor, joined: Tensor): Tensor {
  const [anchor, positive, negative] = ops.split(joined, 3, 1) as [Tensor, Tensor, Tensor];
  const distance = (u: Tensor, v: Tensor): Tensor =>
    ops.sqrt(ops.add(ops.sum(ops.square(ops.subtract(u, v)), { axis: 1 }), 1e-12));
  return ops.maximum(ops.add(ops.subtract(distance(anchor, positive), distance(anchor, negative)), 1), 0);
}

async function triplet(
  { training }: Recipe,
  seed: number,
  { train, trainTargets, test, testTargets }: Split,
): Promise<Metrics> {
  setRandomSeed(seed);
  const encoder = sequential([
    layers.dense({ units: 256, activation: 'relu', inputShape: [pixels] }),
    layers.dense({ units: 32 }),
  ]);
  const inputs = [0, 1, 2].map(() => input({ shape: [pixels] }));
  const joined = layers.concatenate().apply(inputs.map((one) => encoder.apply(one)));
  const model = functional({ inputs, outputs: joined });
  model.compile({ optimizer: optimizers.adam({ learningRate: training.optimizer.learning_rate }), loss: tripletLoss });
  const rows = (ids: number[]): NDArray => {
    const data = new Float32Array(ids.length * pixels);
    ids.forEach((id, k) => {
      data.set(train.data.subarray(id * pixels, (id + 1) * pixels), k * pixels);
    });
    return new NDArray(data, [ids.length, pixels]);
  };
  let epoch = 0;
  function* batches(at: number) {
    const order = schedule(at, trainTargets.data);
    for (let i = 0; i < order.length; i += training.batchSize) {
      const part = order.slice(i, i + training.batchSize);
      yield { x: [0, 1, 2].map((k) => rows(part.map((three) => three[k]!))), y: new Float32Array(part.length) };
    }
  }
  await model.fit(
    Dataset.from(() => batches(epoch++)),
    { epochs: training.epochs, verbose: 0 },
  );
  const { loss } = await model.evaluate(Dataset.from(() => batches(training.epochs - 1)));
  const [own, others] = await Promise.all(
    [train, test].map(({ data, shape }) => encoder.predict(new NDArray(data, shape))),
  );
  const nearest = (row: number): number => {
    let [best, at] = [Number.POSITIVE_INFINITY, 0];
    for (let i = 0; i < trainTargets.data.length; i++) {
      let sum = 0;
      for (let k = 0; k < 32; k++) sum += (own!.data[i * 32 + k]! - others!.data[row * 32 + k]!) ** 2;
      if (sum < best) [best, at] = [sum, i];
    }
    return trainTargets.data[at]!;
  };
  const right = Array.from(testTargets.data).filter((label, row) => nearest(row) === label).length;
  return { accuracy: right / testTargets.data.length, loss: loss! };
}

describe.skipIf(!isThere)('whole jobs without labels as targets', () => {
  test('autoencoder', { timeout: 600_000 }, async () => {
    const steps = recipe('autoencoder');
    const { train, test: held } = digits([pixels]);
    const split = { train, trainTargets: train, test: held, testTargets: held };
    for (const [name, table] of Object.entries(split))
      expect(differsFrom(table, steps.inputCheck[name as keyof Split]), name).toEqual([]);
    const build = () =>
      sequential([
        layers.dense({ units: 64, activation: 'relu', inputShape: [pixels] }),
        layers.dense({ units: pixels, activation: 'sigmoid' }),
      ]);
    await holdTo(
      steps,
      async (seed) => ({
        reconstructionLoss: regressionMetrics(await trained(steps, seed, build, split), held.data).rmse! ** 2,
      }),
      5,
    );
  });

  test('triplet', { timeout: 600_000 }, async () => {
    const steps = recipe('triplet');
    const split = digits([pixels]);
    const checks = steps.inputCheck as Record<string, Recipe['inputCheck']['train']>;
    const first = schedule(0, split.trainTargets.data);
    for (const k of [0, 1, 2]) {
      const data = Float32Array.from(first, (three) => three[k]!);
      expect(differsFrom({ data, shape: [8000] }, checks[`scheduleOfEpoch0_${k}`]!)).toEqual([]);
    }
    await holdTo(steps, (seed) => triplet(steps, seed, split), 5);
  });
});
