import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { canFake, fakeGpu, library, prelude, runScript, stateFile } from './fake_driver.js';
import { callLog, fakeCublasLt, fakeCudnn } from './fake_libraries.js';

// What processes share by a file of measured choices.

const ready = canFake('measured choices');
const folder = ready ? fakeCublasLt() : '';
const log = join(folder || tmpdir(), 'calls');
const calls = callLog(log);
const freshFile = () => join(mkdtempSync(join(tmpdir(), 'chainrule-autotune-')), 'choices.txt');

/** Predictions of dense layers from `from` to `to` - 1 units, each in a program of its own, and what info says. */
const script = (from: number, to: number) => `
const cr = require('./dist/chainrule.js');
(async () => {
  const results = [];
  for (let units = ${from}; units < ${to}; ++units) {
    const model = cr.sequential([cr.layers.dense({ units, inputShape: [6], kernelInitializer: 'ones' })]);
    model.compile({ device: 'cuda' });
    results.push((await model.predict([[1, 2, 3, 4, 5, 6]])).data[0]);
  }
  console.log(JSON.stringify(results));
})().catch((error) => { console.error(error); process.exit(1); });`;

const root = join(__dirname, '../..');
async function runNode(args: string[], env: Record<string, string>): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: root,
    env: {
      ...process.env,
      CHAINRULE_CUDA_BINARY: library,
      CHAINRULE_CUDA_EMULATE: '1',
      CHAINRULE_CUDA_LIBS: `${folder}:${fakeCudnn()}`,
      FAKE_CUBLASLT_LOG: log,
      ...env,
    },
  });
  return stdout;
}
const predict = async (from: number, to: number, env: Record<string, string>) =>
  JSON.parse(await runNode(['-e', script(from, to)], env)) as number[];

test.skipIf(!ready)('another process takes what is written; other libraries are measured anew, beside it', async () => {
  const file = freshFile();
  const env = { CHAINRULE_AUTOTUNE: file };
  calls();
  expect(await predict(2, 4, env)).toEqual([21, 21]);
  expect(calls().length).toBeGreaterThan(6);
  const written = readFileSync(file, 'utf8');
  expect(written.match(/\t/g)).toHaveLength(4);

  expect(await predict(2, 4, env)).toEqual([21, 21]);
  expect(calls().length).toBeLessThanOrEqual(2); // one for each prediction, or a kernel here was faster
  expect(readFileSync(file, 'utf8')).toBe(written);

  expect(await predict(2, 4, { ...env, FAKE_CUBLASLT_VERSION: '130200' })).toEqual([21, 21]);
  expect(calls().length).toBeGreaterThan(6);
  expect(await predict(2, 4, { ...env, CHAINRULE_CUDA_LIBS: 'none' })).toEqual([21, 21]);
  const machines = readFileSync(file, 'utf8').match(/^\[.*\]$/gm);
  expect(machines).toEqual(
    ['cuBLASLt 13.1.2', 'cuBLASLt 13.2.0', 'no cuBLASLt'].map((name) => `[emulated GPU (8.0), ${name}]`),
  );
  expect(readFileSync(file, 'utf8')).toContain(written.slice(written.indexOf('[')).trim());
});

const columnsOf = (size: string): number => Number(size.split('x')[1]);
/** Of the products in a file, by their columns. */
const sizesIn = (file: string): string[] =>
  Array.from(readFileSync(file, 'utf8').matchAll(/^product tf32 (.*?),/gm), ([, size]) => size!).sort(
    (a, b) => columnsOf(a) - columnsOf(b),
  );

test.skipIf(!ready)('processes that write at the same time lose nothing', { timeout: 120_000 }, async () => {
  const file = freshFile();
  const env = { CHAINRULE_AUTOTUNE: file };
  await Promise.all([predict(1, 21, env), predict(21, 41, env), predict(11, 31, env)]);
  expect(sizesIn(file)).toEqual(Array.from({ length: 40 }, (_, i) => `1x${i + 1}x6`));
});

