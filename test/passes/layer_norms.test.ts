import { afterAll, describe, expect, test } from 'vitest';
import { native } from '../../lib/native.js';
import { Builder, variable } from '../ir/builder.js';
import { cudaDevice } from '../ops/cuda_device.js';

// Standardized rows with their weights as one op, and its gradient as another, against the ops that they replace.

afterAll(() => native.configure({ threads: native.info().threads, parallelThreshold: 10000 }));

interface Row {
  about: string;
  shape: number[];
  axes?: number;
  centred?: number;
  gamma?: boolean;
  beta?: boolean;
  /** Something else reads the rows without their weights. */
  kept?: boolean;
  /** Something else reads the gradient that arrives times gamma. */
  product?: boolean;
  /** Weights are computed in the step, and nothing reads them afterwards. */
  dying?: boolean;
}
const rows: Row[] = [
  { about: 'layer norm', shape: [50, 24], gamma: true, beta: true },
  { about: 'layer norm over two axes', shape: [20, 3, 10], axes: 2, gamma: true, beta: true },
  { about: 'layer norm of sequences', shape: [5, 7, 40], gamma: true, beta: true },
  { about: 'without beta', shape: [33, 17], gamma: true },
  { about: 'without gamma', shape: [33, 17], beta: true },
  { about: 'RMS norm', shape: [40, 64], centred: 0, gamma: true },
  { about: 'wide rows', shape: [70, 1025], gamma: true, beta: true },
  { about: 'rows that something else reads', shape: [50, 24], gamma: true, beta: true, kept: true },
  // The scales, the means and what the weights get have the size of the weights, whose memory they must not take.
  { about: 'as many rows as numbers in a row', shape: [24, 24], gamma: true, beta: true, dying: true },
  { about: 'a gradient that something else reads', shape: [50, 24], gamma: true, beta: true, product: true },
];

/** y and the gradients of x, gamma and beta, from standardized rows or the means that those are made of. */
function build(
  { shape, axes = 1, centred = 1, gamma, beta, kept, product, dying }: Row,
  composed: boolean,
  on = 'cpu',
) {
  const b = new Builder();
  const [x, dy] = [b.input('x', -1, ...shape.slice(1)), b.input('dy', -1, ...shape.slice(1))] as const;
  const weight = (name: string) =>
    dying ? b.op('tanh', [b.input(name, ...shape.slice(-axes))]) : b.graph.read(variable(name, ...shape.slice(-axes)));
  const last = Array.from({ length: axes }, (_, i) => shape.length - axes + i);
  const mean = (value: number) => b.op('reduceMean', [value], { axes: last, keepDims: true });
  const composition = () => {
    const apart = centred ? b.op('sub', [x, mean(x)]) : x;
    const variance = mean(b.op('square', [apart]));
    return b.op('mul', [apart, b.op('rsqrt', [b.op('add', [variance, b.scalar(1e-3)])])]);
  };
  const unit = composed ? composition() : b.op('standardize', [x], { axes, epsilon: 1e-3, centred });
  const wrt = [x];
  let y = unit;
  const factor = gamma ? weight('gamma') : -1;
  if (gamma) {
    y = b.op('mul', [y, factor]);
    wrt.push(factor);
  }
  if (beta) {
    const offset = weight('beta');
    y = b.op('add', [y, offset]);
    wrt.push(offset);
  }
  const outputs = [y, ...b.graph.gradients(y, wrt, dy)];
  if (kept) outputs.push(b.op('tanh', [unit]));
  if (product) outputs.push(b.op('tanh', [b.op('mul', [dy, factor])]));
  return b.graph.compileSync(outputs, on);
}

const numbersLike = (shape: number[], step: number) => ({
  data: Float32Array.from({ length: shape.reduce((a, n) => a * n, 1) }, (_, i) => 2 * Math.sin(i * step) + 1),
  shape,
});

