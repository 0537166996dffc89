import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compute, functional, input, layers, loadModel, NDArray, ops, setRandomSeed } from '../../lib/index.js';

const x = new NDArray(Float32Array.of(1, 2, 3, -1, 0.5, 2), [2, 3]);

test('training divides the kernel by its largest singular value, predicting leaves it', async () => {
  setRandomSeed(1);
  const inner = layers.dense({ units: 4 });
  const layer = layers.spectralNormalization({ layer: inner, powerIterations: 60 });
  const run = (training: boolean) => compute(() => layer.apply(ops.cast(x, 'float32'), { training }));
  await run(false);
  const before = await inner.kernel.value();
  await run(false);
  expect(await inner.kernel.value()).toEqual(before);
  await run(true);
  const after = await inner.kernel.value();
  const singular = await compute(() => ops.svd(before).s);
  after.data.forEach((value, i) => {
    expect(value).toBeCloseTo(before.data[i]! / singular.data[0]!, 5);
  });
  expect(await inner.bias!.value()).toEqual(new NDArray(new Float32Array(4), [4]));
});

test('a kernel of zeros stays', async () => {
  const layer = layers.spectralNormalization({ layer: layers.dense({ units: 2, kernelInitializer: 'zeros' }) });
  const out = await compute(() => layer.apply(ops.cast(x, 'float32'), { training: true }));
  expect([...out.data]).toEqual([0, 0, 0, 0]);
});

test('a file holds the shared kernel at both places, as those of Keras do', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'chainrule-spectral-'));
  const at = input({ shape: [3] });
  const layer = layers.spectralNormalization({ layer: layers.dense({ units: 2 }) });
  const model = functional({ inputs: at, outputs: layer.apply(at) });
  await model.save(join(folder, 'model.keras'));
  const again = await loadModel(join(folder, 'model.keras'));
  expect((await again.predict(x)).data).toEqual((await model.predict(x)).data);
  expect(again.weights.map(({ name }) => name)).toEqual(['kernel', 'vector_u', 'bias']);
  rmSync(folder, { recursive: true });
});

test('a layer without a kernel is refused', () => {
  const layer = layers.spectralNormalization({ layer: layers.relu() });
  expect(() => layer.apply(input({ shape: [3] }))).toThrow(/neither kernel nor embeddings/);
});
