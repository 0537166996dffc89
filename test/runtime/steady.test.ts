import { execFileSync } from 'node:child_process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { type CallContext, Layer, layers, sequential, type Tensor } from '../../lib/index.js';
import { native } from '../../lib/native.js';
import { labels, packageFile, tabular, wave } from './models.js';

// Once everything is compiled, nothing is compiled, allocated or traced again.

test('a second epoch with a ragged tail compiles nothing and allocates nothing', async () => {
  const model = tabular();
  const seen: { liveBytes: number; allocations: number }[] = [];
  const watch = { onEpochEnd: () => void seen.push({ ...native.info().memory }) };
  await model.fit(wave([70, 20]), labels(70, 2), { epochs: 4, batchSize: 32, verbose: 0, callbacks: [watch] });
  expect(seen).toHaveLength(4);
  for (const [i, later] of seen.entries()) {
    if (i < 2) continue;
    expect(later.liveBytes).toBe(seen[1]!.liveBytes);
    // The two numbers of the log, loss and accuracy, are handed to JavaScript.
    expect(later.allocations - seen[i - 1]!.allocations).toBe(2);
  }
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

test('native memory of dropped models comes back when V8 collects them', { timeout: 120_000 }, async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const round = async () => {
    for (let i = 0; i < 10; ++i) await tabular().fit(wave([32, 20]), labels(32, 2), { epochs: 1, verbose: 0 });
    for (let i = 0; i < 3; ++i) {
      collect();
      await new Promise((done) => setTimeout(done, 10));
    }
    return native.info().memory.liveBytes;
  };
  const first = await round();
  await round();
  // A model with its slots takes some 100 KB: not even one of twenty may stay behind.
  expect((await round()) - first).toBeLessThan(100_000);
});

test('results of predictSync are collected in a loop that never yields to the event loop', () => {
  const model = sequential([layers.dense({ units: 1 << 18, inputShape: [1] })]);
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 1000; i++) model.predictSync([[i]]); // a megabyte each
  expect((process.memoryUsage().rss - before) >> 20).toBeLessThan(400);
});

test.skipIf(process.platform !== 'linux')('results lie in pages that are there already', () => {
  // In a process of its own: what a process has freed before decides how glibc goes about.
  const code = `
    const { layers, NDArray, sequential } = require(${JSON.stringify(packageFile)});
    const model = sequential([layers.dense({ units: 1 << 17, inputShape: [1] })]); // 128 pages
    const x = new NDArray(new Float32Array(1), [1, 1]);
    (async () => {
      for (const call of [() => model.predictSync(x), () => model.predict(x)]) {
        for (let i = 0; i < 200; i++) await call();
        const before = process.resourceUsage().minorPageFault;
        for (let i = 0; i < 300; i++) await call();
        console.log((process.resourceUsage().minorPageFault - before) / 300);
      }
    })();`;
  const faults = execFileSync(process.execPath, ['-e', code], { encoding: 'utf8' }).trim().split('\n').map(Number);
  expect(faults).toHaveLength(2);
  for (const each of faults) expect(each).toBeLessThan(12);
});
