import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { packageFile } from './models.js';

// A process or worker may end at any moment of a fit: cleanly, without a signal and without a word on stderr.

const isLong = process.env.CHAINRULE_TEST_LONG === '1';
const times = isLong ? 100 : 12;

/** Starts a fit that would take minutes and calls `after` some milliseconds into it. */
const fitting = (after: string) => `
  const c = require(${JSON.stringify(packageFile)});
  const x = new c.NDArray(new Float32Array(6400 * 20), [6400, 20]);
  const y = new c.NDArray(new Float32Array(6400), [6400]);
  const model = c.sequential([c.layers.dense({ units: 64, activation: 'relu', inputShape: [20] }), c.layers.dense({ units: 1 })]);
  model.compile({ optimizer: 'adam', loss: 'mse' });
  model.fit(x, y, { epochs: 100000, verbose: 0 }).catch(() => {});
  ${after}`;

function run(script: string) {
  const { status, signal, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 60_000 });
  return { status, signal, stderr };
}

describe('in mid-fit', () => {
  test(`process.exit ends cleanly, ${times} times`, { timeout: 600_000 }, () => {
    for (let i = 0; i < times; ++i) {
      const script = fitting(`setTimeout(() => process.exit(7), ${(i * 5) % 60});`);
      expect(run(script), `exit after ${(i * 5) % 60} ms`).toEqual({ status: 7, signal: null, stderr: '' });
    }
  });

  test(`worker.terminate ends cleanly, ${times} times`, { timeout: 600_000 }, () => {
    const body = JSON.stringify(fitting(`require('node:worker_threads').parentPort.postMessage('fitting');`));
    const script = `
      const { Worker } = require('node:worker_threads');
      (async () => {
        for (let i = 0; i < ${times}; ++i) {
          const worker = new Worker(${body}, { eval: true });
          await new Promise((done, fail) => worker.once('message', done).once('error', fail));
          await new Promise((done) => setTimeout(done, (i * 5) % 60));
          await worker.terminate();
        }
        ${fitting('setTimeout(() => process.exit(9), 20);')}
      })();`;
    expect(run(script)).toEqual({ status: 9, signal: null, stderr: '' });
  });

  test('SIGTERM ends the process', { timeout: 60_000 }, () => {
    expect(run(fitting(`setTimeout(() => process.kill(process.pid, 'SIGTERM'), 30);`))).toEqual({
      status: null,
      signal: 'SIGTERM',
      stderr: '',
    });
  });
});

test('a process whose work is done ends by itself', { timeout: 60_000 }, () => {
  const script = `
    const c = require(${JSON.stringify(packageFile)});
    c.compute(() => c.ops.add(1, 2)).then((out) => { if (out.data[0] !== 3) process.exit(1); });`;
  expect(run(script)).toEqual({ status: 0, signal: null, stderr: '' });
});
