import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { layers, sequential } from '../../lib/index.js';
import { native } from '../../lib/native.js';
import { convolutional, packageFile, wave } from './models.js';

// predictSync shares large plans with threads of its own: the same numbers, and no thread where none is needed.

const { threads: usual, parallelThreshold } = { ...native.info(), parallelThreshold: 10_000 };
afterEach(() => native.configure({ threads: usual, parallelThreshold }));

test('predictSync gives the bits of predict on 1 to 5 threads, again and again', async () => {
  const model = convolutional(8);
  const x = wave([6, 12, 12, 3]);
  const expected = await model.predict(x);
  native.configure({ parallelThreshold: 0 });
  for (const threads of [2, 5, 1, 3, 2]) {
    native.configure({ threads });
    const fresh = convolutional(8);
    fresh.setWeights(await model.getWeights());
    for (let i = 0; i < 20; ++i) expect(fresh.predictSync(x).data, `${threads} threads`).toEqual(expected.data);
  }
});

test('predictSync is right while another model trains', async () => {
  const model = sequential([layers.dense({ units: 600, inputShape: [600] })]);
  const other = sequential([layers.dense({ units: 8, inputShape: [8] })]);
  other.compile({ optimizer: 'sgd', loss: 'meanSquaredError' });
  const x = wave([16, 600]);
  native.configure({ threads: 2 });
  const expected = await model.predict(x);
  let training = true;
  const fit = other.fit(wave([4096, 8]), wave([4096, 8]), { epochs: 20, verbose: 0 }).finally(() => {
    training = false;
  });
  let calls = 0;
  while (training) {
    expect(model.predictSync(x).data).toEqual(expected.data);
    ++calls;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await fit;
  expect(calls).toBeGreaterThan(0);
});

/** Runs a script with the package and models in a process of its own; gives what it logs. */
function script(body: string, threads: number, preload?: string): unknown {
  const source = `
    const { readdirSync } = require('node:fs');
    const { Worker } = require('node:worker_threads');
    const file = ${JSON.stringify(packageFile)};
    const { sequential, layers, setNumThreads } = require(file);
    setNumThreads(${threads});
    const threads = () => readdirSync('/proc/self/task').length;
    const dense = (units) => sequential([layers.dense({ units, inputShape: [units] })]);
    const predict = (units) => { const model = dense(units); return () => model.predictSync(new Float32Array(units)); };
    (async () => { ${body} })();`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', source], {
    encoding: 'utf8',
    timeout: 60_000,
    env: { ...process.env, ...(preload && { LD_PRELOAD: preload }) },
  });
  if (status !== 0) throw new Error(`status ${status}: ${stderr}`);
  return JSON.parse(stdout);
}

const hasTasks = process.platform === 'linux' && readdirSync('/proc/self/task').length > 0;
if (!hasTasks) console.log('threads of predictSync: skipped, /proc lists no threads here');

test.skipIf(!hasTasks)('a large layer starts one thread a core but the own one, a small one none', () => {
  const count = `
    const before = threads();
    const small = predict(16); small();
    const afterSmall = threads();
    const large = predict(1024); large(); large();
    console.log(JSON.stringify([afterSmall - before, threads() - before]));`;
  expect(script(count, 3)).toEqual([0, 2]);
  expect(script(count, 1)).toEqual([0, 0]);
});

test.skipIf(!hasTasks)('a system without threads leaves the work to the caller', () => {
  const folder = mkdtempSync(join(tmpdir(), 'chainrule-'));
  const library = join(folder, 'failing.so');
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-o', library, join(__dirname, 'failing_threads.c'), '-ldl']);
    const results = script(
      `const large = predict(1024);
      process.env.NO_THREADS = '1';
      const alone = large();
      delete process.env.NO_THREADS;
      const before = threads();
      const together = large();
      console.log(JSON.stringify([Buffer.compare(Buffer.from(alone.buffer), Buffer.from(together.buffer)), threads() - before]));`,
      3,
      library,
    );
    expect(results).toEqual([0, 2]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.skipIf(!hasTasks)('the threads end with their worker', () => {
  const worker = (file: string) => `
    const { sequential, layers, setNumThreads } = require(${JSON.stringify(file)});
    const model = sequential([layers.dense({ units: 1024, inputShape: [1024] })]);
    model.predictSync(new Float32Array(1024));
    require('node:worker_threads').parentPort.postMessage(require('node:fs').readdirSync('/proc/self/task').length);
    setInterval(() => {}, 1000);`;
  const left = script(
    `predict(16)();
    const before = threads();
    const worker = new Worker(${JSON.stringify(worker(packageFile))}, { eval: true });
    const during = await new Promise((done) => worker.once('message', done));
    await worker.terminate();
    const until = Date.now() + 5000;
    while (threads() > before && Date.now() < until) await new Promise((done) => setTimeout(done, 10));
    console.log(JSON.stringify([during >= before + 2, threads() - before]));`,
    2,
  );
  expect(left).toEqual([true, 0]);
});
