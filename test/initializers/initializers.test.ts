import { describe, expect, test } from 'vitest';
import { compute, initializers, type NDArray } from '../../lib/index.js';
import { fans } from '../../lib/initializers/fans.js';

const shape = [200, 300];
const stats = ({ data }: NDArray): { mean: number; std: number; largest: number } => {
  const mean = data.reduce((a, b) => a + b, 0) / data.length;
  const std = Math.sqrt(data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / data.length);
  return { mean, std, largest: data.reduce((most, value) => Math.max(most, Math.abs(value)), 0) };
};

describe('random initializers have the spread that Keras gives them', () => {
  const truncated = 0.87962566103423978;
  const cases: [string, () => initializers.Initializer, number, number][] = [
    ['glorotUniform', () => initializers.glorotUniform({ seed: 1 }), Math.sqrt(2 / 500), Math.sqrt(6 / 500)],
    [
      'glorotNormal',
      () => initializers.glorotNormal({ seed: 2 }),
      Math.sqrt(2 / 500),
      (2 * Math.sqrt(2 / 500)) / truncated,
    ],
    ['heNormal', () => initializers.heNormal({ seed: 3 }), Math.sqrt(2 / 200), (2 * Math.sqrt(2 / 200)) / truncated],
    ['heUniform', () => initializers.heUniform({ seed: 4 }), Math.sqrt(2 / 200), Math.sqrt(6 / 200)],
    [
      'lecunNormal',
      () => initializers.lecunNormal({ seed: 5 }),
      Math.sqrt(1 / 200),
      (2 * Math.sqrt(1 / 200)) / truncated,
    ],
    ['randomUniform', () => initializers.randomUniform({ seed: 6 }), 0.1 / Math.sqrt(12), 0.05],
    ['truncatedNormal', () => initializers.truncatedNormal({ seed: 7 }), 0.05 * truncated, 0.1],
    ['randomNormal', () => initializers.randomNormal({ seed: 8 }), 0.05, 0.3],
  ];
  test.each(cases)('%s', async (_, make, std, limit) => {
    const got = stats(await compute(() => make().call(shape, 'float32')));
    expect(Math.abs(got.mean)).toBeLessThan((4 * std) / Math.sqrt(60_000));
    expect(got.std / std).toBeGreaterThan(0.985);
    expect(got.std / std).toBeLessThan(1.015);
    expect(got.largest).toBeLessThanOrEqual(limit * (1 + 1e-6));
  });

  test('kernels of convolutions count the window', () => {
    expect(fans([3, 3, 16, 32])).toEqual({ fanIn: 144, fanOut: 288 });
  });
});

test('orthogonal columns have length 1 and are perpendicular', async () => {
  const { data } = await compute(() => initializers.orthogonal({ seed: 1 }).call([6, 3]));
  for (let a = 0; a < 3; a++) {
    for (let b = 0; b < 3; b++) {
      let dot = 0;
      for (let row = 0; row < 6; row++) dot += data[row * 3 + a]! * data[row * 3 + b]!;
      expect(dot).toBeCloseTo(a === b ? 1 : 0, 5);
    }
  }
});

test('a seed gives the same values at every use, objects without one differ', async () => {
  const make = (options?: initializers.SeedOptions): Promise<NDArray> =>
    compute(() => initializers.glorotUniform(options).call([4, 4]));
  expect((await make({ seed: 3 })).data).toEqual((await make({ seed: 3 })).data);
  expect((await make()).data).not.toEqual((await make()).data);
});

test('names resolve in any spelling, and unknown ones suggest', () => {
  expect(initializers.get('glorot_uniform' as never)).toBeInstanceOf(initializers.GlorotUniform);
  expect(() => initializers.get('glorotUnifom' as never)).toThrow(/did you mean "glorotUniform"/);
});
