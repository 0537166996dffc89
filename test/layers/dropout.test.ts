import { expect, test } from 'vitest';
import { layers, NDArray, setRandomSeed, type Tensor, trace } from '../../lib/index.js';

test('a noise shape shares the mask along its axes of size 1, for a batch of any size', async () => {
  setRandomSeed(4);
  const dropout = layers.dropout({ rate: 0.4, noiseShape: [null, 1, 4] });
  const step = trace(({ x }: { x: Tensor }) => [dropout.apply(x, { training: true })]);
  for (const rows of [60, 7]) {
    const x = new NDArray(new Float32Array(rows * 200).fill(1), [rows, 50, 4]);
    const [out] = await step.run({ x });
    const data = out!.data;
    const first = (i: number) => data[Math.floor(i / 200) * 200 + (i % 4)];
    expect(data.filter((value, i) => value !== first(i))).toHaveLength(0);
    expect(new Set(data).size).toBe(2);
  }
});
