import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { packageFile } from './models.js';

// A run that is killed and goes on ends with the bits of one that was never interrupted.

const isLong = process.env.CHAINRULE_TEST_LONG === '1';
const folder = mkdtempSync(join(tmpdir(), 'chainrule-resume-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What differs between the trainings: each has state of another kind. */
const kinds: Record<string, { layers: string; optimizer: string; callbacks?: string; data?: string }> = {
  dropout: {
    layers: `c.layers.dense({ units: 32, activation: 'relu', inputShape: [12] }), c.layers.dropout({ rate: 0.5 }),`,
    optimizer: `c.optimizers.adam({ learningRate: c.schedules.exponentialDecay({ initialLearningRate: 0.01, decaySteps: 10, decayRate: 0.9 }) })`,
  },
  batchNormalization: {
    layers: `c.layers.dense({ units: 32, inputShape: [12] }), c.layers.batchNormalization(), c.layers.gaussianNoise({ stddev: 0.1 }),`,
    optimizer: `c.optimizers.sgd({ learningRate: 0.05, momentum: 0.9, useEma: true })`,
  },
  recurrent: {
    layers: `c.layers.reshape({ targetShape: [6, 2], inputShape: [12] }), c.layers.lstm({ units: 8, dropout: 0.2 }),`,
    optimizer: `c.optimizers.adamW({ gradientAccumulationSteps: 3 })`,
  },
  plateau: {
    layers: `c.layers.dense({ units: 16, activation: 'relu', inputShape: [12] }),`,
    optimizer: `c.optimizers.rmsprop()`,
    callbacks: `c.callbacks.reduceLROnPlateau({ monitor: 'loss', patience: 1, minDelta: 1 }),
      c.callbacks.earlyStopping({ monitor: 'val_loss', patience: 2, minDelta: 0.02, restoreBestWeights: true }),`,
  },
  stream: {
    layers: `c.layers.dense({ units: 16, activation: 'tanh', inputShape: [12] }),`,
    optimizer: `c.optimizers.nadam()`,
    data: `c.Dataset.from(() => rows()).shuffle({ bufferSize: 100, seed: 3 }).batch(16)`,
  },
};

function script(kind: string, dir: string | undefined): string {
  const { layers, optimizer, callbacks = '', data } = kinds[kind]!;
  return `
    const { createHash } = require('node:crypto');
    const c = require(${JSON.stringify(packageFile)});
    const n = 480;
    const x = Float32Array.from({ length: n * 12 }, (_, i) => Math.sin(i * 0.37 + i * i * 0.001));
    const y = Float32Array.from({ length: n }, (_, i) => (x[i * 12] + x[i * 12 + 5] > 0 ? 1 : 0));
    function* rows() { for (let i = 0; i < n; i++) yield [x.slice(i * 12, i * 12 + 12), y.slice(i, i + 1)]; }
    (async () => {
      const model = c.sequential([${layers} c.layers.dense({ units: 1, activation: 'sigmoid' })]);
      model.compile({ optimizer: ${optimizer}, loss: 'binaryCrossentropy', metrics: ['accuracy', 'auc'] });
      const options = {
        epochs: 6, batchSize: 16, verbose: 0,
        callbacks: [${callbacks} { onEpochBegin: () => process.stdout.write('epoch\\n') }],
        ${dir ? `resume: { dir: ${JSON.stringify(dir)}, saveFreq: 7 },` : ''}
        ${data ? '' : 'validationSplit: 0.2,'}
      };
      const history = await ${data ? `model.fit(${data}, options)` : 'model.fit(new c.NDArray(x, [n, 12]), y, options)'};
      const hash = createHash('sha256').update(JSON.stringify(history.history));
      for (const { data } of await model.getWeights()) hash.update(data);
      for (const variable of model.optimizer.variables) hash.update((await variable.value()).data);
      process.stdout.write('end ' + hash.digest('hex') + '\\n');
    })().catch((error) => { console.error(error); process.exit(1); });`;
}

interface Run {
  output: string;
  killed: boolean;
}

/** Runs a training; with `killAfter` it is killed so many milliseconds behind the first epoch's begin. */
function run(code: string, killAfter?: number): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let errors = '';
    let timer: NodeJS.Timeout | undefined;
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (killAfter !== undefined && !timer && output.includes('epoch'))
        timer = setTimeout(() => child.kill('SIGKILL'), killAfter);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (signal !== 'SIGKILL' && code !== 0) reject(new Error(errors));
      else resolve({ output, killed: signal === 'SIGKILL' });
    });
  });
}

