import { describe, expect, test } from 'vitest';
import { type CallContext, Layer, layers, sequential, type Tensor } from '../../lib/index.js';
import { native } from '../../lib/native.js';
import { labels, tabular, wave } from './models.js';

// Once everything is compiled, nothing is compiled, allocated or traced again.

test('a second epoch with a ragged tail compiles nothing and allocates nothing', async () => {
  const model = tabular();
  const seen: { liveBytes: number; allocations: number }[] = [];
  const watch = { onEpochEnd: () => void seen.push({ ...native.info().memory }) };
  await model.fit(wave([70, 20]), labels(70, 2), { epochs: 4, batchSize: 32, verbose: 0, callbacks: [watch] });
  expect(seen).toHaveLength(4);
  for (const later of seen.slice(2)) expect(later).toEqual(seen[1]);
});

class Counting extends Layer {
  calls = 0;

  override call(x: Tensor, _context: CallContext): Tensor {
    this.calls += 1;
    return x.mul(2);
  }
}

describe('JavaScript of call', () => {
  test('runs once for all batch sizes of training, and once for all of prediction', async () => {
    const counting = new Counting();
    const model = sequential([layers.dense({ units: 3, inputShape: [4] }), counting, layers.dense({ units: 1 })]);
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
    const built = counting.calls;
    await model.fit(wave([50, 4]), wave([50, 1]), { epochs: 3, batchSize: 16, verbose: 0 });
    expect(counting.calls - built).toBe(1);
    for (const rows of [1, 7, 33, 50]) await model.predict(wave([rows, 4]));
    expect(counting.calls - built).toBe(2);
    await model.evaluate(wave([10, 4]), wave([10, 1]), { verbose: 0 });
    await model.fit(wave([30, 4]), wave([30, 1]), { epochs: 1, batchSize: 7, verbose: 0 });
    expect(counting.calls - built).toBeLessThanOrEqual(3);
  });
});

test('memory of dropped models comes back', { timeout: 120_000 }, async () => {
  const { gc } = globalThis as { gc?: () => void };
  const sizes: number[] = [];
  for (let round = 0; round < 40; ++round) {
    const model = tabular();
    await model.fit(wave([32, 20]), labels(32, 2), { epochs: 1, verbose: 0 });
    if (round % 10 === 9) {
      gc?.();
      await new Promise((done) => setTimeout(done, 20));
      sizes.push(native.info().memory.liveBytes);
    }
  }
  // One model with its slots takes some 100 KB; forty of them must not lie around.
  expect(sizes.at(-1)! - sizes[0]!).toBeLessThan(20 * 100_000);
});
