import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { layers, loadModel, type Model, NDArray, sequential, setRandomSeed } from '../../lib/index.js';
import { layerFamily } from '../../lib/layers/index.js';
import { cases, exempt, modelOf, type RoundTrip } from './roundtrip/cases.js';
import { optimizerCases } from './roundtrip/optimizers.js';

const python = process.env.CHAINRULE_KERAS_PYTHON ?? 'python3';
const hasKeras =
  spawnSync(python, ['-c', 'import importlib.util as u, sys; sys.exit(u.find_spec("keras") is None)']).status === 0;
if (!hasKeras)
  console.warn(
    `no Keras for the round trips: "${python}" cannot import it. CHAINRULE_KERAS_PYTHON names a Python that can.`,
  );

test('every layer has a row', () => {
  const registry = layerFamily.registry;
  const classes = [...new Set(registry.classNames().map((name) => registry.get(name)))];
  const rows = new Set([...Object.keys(cases).map((name) => name.split(' ')[0]!), ...Object.keys(exempt)]);
  expect(classes.map((cls) => cls.name).filter((name) => !rows.has(name))).toEqual([]);
});

interface Result {
  name: string;
  error?: string;
  outputs?: { file: string; shape: number[] }[];
  loss?: number[];
  iterations?: number;
  warnings?: string[];
}

const folder = mkdtempSync(join(tmpdir(), 'chainrule-keras-'));
const results = new Map<string, Result>();
const ours = new Map<string, NDArray[]>();
const inputsOf = new Map<string, NDArray[]>();
const losses = new Map<string, number[]>();

function arrays({ input, dtype, texts, values, rows = 3 }: RoundTrip): NDArray[] {
  if (texts) return texts as unknown as NDArray[];
  const shapes = (Array.isArray(input[0]) ? input : [input]) as number[][];
  return shapes.map((shape, k) => {
    const size = rows * shape.reduce((a, b) => a * b, 1);
    const numbers = Array.from({ length: size }, (_, i) =>
      (values ?? ((n: number) => Math.sin(n * 12.9898 + 1)))(i + 1000 * k),
    );
    const data = dtype === 'int32' ? Int32Array.from(numbers) : Float32Array.from(numbers);
    return new NDArray(data, [rows, ...shape]) as unknown as NDArray;
  });
}

async function predict(model: Model, inputs: NDArray[]): Promise<NDArray[]> {
  const result = await model.predict<NDArray | NDArray[]>(inputs.length === 1 ? inputs[0]! : (inputs as never));
  return Array.isArray(result) ? result : [result];
}

/** Weights that differ from what an initializer makes: constants would hide a wrong order. */
async function scramble(model: Model): Promise<void> {
  for (const [k, weight] of model.weights.entries()) {
    if (weight.dtype !== 'float32') continue;
    const positive = /variance/.test(weight.name) ? 1.5 : 0;
    const data = Float32Array.from({ length: weight.size }, (_, i) => Math.sin(i * 3.7 + k) * 0.4 + positive);
    await weight.write(new NDArray(data, weight.shape));
  }
}

function written(name: string, array: NDArray): object {
  if (Array.isArray(array)) return { texts: array };
  const { buffer, byteOffset, byteLength } = array.data;
  writeFileSync(join(folder, name), new Uint8Array(buffer, byteOffset, byteLength));
  return { file: name, shape: array.shape, dtype: array.dtype };
}

async function job(name: string, index: number, row: RoundTrip): Promise<object> {
  const model = modelOf(row);
  await scramble(model);
  await row.prepare?.(model);
  const inputs = arrays(row);
  inputsOf.set(name, inputs);
  ours.set(name, await predict(model, inputs));
  await model.save(join(folder, `${index}.keras`));
  return {
    name,
    model: `${index}.keras`,
    saved: `${index}.back.keras`,
    outputs: `${index}.out`,
    inputs: inputs.map((array, k) => written(`${index}.in${k}`, array)),
  };
}

const x = new NDArray(
  Float32Array.from({ length: 128 }, (_, i) => Math.sin(i * i)),
  [32, 4],
);
const y = new NDArray(
  Float32Array.from({ length: 64 }, (_, i) => Math.cos(i)),
  [32, 2],
);
const fitting = { epochs: 3, batchSize: 8, shuffle: false, verbose: 0 as const };

