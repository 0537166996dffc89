import { expect, test } from 'vitest';
import { ChainruleError } from '../../lib/errors.js';
import { convolutional, labels, tabular, wave } from './models.js';

const x = wave([640, 12, 12, 3]);
const y = labels(640, 10);

test('abort rejects with its reason within a step, and the next fit works', { timeout: 60_000 }, async () => {
  const model = convolutional(16);
  await model.fit(x, y, { epochs: 1, batchSize: 64, verbose: 0 });
  const begin = performance.now();
  await model.fit(x, y, { epochs: 1, batchSize: 64, verbose: 0 });
  const step = (performance.now() - begin) / 10;

  const controller = new AbortController();
  const reason = new Error('enough');
  let aborted = 0;
  setTimeout(() => {
    aborted = performance.now();
    controller.abort(reason);
  }, step * 3);
  const fit = model.fit(x, y, { epochs: 1000, batchSize: 64, verbose: 0, signal: controller.signal });
  await expect(fit).rejects.toBe(reason);
  // One step, and 15 ms for timers and whoever else uses the cores.
  expect(performance.now() - aborted).toBeLessThan(step * 2 + 15);
  const { history } = await model.fit(x, y, { epochs: 1, batchSize: 64, verbose: 0 });
  expect(Number.isFinite(history.loss![0])).toBe(true);
});

test('an aborted signal stops a fit before it begins', async () => {
  const signal = AbortSignal.abort();
  const fit = tabular().fit(wave([32, 20]), labels(32, 2), { verbose: 0, signal });
  await expect(fit).rejects.toBe(signal.reason);
});

test('a second fit on a model that is fitting is refused, the first goes on', async () => {
  const model = tabular();
  const first = model.fit(wave([320, 20]), labels(320, 2), { epochs: 20, verbose: 0 });
  await expect(model.fit(wave([32, 20]), labels(32, 2), { verbose: 0 })).rejects.toBeInstanceOf(ChainruleError);
  expect((await first).history.loss).toHaveLength(20);
});

test('a predict during a long epoch waits less than two steps', { timeout: 60_000 }, async () => {
  const model = convolutional(16);
  const row = wave([1, 12, 12, 3]);
  await model.predict(row);
  await model.fit(x, y, { epochs: 1, batchSize: 64, verbose: 0 });
  const begin = performance.now();
  await model.fit(x, y, { epochs: 2, batchSize: 64, verbose: 0 });
  const step = (performance.now() - begin) / 20;

  const controller = new AbortController();
  const fit = model.fit(x, y, { epochs: 1000, batchSize: 64, verbose: 0, signal: controller.signal }).catch(() => {});
  await new Promise((done) => setTimeout(done, 5 * step));
  const waits: number[] = [];
  for (let i = 0; i < 9; ++i) {
    const asked = performance.now();
    await model.predict(row);
    waits.push(performance.now() - asked);
    await new Promise((done) => setTimeout(done, step));
  }
  controller.abort();
  await fit;
  const median = waits.sort((a, b) => a - b)[4]!;
  expect(median, `steps take ${step.toFixed(1)} ms, waits ${waits.map((w) => w.toFixed(1))}`).toBeLessThan(
    2 * step + 2,
  );
});
