import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { layers, loadModel, type Sequential, sequential } from '../../lib/index.js';

// As in Keras, the first data build a model whose layers state no input shape.

const unbuilt = (): Sequential =>
  sequential([
    layers.dense({ units: 3, activation: 'relu', kernelInitializer: 'ones' }),
    layers.dense({ units: 1, kernelInitializer: 'ones' }),
  ]);
const x = [
  [1, 2],
  [3, 4],
];
const sums = [9, 21];

afterEach(() => vi.restoreAllMocks());

test('predict builds', async () => {
  const model = unbuilt();
  expect([...(await model.predict(x)).data]).toEqual(sums);
  expect(model.built).toBe(true);
  expect(model.countParams()).toBe(13);
  expect([...model.predictSync(Float32Array.of(1, 2))]).toEqual([9]);
});

test('predictSync builds for rows', () => {
  const model = unbuilt();
  expect([...model.predictSync(x).data]).toEqual(sums);
  expect(model.inputs[0]!.shape).toEqual([null, 2]);
});

test('evaluate builds', async () => {
  const model = unbuilt();
  model.compile({ loss: 'mse' });
  expect((await model.evaluate(x, [9, 20])).loss).toBe(0.5);
  expect(model.built).toBe(true);
});

test('summary shows what is not built', () => {
  const text = unbuilt().summary({ printFn: () => {} });
  expect(text).toMatch(/dense\w* \(Dense\) +│ \? +│ +0 \(unbuilt\)/);
  expect(text).toMatch(/Total params: 0 \(0\.00 B\)/);
});

test('save writes the layers without weights, with a warning, as Keras does', async () => {
  const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const path = join(await mkdtemp(join(tmpdir(), 'chainrule-')), 'm.keras');
  const model = unbuilt();
  await model.save(path);
  expect(warned).toHaveBeenCalledWith(expect.stringMatching(/is not built.*without weights/), 'ChainruleWarning');
  const again = await loadModel(path);
  expect(again.built).toBe(false);
  expect([...(await again.predict(x)).data]).toEqual(sums);
});