const hashOf = ({ output }: Run): string => /end (\w+)/.exec(output)?.[1] ?? 'none';

describe('kill -9 and resume', () => {
  const kills = isLong ? 300 : 50;
  const each = kills / Object.keys(kinds).length;

  test.each(Object.keys(kinds))('%s', { timeout: 600_000 }, async (kind) => {
    // The seeds of layers and initializers are drawn anew by each process: they come from the first checkpoint. The run
    // that is never killed starts from a copy of it.
    const origin = join(folder, `${kind}-origin`);
    for (let after = 10; !existsSync(origin) || checkpoints(origin).length === 0; after += 40)
      await run(script(kind, origin), after);
    const first = join(origin, checkpoints(origin)[0]!);
    const expected = hashOf(await run(script(kind, copyOf(first, `${kind}-whole`))));
    expect(expected).not.toBe('none');
    let done = 0;
    for (let round = 0; done < each; round++) {
      const dir = copyOf(first, `${kind}-${round}`);
      let result: Run;
      do {
        result = await run(script(kind, dir), (done * 37 + round * 11) % 120);
        if (result.killed) done++;
      } while (result.killed && done < each);
      if (result.killed) result = await run(script(kind, dir));
      expect(hashOf(result), `${kind}, after ${done} kills`).toBe(expected);
      expect(checkpoints(dir).length).toBeLessThanOrEqual(2);
    }
  });
});

function checkpoints(dir: string): string[] {
  return readdirSync(dir)
    .filter((name) => /^checkpoint-\d+\.safetensors$/.test(name))
    .sort();
}

function copyOf(file: string, name: string): string {
  const dir = mkdtempSync(join(folder, name));
  writeFileSync(join(dir, 'checkpoint-000000000000.safetensors'), readFileSync(file));
  return dir;
}

describe('checkpoints', () => {
  test('a finished training returns at once, with the same history and weights', { timeout: 60_000 }, async () => {
    const dir = join(folder, 'finished');
    const first = await run(script('plateau', dir));
    const second = await run(script('plateau', dir));
    expect(hashOf(second)).toBe(hashOf(first));
    expect(second.output).not.toContain('epoch');
  });

  test('a damaged one is passed over', { timeout: 60_000 }, async () => {
    const dir = join(folder, 'damaged');
    const whole = await run(script('dropout', dir));
    const newest = join(dir, checkpoints(dir).at(-1)!);
    truncateSync(newest, readFileSync(newest).length - 100);
    expect(hashOf(await run(script('dropout', dir)))).toBe(hashOf(whole));
  });

  test('a folder serves one training at a time', { timeout: 60_000 }, async () => {
    const dir = mkdtempSync(join(folder, 'locked'));
    writeFileSync(
      join(dir, 'lock'),
      `${process.pid} ${readFileSync('/proc/self/stat', 'utf8').split(') ')[1]!.split(' ')[19]}`,
    );
    await expect(run(script('dropout', dir))).rejects.toThrow(/ERR_CHAINRULE_CHECKPOINT_LOCKED/);
    writeFileSync(join(dir, 'lock'), '999999999 1');
    expect(hashOf(await run(script('dropout', dir)))).not.toBe('none');
  });

  test('one of another training is refused', { timeout: 60_000 }, async () => {
    const dir = join(folder, 'foreign');
    await run(script('dropout', dir));
    await expect(run(script('batchNormalization', dir))).rejects.toThrow(/is of another training/);
  });
});
