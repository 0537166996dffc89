import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import { packageFile } from './models.js';

// Each worker has a lane of its own: two small fits at once use two cores. Processor time against the clock says how many cores
// were at work, whatever else the machine does.

const isSingle = availableParallelism() < 2;
if (isSingle) console.log('two workers on two cores: skipped, there is one core');

/** What the machine gives at the moment: two workers that only count. */
const counting = `
  require('node:worker_threads').parentPort.postMessage('ready');
  require('node:worker_threads').parentPort.once('message', () => {
    const end = performance.now() + 700;
    while (performance.now() < end);
    require('node:worker_threads').parentPort.postMessage('done');
  });`;

const training = `
  const c = require(${JSON.stringify(packageFile)});
  const { parentPort } = require('node:worker_threads');
  const x = new c.NDArray(new Float32Array(3200 * 20).fill(0.5), [3200, 20]);
  const y = new c.NDArray(new Float32Array(3200), [3200]);
  const model = c.sequential([c.layers.dense({ units: 16, activation: 'relu', inputShape: [20] }), c.layers.dense({ units: 1 })]);
  model.compile({ optimizer: 'sgd', loss: 'mse' });
  model.fit(x, y, { epochs: 1, verbose: 0 }).then(() => {
    parentPort.postMessage('ready');
    parentPort.once('message', async () => {
      await model.fit(x, y, { epochs: 400, verbose: 0 });
      parentPort.postMessage('done');
    });
  });`;

const program = (workers: number, work: string) => `
  const { Worker } = require('node:worker_threads');
  const { performance } = require('node:perf_hooks');
  (async () => {
    const all = Array.from({ length: ${workers} }, () => new Worker(${JSON.stringify(work)}, { eval: true }));
    const next = (worker) => new Promise((done, fail) => worker.once('message', done).once('error', fail));
    await Promise.all(all.map(next));
    const [begin, used] = [performance.now(), process.cpuUsage()];
    const done = all.map(next);
    for (const worker of all) worker.postMessage('go');
    await Promise.all(done);
    const { user, system } = process.cpuUsage(used);
    const clock = performance.now() - begin;
    console.log(JSON.stringify({ clock, cores: (user + system) / 1000 / clock }));
    process.exit(0);
  })();`;

test.skipIf(isSingle)('two workers training small models at once use two cores', { timeout: 120_000 }, ({ skip }) => {
  const measure = (workers: number, work: string) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', program(workers, work)], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(stderr);
    return JSON.parse(stdout.trim()) as { clock: number; cores: number };
  };
  // The machine may be busy: before and after, two threads that only count say how much of two cores is to be had.
  const before = measure(2, counting).cores;
  const one = measure(1, training);
  const two = measure(2, training);
  const available = Math.min(before, measure(2, counting).cores);
  console.log(
    `one worker ${one.clock.toFixed(0)} ms on ${one.cores.toFixed(2)} cores, two ${two.clock.toFixed(0)} ms on ` +
      `${two.cores.toFixed(2)}; two that count get ${available.toFixed(2)}`,
  );
  if (available < 1.5) skip(`the machine gives ${available.toFixed(2)} cores now`);
  // One lane for both could never use more than one core.
  expect(two.cores).toBeGreaterThan(0.8 * available);
});