async function optimizerJob(name: string, index: number, make: () => never): Promise<object> {
  const model = sequential([
    layers.dense({ units: 5, activation: 'tanh', inputShape: [4] }),
    layers.dense({ units: 2 }),
  ]);
  await scramble(model);
  model.compile({ optimizer: make(), loss: 'mse' });
  await model.fit(x, y, fitting);
  await model.save(join(folder, `o${index}.keras`));
  const { history } = await model.fit(x, y, fitting);
  losses.set(name, history.loss!);
  inputsOf.set(name, [x]);
  ours.set(name, await predict(model, [x]));
  return {
    name,
    model: `o${index}.keras`,
    saved: `o${index}.back.keras`,
    outputs: `o${index}.out`,
    inputs: [written(`o${index}.x`, x)],
    train: { target: written(`o${index}.y`, y), epochs: fitting.epochs, batch: fitting.batchSize },
  };
}

beforeAll(async () => {
  if (!hasKeras) return;
  setRandomSeed(11);
  const jobs: object[] = [];
  for (const [index, [name, row]] of Object.entries(cases).entries()) {
    try {
      jobs.push(await job(name, index, row));
    } catch (error) {
      results.set(name, { name, error: `here: ${(error as Error).stack}` });
    }
  }
  for (const [index, [name, make]] of Object.entries(optimizerCases).entries()) {
    try {
      jobs.push(await optimizerJob(name, index, make as () => never));
    } catch (error) {
      results.set(name, { name, error: `here: ${(error as Error).stack}` });
    }
  }
  writeFileSync(join(folder, 'jobs.json'), JSON.stringify(jobs));
  await promisify(execFile)(python, ['scripts/keras-roundtrip.py', folder], { maxBuffer: 2 ** 26 });
  const { results: found } = JSON.parse(readFileSync(join(folder, 'results.json'), 'utf8')) as { results: Result[] };
  for (const result of found) results.set(result.name, result);
}, 900_000);

afterAll(() => {
  rmSync(folder, { recursive: true });
});

function expectClose(found: Result, name: string, tolerance: number): void {
  expect(found.outputs!.map(({ shape }) => shape)).toEqual(ours.get(name)!.map(({ shape }) => [...shape]));
  for (const [k, { file }] of found.outputs!.entries()) {
    const bytes = readFileSync(join(folder, file));
    const theirs = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const { data } = ours.get(name)![k]!;
    const scale = data.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-30);
    const error = data.reduce((largest, value, i) => Math.max(largest, Math.abs(value - theirs[i]!)), 0);
    expect(error / scale, `${name}: largest difference, relative to the largest output`).toBeLessThan(tolerance);
  }
}

describe.skipIf(!hasKeras)('to Keras and back', () => {
  test.each(Object.keys(cases))('%s', async (name) => {
    const found = results.get(name)!;
    expect(found.error).toBeUndefined();
    expect(found.warnings).toEqual([]);
    expectClose(found, name, 1e-5);
    const index = Object.keys(cases).indexOf(name);
    const back = await loadModel(join(folder, `${index}.back.keras`));
    const again = await predict(back, inputsOf.get(name)!);
    expect(again.map(({ data }) => data)).toEqual(ours.get(name)!.map(({ data }) => data));
  });

  test.each(Object.keys(optimizerCases))('training goes on in Keras: %s', async (name) => {
    const found = results.get(name)!;
    expect(found.error).toBeUndefined();
    expect(found.warnings).toEqual([]);
    // Both compute in float32, each in its own order; 12 more steps on values near 1 keep errors near 1e-6.
    found.loss!.forEach((loss, i) => {
      expect(Math.abs(loss - losses.get(name)![i]!) / losses.get(name)![i]!).toBeLessThan(2e-5);
    });
    expectClose(found, name, 1e-4);
    const index = Object.keys(optimizerCases).indexOf(name);
    const back = await loadModel(join(folder, `o${index}.back.keras`));
    expect((await back.optimizer.iteration.value()).data[0]).toBe(found.iterations);
    const { history } = await back.fit(x, y, fitting);
    expect(history.loss!.every(Number.isFinite)).toBe(true);
  });
});
