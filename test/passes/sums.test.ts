import { afterAll, describe, expect, test } from 'vitest';
import { native } from '../../lib/native.js';
import { Builder, variable } from '../ir/builder.js';

// Sums inside the elementwise program that makes what they sum, against float64.

const shapes: { about: string; x: number[]; axes: number[] }[] = [
  { about: 'columns', x: [1000, 24], axes: [0] },
  { about: 'few rows', x: [3, 40], axes: [0] },
  { about: 'wide rows', x: [33, 700], axes: [0] },
  { about: 'images', x: [4, 19, 17, 144], axes: [0, 1, 2] },
  { about: 'over images only', x: [6, 5, 7], axes: [0] },
  { about: 'everything', x: [70, 300], axes: [0, 1] },
  { about: 'a single column', x: [20000, 1], axes: [0] },
];

afterAll(() => native.configure({ threads: native.info().threads, parallelThreshold: 10000 }));

/** The square and a product of (x - offset), the latter read by something else as well if `kept`. */
function build(x: number[], axes: number[], kept: boolean) {
  const b = new Builder();
  const value = b.op('sub', [b.input('x', -1, ...x.slice(1)), b.graph.read(variable('offset', x.at(-1)!))]);
  const square = b.op('square', [value]);
  const product = b.op('mul', [b.op('tanh', [value]), square]);
  const sums = [b.op('reduceMean', [square], { axes }), b.op('reduceSum', [product], { axes })];
  return b.graph.compileSync(kept ? [...sums, product] : sums);
}

function exact(x: Float32Array, shape: number[], columns: number) {
  const rows = x.length / columns;
  const sums = {
    square: new Float64Array(columns),
    product: new Float64Array(columns),
    size: new Float64Array(columns),
  };
  const width = shape.at(-1)!;
  x.forEach((number, i) => {
    const value = Math.fround(number - Math.fround(Math.sin((i % width) + 1)));
    const product = Math.tanh(value) * value ** 2;
    sums.square[i % columns]! += value ** 2 / rows;
    sums.product[i % columns]! += product;
    sums.size[i % columns]! += Math.abs(product);
  });
  return { ...sums, rows };
}

describe.each(shapes)('sums over $about', ({ x: shape, axes }) => {
  const count = shape.reduce((a, n) => a * n, 1);
  const columns = shape.slice(axes.length).reduce((a, n) => a * n, 1);
  const x = Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.7));

  test.each([false, true])('while something else reads the terms: %s', async (kept) => {
    const program = build(shape, axes, kept);
    expect(program.describe()).toContain('islandSums');
    const first = program.runSync([{ data: x, shape }]);
    const expected = exact(x, shape, columns);
    // n terms, each of a few roundings (tanh: 4 ulp), summed in any order.
    const roundings = (expected.rows + 12) * 2 ** -24;
    const [mean, sum] = first.map(({ data }) => data as Float32Array);
    for (let i = 0; i < columns; i++) {
      expect(Math.abs(mean![i]! - expected.square[i]!)).toBeLessThanOrEqual(roundings * expected.square[i]!);
      expect(Math.abs(sum![i]! - expected.product[i]!)).toBeLessThanOrEqual(roundings * expected.size[i]!);
    }
    if (kept) {
      const terms = first[2]!.data as Float32Array;
      const value = Math.fround(x[5]! - Math.fround(Math.sin((5 % shape.at(-1)!) + 1)));
      expect(terms[5]).toBeCloseTo(Math.tanh(value) * value ** 2, 6);
    }
    for (const threads of [1, 2, 3, 8]) {
      native.configure({ threads, parallelThreshold: 0 });
      const again = await program.run([{ data: x, shape }]).promise;
      for (const [i, { data }] of again.entries()) expect(data).toEqual(first[i]!.data);
    }
  });
});

// With more columns than a block has floats, the partial sums of few rows would be as large as the rows.
test.each([8192, 8193])('few rows of %i columns', (columns) => {
  const b = new Builder();
  const x = b.input('x', 64, columns);
  const square = b.op('square', [x]);
  const axes = [0];
  const mean = b.op('reduceMean', [x], { axes, keepDims: false });
  const variance = b.op('reduceMean', [b.op('square', [b.op('sub', [x, mean])])], { axes, keepDims: false });
  const sum = b.op('reduceSum', [square], { axes, keepDims: false });
  const program = b.graph.compileSync([sum, mean, variance]);
  const inside = columns <= 8192;
  expect(program.describe().includes('islandSums')).toBe(inside);
  expect(program.describe().includes('moments')).toBe(inside);
});

test('sums over different axes: those of the first kind inside, the others as before', () => {
  const b = new Builder();
  const y = b.op('square', [b.input('x', -1, 3, 4)]);
  const sums = [
    b.op('reduceSum', [y], { axes: [0] }),
    b.op('reduceSum', [y], { axes: [0, 1] }),
    b.op('reduceSum', [y], { axes: [2] }),
  ];
  const program = b.graph.compileSync(sums);
  expect(program.describe().match(/reduceSum/g)).toHaveLength(2);
  const x = Float32Array.from({ length: 24 }, (_, i) => i);
  const found = program.runSync([{ data: x, shape: [2, 3, 4] }]).map(({ data }) => Array.from(data));
  const at = (n: number, i: number, j: number): number => (n * 12 + i * 4 + j) ** 2;
  const all = [0, 1].flatMap((n) =>
    [0, 1, 2].flatMap((i) => [0, 1, 2, 3].map((j) => ({ n, i, j, value: at(n, i, j) }))),
  );
  const sumWhere = (test: (item: { n: number; i: number; j: number }) => boolean): number =>
    all.filter(test).reduce((a, { value }) => a + value, 0);
  expect(found[0]).toEqual([0, 1, 2].flatMap((i) => [0, 1, 2, 3].map((j) => sumWhere((t) => t.i === i && t.j === j))));
  expect(found[1]).toEqual([0, 1, 2, 3].map((j) => sumWhere((t) => t.j === j)));
  expect(found[2]).toEqual([0, 1].flatMap((n) => [0, 1, 2].map((i) => sumWhere((t) => t.n === n && t.i === i))));
});

