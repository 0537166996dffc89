import { expect, test } from 'vitest';
import { layers, NDArray, sequential } from '../../lib/index.js';

const x = new NDArray(new Float32Array(40 * 6).fill(0.5), [40, 6]);
const y = new NDArray(new Float32Array(40).fill(1), [40, 1]);

async function network() {
  const model = sequential([
    layers.dense({ units: 8, activation: 'relu', inputShape: [6] }),
    layers.dense({ units: 1, activation: 'sigmoid' }),
  ]);
  model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy', metrics: ['accuracy'] });
  await model.fit(x, y, { verbose: 0 });
  return model;
}

test('a profile of a prediction has a row for every step of the plan, with time and shares', async () => {
  const lines = (await (await network()).profile(x)).trimEnd().split('\n');
  expect(lines[0]).toMatch(/us +% +GFLOP\/s +GB\/s +% floor +step/);
  expect(lines.filter((line) => line.includes('matmul'))).toHaveLength(2);
  const [us, percent, gflops] = lines[1]!.trim().split(/ +/).map(Number);
  expect(us).toBeGreaterThan(0);
  // 40 rows x 6 x 8 products, in the time that the first column says (rounded to 0.1 us)
  expect(gflops! * us! * 1e3).toBeGreaterThan(0.4 * 2 * 40 * 6 * 8);
  expect(gflops! * us! * 1e3).toBeLessThan(2.5 * 2 * 40 * 6 * 8);
  expect(percent).toBeLessThanOrEqual(100);
  expect(lines.at(-1)).toContain('total');
});

test('a profile of training steps leaves weights, optimizer and metrics as they were', async () => {
  const model = await network();
  const state = async () =>
    JSON.stringify([
      ...(await Promise.all(model.weights.map(async (weight) => Array.from((await weight.value()).data)))),
      ...(await Promise.all(model.optimizer.variables.map(async (one) => Array.from((await one.value()).data)))),
    ]);
  const before = await state();
  const text = await model.profile(x, y, { repeats: 3 });
  expect(text).toContain('matmul+whenPositive');
  expect(await state()).toBe(before);
});

test('a profile of training needs a compiled model', async () => {
  const model = sequential([layers.dense({ units: 1, inputShape: [6] })]);
  await expect(model.profile(x, y)).rejects.toThrow(/not compiled/);
});