describe.each(rows)('$about', (row) => {
  const shapes = [row.shape, row.shape, ...(row.dying ? [row.shape.slice(-1), row.shape.slice(-1)] : [])];
  const inputs = shapes.map((shape, i) => numbersLike(shape, [1.7, 0.77, 0.9, 0.3][i]!));

  test('is one op, and its gradients another', () => {
    const text = build(row, false).describe();
    expect(text).toContain('= layerNorm %');
    expect(text).toContain('= layerNormGradient %');
    expect(text).not.toMatch(/standardize|reduceSum|islandSums/);
    expect(/island/.test(text)).toBe(Boolean(row.kept || row.product || row.dying));
  });

  const expectComposition = (found: Float32Array[]) => {
    const expected = build(row, true)
      .runSync(inputs)
      .map(({ data }) => data as Float32Array);
    expect(found.length).toBe(expected.length);
    for (const [i, values] of expected.entries()) {
      const largest = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      expect(largest).toBeGreaterThan(0);
      // A composite, as in test/ops: 4e-6 of the largest, for each of the two.
      values.forEach((value, k) => {
        if (Math.abs(value - found[i]![k]!) > 8e-6 * largest) expect([i, k, found[i]![k]]).toEqual([i, k, value]);
      });
    }
  };

  test.skipIf(!cudaDevice)('equals what it replaces on a GPU', async () => {
    const results = await build(row, false, cudaDevice).run(inputs).promise;
    expectComposition(results.map(({ data }) => data as Float32Array));
  });

  test('equals what it replaces, at every number of threads', async () => {
    const program = build(row, false);
    const found = program.runSync(inputs).map(({ data }) => data as Float32Array);
    expectComposition(found);
    for (const threads of [1, 2, 3, 8]) {
      native.configure({ threads, parallelThreshold: 0 });
      const again = await program.run(inputs).promise;
      for (const [i, { data }] of again.entries()) expect(data).toEqual(found[i]);
    }
  });
});

test('rows of more numbers than are worth summing in passing leave their sums to other steps', () => {
  const text = build({ about: '', shape: [4, 8193], gamma: true, beta: true }, false).describe();
  expect(text).toContain('= layerNormGradient %');
  expect(text).toMatch(/reduceSum|islandSums/);
});

test('sums of the same product written both ways stand beside each other', () => {
  const program = (beside: boolean) => {
    const b = new Builder();
    const [x, dy] = [b.input('x', -1, 8), b.input('dy', -1, 8)] as const;
    const unit = b.op('standardize', [x], { axes: 1, epsilon: 1e-3, centred: 1 });
    const y = b.op('add', [unit, b.graph.read(variable('beta', 8))]);
    const [dx] = b.graph.gradients(y, [x], dy) as [number];
    const sums = [
      [dy, unit],
      [unit, dy],
    ].map((pair) => b.op('reduceSum', [b.op('mul', pair)], { axes: [0] }));
    return b.graph.compileSync(beside ? [y, dx, ...sums] : [y, dx, sums[0]!]);
  };
  const inputs = [1, 2].map((k) => ({
    data: Float32Array.from({ length: 48 }, (_, i) => Math.sin(i * k + 1)),
    shape: [6, 8],
  }));
  const found = program(true).runSync(inputs);
  const alone = program(false).runSync(inputs);
  expect(found.slice(0, 3)).toEqual(alone);
  for (const [i, value] of found[3]!.data.entries()) expect(value).toBeCloseTo(alone[2]!.data[i]!, 5);
});

test('rows without weights stay as they are', () => {
  const text = build({ about: '', shape: [4, 16] }, false).describe();
  expect(text).not.toContain('layerNorm');
});

test('weights that depend on the rows are no weights', () => {
  const b = new Builder();
  const x = b.input('x', -1, 16);
  const unit = b.op('standardize', [x], { axes: 1, epsilon: 1e-3, centred: 1 });
  const program = b.graph.compileSync([b.op('mul', [unit, b.op('reduceMax', [unit], { axes: [0] })])]);
  expect(program.describe()).toContain('= standardize %');
});