describe('mean and variance in one pass', () => {
  const build = (columns: number, keep: boolean) => {
    const b = new Builder();
    const x = b.input('x', -1, 5, columns);
    const axes = [0, 1];
    const mean = b.op('reduceMean', [x], { axes });
    const apart = b.op('square', [b.op('sub', [x, b.op('reduceMean', [x], { axes, keepDims: true })])]);
    const variance = b.op('reduceMean', [apart], { axes });
    return b.graph.compileSync(keep ? [mean, variance, apart] : [mean, variance]);
  };

  test.each([8, 17, 144, 3000])('of %i columns', async (columns) => {
    const program = build(columns, false);
    expect(program.describe()).toContain('moments');
    for (const rows of [1, 40, 900]) {
      const shape = [rows, 5, columns];
      const x = Float32Array.from({ length: rows * 5 * columns }, (_, i) => 50 + Math.sin(i * 1.7));
      const bound = [{ data: x, shape }];
      const [mean, variance] = program.runSync(bound).map(({ data }) => data as Float32Array);
      const n = rows * 5;
      for (let c = 0; c < columns; c++) {
        let sum = 0;
        for (let i = 0; i < n; i++) sum += x[i * columns + c]!;
        let squares = 0;
        for (let i = 0; i < n; i++) squares += (x[i * columns + c]! - sum / n) ** 2;
        // A block has at most 128 rows, and at most 64 chunks of at most n / 64 blocks are put together.
        const roundings = (128 + 64 + n / 64 + 8) * 2 ** -24;
        const shift = roundings * 51;
        expect(Math.abs(mean![c]! - sum / n)).toBeLessThanOrEqual(shift);
        expect(Math.abs(variance![c]! - squares / n)).toBeLessThanOrEqual(
          (4 * roundings * squares) / n + 2 * shift ** 2 + 2 * shift * Math.sqrt(squares / n),
        );
      }
      for (const threads of [1, 2, 3, 8]) {
        native.configure({ threads, parallelThreshold: 0 });
        const again = await program.run(bound).promise;
        expect(again[0]!.data).toEqual(mean);
        expect(again[1]!.data).toEqual(variance);
      }
    }
  });

  test.each([[[8, 1]], [[1, 1, 1, 8]]])('not behind a mean of shape %j, which lies along other axes', (shape) => {
    const b = new Builder();
    const x = b.input('x', -1, 8, 8);
    const mean = b.op('reduceMean', [x], { axes: [0, 1] });
    const apart = b.op('square', [b.op('sub', [x, b.op('reshape', [mean], { shape })])]);
    const program = b.graph.compileSync([b.op('reduceMean', [apart], { axes: [0, 1] }), apart, mean]);
    expect(program.describe()).not.toContain('moments');
    const data = Float32Array.from({ length: 2 * 8 * 8 }, (_, i) => Math.sin(i * 1.7) + (i % 8));
    const [found, squares] = program.runSync([{ data, shape: [2, 8, 8] }]).map(({ data }) => data as Float32Array);
    found!.forEach((value, i) => {
      const own = squares!.filter((_, at) => at % found!.length === i);
      // Squares of one sign: a rounding for each of them and the division.
      const exact = own.reduce((a, v) => a + v, 0) / own.length;
      expect(Math.abs(value - exact)).toBeLessThanOrEqual((own.length + 1) * 2 ** -24 * exact);
    });
  });

  test('of which one is not read', () => {
    const data = Float32Array.from({ length: 900 * 5 * 16 }, (_, i) => Math.sin(i * 1.7));
    const bound = [{ data, shape: [900, 5, 16] }];
    const [, expected] = build(16, false).runSync(bound);
    const b = new Builder();
    const x = b.input('x', -1, 5, 16);
    const apart = b.op('sub', [x, b.op('reduceMean', [x], { axes: [0, 1], keepDims: false })]);
    const variance = b.op('reduceMean', [b.op('square', [apart])], { axes: [0, 1], keepDims: false });
    const program = b.graph.compileSync([variance]);
    expect(program.describe()).toContain('moments');
    const before = data.slice();
    expect(program.runSync(bound)[0]).toEqual(expected);
    expect(data).toEqual(before);
  });

  test('the squares may be read by something else', () => {
    const program = build(16, true);
    expect(program.describe()).toContain('moments');
    const x = Float32Array.from({ length: 2 * 5 * 16 }, (_, i) => i % 7);
    const [mean, , apart] = program.runSync([{ data: x, shape: [2, 5, 16] }]).map(({ data }) => data as Float32Array);
    expect(apart![3]).toBeCloseTo((x[3]! - mean![3]!) ** 2, 4);
  });
});
