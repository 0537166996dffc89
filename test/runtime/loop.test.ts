import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { packageFile } from './models.js';

// The event loop of a program that trains stays free. Measured in a process of its own, from before the package's first call.

function measured(program: string): Record<string, number> {
  const script = `
    const { monitorEventLoopDelay, performance } = require('node:perf_hooks');
    const c = require(${JSON.stringify(packageFile)});
    const wave = (shape) => new c.NDArray(Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i)), shape);
    const labels = (rows, classes) => new c.NDArray(Float32Array.from({ length: rows }, (_, i) => (i * 7) % classes), [rows]);
    (async () => { ${program} })().catch((error) => { console.error(error); process.exit(1); });`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Record<string, number>;
}

test('delays of a whole program have a p99 of at most 10 ms', { timeout: 120_000 }, () => {
  const result = measured(`
    const rows = Array.from({ length: 256 }, (_, r) => Array.from({ length: 12 }, (_, i) => Array.from({ length: 12 }, (_, j) => [Math.sin(r + i * j)])));
    const y = Array.from({ length: 256 }, (_, r) => r % 10);
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const model = c.sequential([
      c.layers.conv2d({ filters: 16, kernelSize: 3, activation: 'relu', inputShape: [12, 12, 1] }),
      c.layers.maxPooling2d({ poolSize: 2 }),
      c.layers.flatten(),
      c.layers.dense({ units: 10, activation: 'softmax' }),
    ]);
    model.compile({ optimizer: 'adam', loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'] });
    await model.fit(rows, y, { epochs: 60, batchSize: 32, verbose: 0 });
    const file = require('node:path').join(require('node:fs').mkdtempSync(require('node:os').tmpdir() + '/chainrule-'), 'w.safetensors');
    await model.saveWeights(file);
    await model.loadWeights(file);
    await model.predict(rows);
    delay.disable();
    require('node:fs').rmSync(require('node:path').dirname(file), { recursive: true });
    console.log(JSON.stringify({ p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 }));`);
  console.log(`event-loop delay: p99 ${result.p99!.toFixed(2)} ms, largest ${result.max!.toFixed(1)} ms`);
  expect(result.p99).toBeLessThanOrEqual(10);
});

test('so have those of a text model: adapt, LSTM, save, load, predict', { timeout: 120_000 }, () => {
  const result = measured(`
    const words = Array.from({ length: 500 }, (_, i) => 'word' + i);
    const texts = Array.from({ length: 2000 }, (_, r) => Array.from({ length: 40 }, (_, i) => words[(r * 31 + i * i * 7) % 500]).join(' '));
    const y = Array.from({ length: 2000 }, (_, r) => r % 2);
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const vectorize = c.layers.textVectorization({ maxTokens: 400, outputSequenceLength: 32 });
    await vectorize.adapt(texts);
    const model = c.sequential([
      c.input({ shape: [1], dtype: 'string' }),
      vectorize,
      c.layers.embedding({ inputDim: 400, outputDim: 16, maskZero: true }),
      c.layers.lstm({ units: 16 }),
      c.layers.dense({ units: 1, activation: 'sigmoid' }),
    ]);
    model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy', metrics: ['accuracy'] });
    await model.fit(texts, y, { epochs: 40, batchSize: 32, verbose: 0 });
    const folder = require('node:fs').mkdtempSync(require('node:os').tmpdir() + '/chainrule-');
    await model.save(folder + '/text.keras');
    const again = await c.loadModel(folder + '/text.keras');
    const p = await again.predict(['word1 word2 and some more']);
    delay.disable();
    require('node:fs').rmSync(folder, { recursive: true });
    console.log(JSON.stringify({ p99: delay.percentile(99) / 1e6, max: delay.max / 1e6, n: p.data.length }));`);
  console.log(
    `event-loop delay of a text model: p99 ${result.p99!.toFixed(2)} ms, largest ${result.max!.toFixed(1)} ms`,
  );
  expect(result.n).toBe(1);
  expect(result.p99).toBeLessThanOrEqual(10);
});

test('a fit of small steps leaves the event loop idle', { timeout: 120_000 }, () => {
  const result = measured(`
    const model = c.sequential([
      c.layers.dense({ units: 64, activation: 'relu', inputShape: [20] }),
      c.layers.dense({ units: 64, activation: 'relu' }),
      c.layers.dense({ units: 1, activation: 'sigmoid' }),
    ]);
    model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy' });
    // JavaScript works at the ends of an epoch only, 1.4 ms while V8 is cold; these epochs run about 70 ms each.
    const [x, y] = [wave([60000, 20]), labels(60000, 2)];
    await model.fit(x, y, { epochs: 1, batchSize: 32, verbose: 0 });
    const before = performance.eventLoopUtilization();
    await model.fit(x, y, { epochs: 8, batchSize: 32, verbose: 0 });
    console.log(JSON.stringify({ used: performance.eventLoopUtilization(before).utilization }));`);
  console.log(`event-loop utilization during the fit: ${result.used!.toFixed(4)}`);
  expect(result.used).toBeLessThan(0.05);
});
