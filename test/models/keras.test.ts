import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type Batch,
  type CallContext,
  functional,
  input,
  layers,
  losses,
  Model,
  NDArray,
  ops,
  optimizers,
  type Sequential,
  type StepContext,
  sequential,
  setRandomSeed,
  type Tensor,
  trace,
  type Variable,
} from '../../lib/index.js';

// What real Keras computes where a layer is called twice or two optimizers share a step (scripts/keras-reference.py): a variable
// read and written several times in one step must be read and written in program order.

interface Reference {
  batchNormTwice: Record<'loss' | 'gamma' | 'beta' | 'movingMean' | 'movingVariance' | 'predictions', number[]>;
  dropoutTwice: { zeros: number[]; kept: number; bothZero: { calls: number; steps: number } };
  gan: { dLoss: number[]; gLoss: number[]; generator: number[][]; discriminator: number[][] };
  sharedLayer: { loss: number[]; weights: number[][] };
}
const reference = JSON.parse(readFileSync(join(__dirname, 'keras-reference.json'), 'utf8')) as Reference;

/** The script's formula. */
function wave(shape: readonly number[], phase: number): NDArray {
  const count = shape.reduce((a, b) => a * b, 1);
  return new NDArray(
    Float32Array.from({ length: count }, (_, i) => Math.sin(0.7 * i + phase) / 2),
    [...shape],
  );
}

async function setAll(variables: readonly Variable[]): Promise<void> {
  for (const [i, variable] of variables.entries()) await variable.write(wave(variable.shape as number[], i + 1));
}

/** Two float32 computations in different orders: a few rounding errors per step of values up to 1, over a handful of steps. */
function expectClose(got: ArrayLike<number>, want: number[], what: string): void {
  expect(got.length, what).toBe(want.length);
  for (const [i, value] of want.entries()) {
    expect(Math.abs(got[i]! - value), `${what}[${i}]: ${got[i]} against ${value}`).toBeLessThan(
      2e-6 * Math.max(1, Math.abs(value)),
    );
  }
}

class Twice extends Model {
  readonly norm = layers.batchNormalization({ momentum: 0.8 });
  readonly dense = layers.dense({ units: 1 });

  override call(x: Tensor, ctx: CallContext): Tensor {
    const once = this.norm.apply(x, ctx);
    return this.dense.apply(this.norm.apply(ops.tanh(once).mul(2).add(1), ctx));
  }
}

test('a batch normalisation called twice moves its statistics twice', async () => {
  const want = reference.batchNormTwice;
  const model = new Twice();
  const [x, y] = [wave([6, 3], 0), wave([6, 1], 9)];
  model.build([null, 3]);
  await setAll(model.trainableWeights);
  model.compile({ optimizer: optimizers.sgd({ learningRate: 0.1 }), loss: 'meanSquaredError' });
  const { history } = await model.fit(x, y, { batchSize: 6, epochs: 3, shuffle: false, verbose: 0 });
  expectClose(history.loss!, want.loss, 'loss');
  const state = model.norm.weights;
  for (const [i, name] of (['gamma', 'beta', 'movingMean', 'movingVariance'] as const).entries()) {
    expectClose((await state[i]!.value()).data, want[name], name);
  }
  expectClose((await model.predict(x)).data, want.predictions, 'predictions');
});

describe('dropout called twice', () => {
  const zeroShare = (...masks: Float32Array[]) =>
    masks[0]!.filter((_, i) => masks.every((mask) => mask[i] === 0)).length / masks[0]!.length;

  test('draws two masks in a step, and others in the next', async () => {
    const want = reference.dropoutTwice;
    setRandomSeed(3);
    const dropout = layers.dropout({ rate: 0.4 });
    const step = trace(({ x }: { x: Tensor }) => [
      dropout.apply(x, { training: true }),
      dropout.apply(x, { training: true }),
    ]);
    const x = new NDArray(new Float32Array(20_000).fill(1), [20, 1000]);
    const outs = [...(await step.run({ x })), ...(await step.run({ x }))].map(({ data }) => data as Float32Array);
    // Five standard errors of a share among 20,000; Keras's own numbers lie within them too.
    const near = (share: number, expected: number) =>
      expect(Math.abs(share - expected)).toBeLessThan(5 * Math.sqrt((expected * (1 - expected)) / 20_000));
    for (const [i, out] of outs.entries()) {
      near(zeroShare(out), 0.4);
      near(want.zeros[i]!, 0.4);
      expect(Math.max(...out)).toBeCloseTo(want.kept, 6);
    }
    // Independent masks share 0.16 of their zeros; equal masks would share 0.4.
    near(zeroShare(outs[0]!, outs[1]!), 0.16);
    near(zeroShare(outs[0]!, outs[2]!), 0.16);
    near(want.bothZero.calls, 0.16);
    near(want.bothZero.steps, 0.16);
  });
});