test.skipIf(!ready)('whoever writes waits for the one who has the lock of the file', { timeout: 120_000 }, async () => {
  const file = freshFile();
  const others = 'chainrule autotune 1\n\n[another machine]\n';
  writeFileSync(file, others);
  const holder = spawn('flock', [file, 'sh', '-c', 'echo locked; cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(holder.stdout, 'data');
  calls();
  const predicted = predict(2, 3, { CHAINRULE_AUTOTUNE: file });
  for (let fresh = -1, seen = 0; seen === 0 || fresh > 0; seen += fresh) {
    // until it has measured
    await setTimeout(1000);
    fresh = calls().length;
  }
  appendFileSync(file, 'something\tsomehow\tby another process\n');
  holder.stdin.end();
  expect(await predicted).toEqual([21]);
  expect(readFileSync(file, 'utf8')).toContain('[another machine]\nsomething\tsomehow\tby another process\n');
  expect(sizesIn(file)).toEqual(['1x2x6']);
});

test.skipIf(!ready)('threads of a process likewise', { timeout: 120_000 }, async () => {
  const file = freshFile();
  const threads = `
const { Worker } = require('node:worker_threads');
for (const script of ${JSON.stringify([script(1, 9), script(5, 13), script(9, 17)])}) new Worker(script, { eval: true });`;
  const printed = await runNode(['-e', threads], { CHAINRULE_AUTOTUNE: file });
  expect(printed.trim().split('\n')).toEqual(Array(3).fill(JSON.stringify(Array(8).fill(21))));
  expect(sizesIn(file)).toEqual(Array.from({ length: 16 }, (_, i) => `1x${i + 1}x6`));
});

test.skipIf(!ready)(
  'where there is no memory to measure in, the rule decides and nothing is written',
  { timeout: 120_000 },
  async () => {
    const file = freshFile();
    const seen = await runNode(
      [
        '-e',
        `
const cr = require('./dist/chainrule.js');
const { existsSync } = require('node:fs');
const layer = cr.layers.dense({ units: 512, inputShape: [512], kernelInitializer: 'ones' });
const x = new cr.NDArray(new Float32Array(512).fill(1), [1, 512]);
const predict = async () => {
  const model = cr.sequential([layer]); // the same weights in another program
  model.compile({ device: 'cuda' });
  return [(await model.predict(x)).data[0], existsSync(process.env.FILE)];
};
(async () => {
  const results = [await predict()];
  cr.setAutotune(process.env.FILE);
  cr.setDeviceMemoryLimit(1.5 * 2 ** 20); // the weights once, not twice
  results.push(await predict());
  cr.setDeviceMemoryLimit(Infinity);
  results.push(await predict());
  console.log(JSON.stringify(results));
})().catch((error) => { console.error(error); process.exit(1); });`,
      ],
      { FILE: file, CHAINRULE_CUDA_POOL: '0', CHAINRULE_FLOAT32_MATMUL_PRECISION: 'highest' },
    );
    expect(JSON.parse(seen)).toEqual([
      [512, false],
      [512, false],
      [512, true],
    ]);
  },
);

const gpu = fakeGpu('measuring on a GPU');
test.skipIf(!gpu)('a GPU measures tiles of all sizes, and keeps nothing of it', () => {
  const file = freshFile();
  const measure = (env: Record<string, string>) =>
    runScript<Record<'before' | 'after', Record<string, number>>>(
      `${prelude}
main(async () => {
  const model = build('cuda');
  await model.predict(x); // opens the GPU
  await collect();
  await cr.releaseDeviceMemory();
  const before = state();
  cr.setAutotune(process.env.FILE ?? null);
  await (async () => fit(build('cuda')))();
  await collect();
  await cr.releaseDeviceMemory();
  return { before, after: state() };
});`,
      gpu,
      { FAKE_CUDA_STATE: stateFile(), ...env },
    );
  const { before, after } = measure({ FILE: file });
  const left = (seen: Record<string, number>) =>
    ['allocations', 'events', 'graphs', 'executables', 'misuses'].map((name) => seen[name]);
  expect(left(after)).toEqual(left(before));
  const text = readFileSync(file, 'utf8');
  const times = ['32x32', '64x64', '128x128', '128x256'].map((tile) => `${tile} [\\d.]+ us`).join(', ');
  expect(text).toMatch(new RegExp(`^product tf32 16x16x8, .*, bias, relu\t\\d+x\\d+\t${times}$`, 'm'));
  expect(text).toMatch(/^product tf32 8x16x16, /m); // a gradient, of weights
});

test.skipIf(!ready)('info names the file', async () => {
  const file = freshFile();
  const main = join(root, 'dist/cli/main.js');
  expect(await runNode([main, 'info'], { CHAINRULE_AUTOTUNE: file })).toMatch(
    new RegExp(`^cudaAutotune +${file}$`, 'm'),
  );
  expect(await runNode([main, 'info'], {})).toMatch(/^cudaAutotune +off$/m);
});
