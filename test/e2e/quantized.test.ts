import { expect, test } from 'vitest';
import { drawDigits, type Images } from '../../examples/quickstart/digits.js';
import { layers, NDArray, type Sequential, sequential, setRandomSeed } from '../../lib/index.js';

// What int8 costs of a trained model's accuracy. docs/quantization.md states the figures.

const train = drawDigits(4000, 1);
const held = drawDigits(2000, 2);

const images = ({ pixels, count }: Images): NDArray => new NDArray(pixels, [count, 28, 28, 1]);

/** With how many images of `held` may be decided in another way than in float32. */
const models: Record<string, [build: () => Sequential, others: number]> = {
  'dense network': [
    () =>
      sequential([
        layers.flatten({ inputShape: [28, 28, 1] }),
        layers.dense({ units: 256, activation: 'relu' }),
        layers.dense({ units: 128, activation: 'relu' }),
        layers.dense({ units: 10, activation: 'softmax' }),
      ]),
    0,
  ],
  'convolutional network': [
    () =>
      sequential([
        layers.conv2d({ filters: 16, kernelSize: 3, activation: 'relu', inputShape: [28, 28, 1] }),
        layers.maxPooling2d({ poolSize: 2 }),
        layers.conv2d({ filters: 32, kernelSize: 3, activation: 'relu' }),
        layers.maxPooling2d({ poolSize: 2 }),
        layers.flatten(),
        layers.dense({ units: 64, activation: 'relu' }),
        layers.dense({ units: 10, activation: 'softmax' }),
      ]),
    2,
  ],
};

function best(p: NDArray, row: number): number {
  let found = 0;
  for (let k = 1; k < 10; k++) if (p.at(row, k) > p.at(row, found)) found = k;
  return found;
}

test.each(Object.entries(models))(
  'a %s decides as in float32',
  { timeout: 120_000 },
  async (_name, [build, others]) => {
    setRandomSeed(11);
    const model = build();
    model.compile({ optimizer: 'adam', loss: 'sparseCategoricalCrossentropy' });
    await model.fit(images(train), train.labels, { epochs: 4, batchSize: 64, verbose: 0 });
    const exact = await model.predict(images(held));
    await model.quantize('int8', { convolutions: true });
    const int8 = await model.predict(images(held));
    const [right, rightInt8, same] = [0, 0, 0].map((_, what) => {
      let count = 0;
      for (let row = 0; row < held.count; row++) {
        const [a, b] = [best(exact, row), best(int8, row)];
        count += Number(what === 2 ? a === b : (what === 0 ? a : b) === held.labels[row]);
      }
      return count / held.count;
    }) as [number, number, number];
    const deviation = exact.data.reduce((most, value, i) => Math.max(most, Math.abs(value - int8.data[i]!)), 0);
    console.log(
      `accuracy ${right} in float32, ${rightInt8} in int8; ${same} decided alike; probabilities differ by ${deviation.toFixed(4)} at most`,
    );
    expect(right).toBeGreaterThan(0.9);
    expect(Math.round((1 - same) * held.count)).toBeLessThanOrEqual(others);
    expect(rightInt8).toBeGreaterThanOrEqual(right - 0.003);
    expect(deviation).toBeLessThan(0.05);
  },
);
