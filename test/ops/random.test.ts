import { describe, expect, test } from 'vitest';
import { type AttrValue, type Bound, type NativeArray, native } from '../../lib/native.js';
import { randomOps } from './cases.js';
import { wordOf } from './philox.js';

// What random ops draw: by the definition of the generator where there is one, else by statistics whose bounds follow from the
// size of the sample (five standard errors: a correct generator fails once in a million, and the seeds are fixed anyway).

const seed = { key0: 0x12345678, key1: 0x9abcdef0, draw: 5 };
const seedBound: Bound = { data: Uint32Array.of(seed.key0, seed.key1, seed.draw), shape: [3] };

interface Draw {
  rowOffset?: number;
  seed?: Bound;
  rows?: number;
}

/** Draws with a symbolic batch: a further input carries it into the program. */
function draw(op: string, attrs: Record<string, AttrValue>, options: Draw = {}): NativeArray {
  const graph = new native.Graph();
  const id = graph.input('seed', 'uint32', [3]);
  graph.input('batch', 'float32', [-1]);
  const rows = options.rows ?? 1;
  const program = graph.compileSync([graph.op(op, [id], attrs)[0]!]);
  const inputs = [options.seed ?? seedBound, { data: new Float32Array(rows), shape: [rows] }];
  const run = options.rowOffset === undefined ? {} : { rowOffset: options.rowOffset };
  return program.runSync(inputs, run)[0]!.data;
}

function moments(data: ArrayLike<number>) {
  const values = Array.from(data);
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const centred = (power: number) => values.reduce((a, x) => a + (x - mean) ** power, 0) / values.length;
  const variance = centred(2);
  return {
    mean,
    deviation: Math.sqrt(variance),
    skew: centred(3) / variance ** 1.5,
    kurtosis: centred(4) / variance ** 2,
  };
}

const count = 40_000;
const shape = [-200, 200];
const sigmas = 5 / Math.sqrt(count);

test('randomBits are the words of Philox 4x32-10', () => {
  const data = draw('randomBits', { shape: [-1, 70] }, { rows: 3, rowOffset: 40 });
  const want = Array.from({ length: 210 }, (_, i) => wordOf(seed, 40 + Math.floor(i / 70), i % 70));
  expect(Array.from(data)).toEqual(want);
});

test('randomUniform fills its interval evenly', () => {
  const data = draw('randomUniform', { shape, low: -2, high: 3 });
  const { mean, deviation } = moments(data);
  expect(Math.abs(mean - 0.5)).toBeLessThan(sigmas * 5 * Math.sqrt(1 / 12));
  expect(Math.abs(deviation / (5 / Math.sqrt(12)) - 1)).toBeLessThan(sigmas);
  expect(Math.min(...data)).toBeGreaterThanOrEqual(-2);
  expect(Math.max(...data)).toBeLessThan(3);
  const bins = new Array<number>(50).fill(0);
  for (const x of data) bins[Math.floor((x + 2) * 10)]! += 1;
  const chiSquare = bins.reduce((sum, n) => sum + (n - count / 50) ** 2 / (count / 50), 0);
  expect(chiSquare).toBeLessThan(49 + 5 * Math.sqrt(98));
});

test('randomNormal has the moments of a normal distribution', () => {
  const data = draw('randomNormal', { shape, mean: 4, stddev: 0.5 });
  const { mean, deviation, skew, kurtosis } = moments(data);
  expect(Math.abs(mean - 4)).toBeLessThan(0.5 * sigmas);
  expect(Math.abs(deviation - 0.5)).toBeLessThan((0.5 * sigmas) / Math.SQRT2);
  expect(Math.abs(skew)).toBeLessThan(sigmas * Math.sqrt(6));
  expect(Math.abs(kurtosis - 3)).toBeLessThan(sigmas * Math.sqrt(24));
  // Tails beyond three deviations hold 0.27 %.
  const far = Array.from(data).filter((x) => Math.abs(x - 4) > 1.5).length / count;
  expect(Math.abs(far - 0.0027)).toBeLessThan(sigmas * Math.sqrt(0.0027));
});

test('randomTruncatedNormal stays within two deviations', () => {
  const data = draw('randomTruncatedNormal', { shape, mean: 1, stddev: 2 });
  const { mean, deviation } = moments(data);
  expect(Math.min(...data)).toBeGreaterThanOrEqual(-3);
  expect(Math.max(...data)).toBeLessThanOrEqual(5);
  // A normal distribution cut at two deviations has 0.87962566 of its deviation.
  expect(Math.abs(mean - 1)).toBeLessThan(2 * sigmas);
  expect(Math.abs(deviation - 2 * 0.87962566)).toBeLessThan(2 * sigmas);
});

test('randomBernoulli draws ones with its probability', () => {
  const data = draw('randomBernoulli', { shape, p: 0.3 });
  expect(new Set(data)).toEqual(new Set([0, 1]));
  expect(Math.abs(moments(data).mean - 0.3)).toBeLessThan(sigmas * Math.sqrt(0.21));
  expect(new Set(draw('randomBernoulli', { shape, p: 0 }))).toEqual(new Set([0]));
  expect(new Set(draw('randomBernoulli', { shape, p: 1 }))).toEqual(new Set([1]));
});