class Gan extends Model {
  readonly generator: Sequential = sequential([
    layers.dense({ units: 4, activation: 'tanh', inputShape: [2] }),
    layers.dense({ units: 3 }),
  ]);
  readonly discriminator: Sequential = sequential([
    layers.dense({ units: 5, activation: 'tanh', inputShape: [3] }),
    layers.dense({ units: 1 }),
  ]);
  readonly dOptimizer = optimizers.adam({ learningRate: 0.01 });
  readonly gOptimizer = optimizers.sgd({ learningRate: 0.1, momentum: 0.9 });
  readonly criterion = losses.binaryCrossentropy({ fromLogits: true });

  override call(x: Tensor): Tensor {
    return this.discriminator.apply(this.generator.apply(x) as Tensor) as Tensor;
  }

  override trainStep({ x: real, y: noise }: Batch, s: StepContext) {
    const judged = (x: Tensor) => this.discriminator.apply(x) as Tensor;
    const made = () => this.generator.apply(noise as Tensor) as Tensor;
    const loss = (target: 0 | 1, logits: Tensor) =>
      this.criterion.apply(target ? ops.onesLike(logits) : ops.zerosLike(logits), logits);
    const dLoss = s.minimize(
      () => loss(1, judged(real as Tensor)).add(loss(0, judged(made()))),
      this.dOptimizer,
      this.discriminator.trainableWeights,
    );
    const gLoss = s.minimize(() => loss(1, judged(made())), this.gOptimizer, this.generator.trainableWeights);
    return { dLoss: s.track('dLoss', dLoss), gLoss: s.track('gLoss', gLoss) };
  }
}

test('a GAN step: the generator learns against the discriminator that was just updated', async () => {
  const want = reference.gan;
  const model = new Gan();
  model.build([null, 2]);
  await setAll(model.generator.trainableWeights);
  await setAll(model.discriminator.trainableWeights);
  model.compile({});
  const { history } = await model.fit(wave([8, 3], 0), wave([8, 2], 5), {
    batchSize: 8,
    epochs: 5,
    shuffle: false,
    verbose: 0,
  });
  expectClose(history.dLoss!, want.dLoss, 'dLoss');
  expectClose(history.gLoss!, want.gLoss, 'gLoss');
  for (const part of ['generator', 'discriminator'] as const) {
    for (const [i, variable] of model[part].trainableWeights.entries()) {
      expectClose((await variable.value()).data, want[part][i]!, `${part} ${variable.name}`);
    }
  }
});

test('a shared layer collects the gradients of its uses', async () => {
  const want = reference.sharedLayer;
  const [a, b] = [input({ shape: [3] }), input({ shape: [3] })];
  const shared = layers.dense({ units: 4, activation: 'tanh' });
  const joined = layers.concatenate().apply([shared.apply(a), shared.apply(b)]);
  const model = functional({ inputs: [a, b], outputs: layers.dense({ units: 1 }).apply(joined) });
  await setAll(model.trainableWeights);
  model.compile({ optimizer: optimizers.adam({ learningRate: 0.05 }), loss: 'meanSquaredError' });
  const { history } = await model.fit([wave([8, 3], 0), wave([8, 3], 2)], wave([8, 1], 4), {
    batchSize: 4,
    epochs: 4,
    shuffle: false,
    verbose: 0,
  });
  expectClose(history.loss!, want.loss, 'loss');
  for (const [i, variable] of model.trainableWeights.entries()) {
    expectClose((await variable.value()).data, want.weights[i]!, variable.name);
  }
});
