import { expect, test } from 'vitest';
import { drawDigits, type Images } from '../../examples/quickstart/digits.js';
import { cloneModel, layers, NDArray, type Sequential, sequential, setRandomSeed } from '../../lib/index.js';

// What int8 and bfloat16 cost of a trained model's accuracy. docs/quantization.md states the figures.

const train = drawDigits(4000, 1);
const held = drawDigits(2000, 2);

const images = ({ pixels, count }: Images): NDArray => new NDArray(pixels, [count, 28, 28, 1]);

/** With how many images of `held` int8 may decide in another way than float32; bfloat16 decides alike. */
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

/** Shares of the images that each prediction decides rightly, that both decide alike, and how far they are apart. */
function compare(exact: NDArray, other: NDArray): { right: number; rightOther: number; others: number; apart: number } {
  const rows = Array.from({ length: held.count }, (_, row) => [best(exact, row), best(other, row)] as const);
  const share = (test: (a: number, b: number, label: number) => boolean): number =>
    rows.filter(([a, b], row) => test(a, b, held.labels[row]!)).length / held.count;
  return {
    right: share((a, _, label) => a === label),
    rightOther: share((_, b, label) => b === label),
    others: rows.filter(([a, b]) => a !== b).length,
    apart: exact.data.reduce((most, value, i) => Math.max(most, Math.abs(value - other.data[i]!)), 0),
  };
}

test.each(Object.entries(models))(
  'a %s decides as in float32',
  { timeout: 120_000 },
  async (_name, [build, others]) => {
    setRandomSeed(11);
    const model = build();
    // int8 runs on the CPU, and the figures are those of the weights that training there gives.
    const compiled = { optimizer: 'adam', loss: 'sparseCategoricalCrossentropy', device: 'cpu' } as const;
    model.compile(compiled);
    await model.fit(images(train), train.labels, { epochs: 4, batchSize: 64, verbose: 0 });
    const exact = await model.predict(images(held));
    const copy = cloneModel(model);
    copy.compile(compiled);
    await copy.setWeights(await model.getWeights());
    await model.quantize('int8', { convolutions: true });
    await copy.quantize('bfloat16');
    const int8 = compare(exact, await model.predict(images(held)));
    const bfloat16 = compare(exact, await copy.predict(images(held)));
    for (const [mode, { right, rightOther, others: differently, apart }] of Object.entries({ int8, bfloat16 }))
      console.log(
        `accuracy ${right} in float32, ${rightOther} in ${mode}; ${differently} decided differently; probabilities differ by ${apart.toFixed(4)} at most`,
      );
    expect(int8.right).toBeGreaterThan(0.9);
    expect(int8.others).toBeLessThanOrEqual(others);
    expect(int8.rightOther).toBeGreaterThanOrEqual(int8.right - 0.003);
    expect(int8.apart).toBeLessThan(0.05);
    expect(bfloat16.others).toBeLessThanOrEqual(1);
    expect(bfloat16.rightOther).toBeGreaterThanOrEqual(bfloat16.right - 0.001);
    expect(bfloat16.apart).toBeLessThan(0.01);
  },
);