test('permutation is one, and another for another draw', () => {
  const first = draw('permutation', { size: 1000 });
  const other = { data: Uint32Array.of(seed.key0, seed.key1, seed.draw + 1), shape: [3] };
  const second = draw('permutation', { size: 1000 }, { seed: other });
  for (const order of [first, second]) {
    expect(Array.from(order).sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  }
  // Two random orders agree in one place on average.
  expect(Array.from(first).filter((x, i) => x === second[i]).length).toBeLessThan(10);
  expect(Array.from(first).filter((x, i) => x === i).length).toBeLessThan(10);
});

test('seedNext counts the draw and keeps the key', () => {
  const graph = new native.Graph();
  const program = graph.compileSync([graph.op('seedNext', [graph.input('seed', 'uint32', [3])])[0]!]);
  expect(Array.from(program.runSync([seedBound])[0]!.data)).toEqual([seed.key0, seed.key1, seed.draw + 1]);
});

test.each([
  [12, 12],
  [20, 7],
  [5, 31],
])('orthogonal %i x %i has orthonormal rows or columns', (rows, columns) => {
  const data = draw('orthogonal', { rows, columns, gain: 2 });
  const [short, long] = [Math.min(rows, columns), Math.max(rows, columns)];
  const at = (i: number, k: number) => data[rows >= columns ? k * columns + i : i * columns + k]!;
  for (let i = 0; i < short; ++i) {
    for (let j = 0; j <= i; ++j) {
      let dot = 0;
      for (let k = 0; k < long; ++k) dot += at(i, k) * at(j, k);
      // Entries of at most 2 rounded to float32: 4 times 2^-24 times the root of the length.
      expect(Math.abs(dot - (i === j ? 4 : 0))).toBeLessThan(8 * 2 ** -24 * Math.sqrt(long) * 2);
    }
  }
});

describe('what rows draw does not depend on the batch', () => {
  const attrs: Record<string, Record<string, AttrValue>> = {
    randomUniform: { shape: [-1, 37], low: 0, high: 1 },
    randomNormal: { shape: [-1, 37], mean: 0, stddev: 1 },
    randomTruncatedNormal: { shape: [-1, 37], mean: 0, stddev: 1 },
    randomBernoulli: { shape: [-1, 37], p: 0.5 },
    randomBits: { shape: [-1, 37] },
  };
  test.each(Object.keys(attrs))('%s', (op) => {
    expect(randomOps).toContain(op);
    const whole = draw(op, attrs[op]!, { rows: 9 });
    const parts = [...draw(op, attrs[op]!, { rows: 4 }), ...draw(op, attrs[op]!, { rows: 5, rowOffset: 4 })];
    expect(parts).toEqual(Array.from(whole));
  });
});

describe('dropout', () => {
  const rate = 0.4;

  function run() {
    const graph = new native.Graph();
    const x = graph.input('x', 'float32', [-1, 50, 4]);
    const id = graph.input('seed', 'uint32', [3]);
    const cotangent = graph.input('cotangent', 'float32', [-1, 50, 4]);
    const [y] = graph.op('dropout', [x, id], { rate }) as [number];
    const [dx] = graph.gradients(y, [x], cotangent) as [number];
    const program = graph.compileSync([y, dx]);
    const shape = [60, 50, 4];
    const ones = new Float32Array(12_000).fill(1);
    const wave = Float32Array.from(ones, (_, i) => 1 + (i % 7));
    const [out, gradient] = program.runSync([{ data: ones, shape }, seedBound, { data: wave, shape }]);
    return { out: out!.data, gradient: gradient!.data, wave };
  }

  test('zeroes its rate and scales the rest up', () => {
    const { out } = run();
    const kept = Math.fround(1 / (1 - rate));
    expect([...new Set(out)].sort()).toEqual([0, kept]);
    const zeros = out.filter((x) => x === 0).length / out.length;
    expect(Math.abs(zeros - rate)).toBeLessThan(5 * Math.sqrt((rate * (1 - rate)) / out.length));
  });

  test('its gradient goes through the same mask', () => {
    const { out, gradient, wave } = run();
    const kept = Math.fround(1 / (1 - rate));
    for (const [i, g] of gradient.entries()) expect(g).toBe(out[i] === 0 ? 0 : Math.fround(wave[i]! * kept));
  });

  test('a rate of 0 changes nothing, a rate of 1 leaves nothing', () => {
    for (const [edge, want] of [
      [0, 3],
      [1, 0],
    ] as const) {
      const graph = new native.Graph();
      const x = graph.input('x', 'float32', [-1]);
      const [y] = graph.op('dropout', [x, graph.input('seed', 'uint32', [3])], { rate: edge }) as [number];
      const out = graph.compileSync([y]).runSync([{ data: new Float32Array(33).fill(3), shape: [33] }, seedBound]);
      expect(new Set(out[0]!.data)).toEqual(new Set([want]));
    }
  });
});
