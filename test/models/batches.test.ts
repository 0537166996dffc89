import { describe, expect, test } from 'vitest';
import { layers, NDArray, sequential } from '../../lib/index.js';

// What a row gives may not depend on the rows beside it (DESIGN: bit-equal inference in any batch).

const cases: { about: string; width: number; units: number }[] = [
  { about: 'one unit', width: 300, units: 1 },
  { about: 'one unit of many features', width: 4096, units: 1 },
  { about: 'few units of many features', width: 4096, units: 10 },
  { about: 'many units', width: 257, units: 200 },
];

const ROWS = 200;

describe('a row predicted in any batch', () => {
  test.each(cases)('dense: $about', async ({ width, units }) => {
    const model = sequential([layers.dense({ units, inputShape: [width], biasInitializer: 'randomNormal' })]);
    const x = new NDArray(
      Float32Array.from({ length: ROWS * width }, (_, i) => Math.sin(i * 0.37) * 3),
      [ROWS, width],
    );
    const whole = await model.predict(x, { batchSize: ROWS });
    for (const batchSize of [1, 7, 32, 193]) {
      const parts = await model.predict(x, { batchSize });
      expect(Buffer.from(parts.data.buffer, parts.data.byteOffset, parts.data.byteLength)).toEqual(
        Buffer.from(whole.data.buffer, whole.data.byteOffset, whole.data.byteLength),
      );
    }
    const row = model.predictSync(x.data.slice(5 * width, 6 * width) as Float32Array);
    expect([...row]).toEqual([...whole.data.slice(5 * units, 6 * units)]);
  });
});
