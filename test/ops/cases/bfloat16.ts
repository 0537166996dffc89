import {
  type Argument,
  bf16,
  cycle,
  type Fill,
  f32,
  i32,
  integers,
  type OpCase,
  type Reference,
  values,
} from '../case.js';
import { matmul } from './matmul.js';
import { conv2d } from './window.js';

// bfloat16 is for storage: casts round to it, and a few ops widen it as they read. Their sums are those of float32.

const word = new DataView(new ArrayBuffer(4));
const bitsOf = (x: number): number => {
  word.setFloat32(0, x);
  return word.getUint32(0);
};
const floatOf = (bits: number): number => {
  word.setUint32(0, bits);
  return word.getFloat32(0);
};

/** The nearest bfloat16, found by its distance; of two as near the one whose last bit is 0. */
export function nearestBfloat16(x: number): number {
  if (Number.isNaN(x) || !Number.isFinite(x)) return x;
  const bits = bitsOf(x);
  const below = floatOf((bits & 0xffff0000) >>> 0);
  const next = ((bits & 0xffff0000) >>> 0) + 0x10000;
  const above = floatOf(next);
  // Where infinity comes next, the step is as wide as the one before.
  const top = Number.isFinite(above) ? above : Math.sign(x) * 2 ** 128;
  const rest = Math.abs(x - below) - Math.abs(top - x);
  if (rest === 0) return (bits & 0x10000) === 0 ? below : above;
  return rest < 0 ? below : above;
}

const cast: Reference = ([x]) => values(x!.shape, x!.data.map(nearestBfloat16));

/** Numbers that bfloat16 holds: 8 bits of mantissa. */
const half: Fill = (random) => nearestBfloat16(Math.fround(2 * random() - 1));

const edges = [
  0,
  -0,
  1,
  -1,
  1.00390625,
  1.01171875,
  1.0039062,
  1.0039063,
  -1.00390625,
  3.14159274,
  65504,
  1e30,
  -1e-30,
  3.3895e38,
  3.3961775e38,
  3.4028235e38,
  -3.4028235e38,
  1.1754944e-38,
  2.9387359e-39,
  1e-45,
  -9.2e-41,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
].map(Math.fround);

const gather: Reference = ([table, ids]) => {
  const width = table!.shape[1]!;
  const out = values([...ids!.shape, width]);
  ids!.data.forEach((row, i) => {
    out.data.set(table!.data.subarray(row * width, (row + 1) * width), i * width);
  });
  return out;
};

/** Around tiles of 4 rows, words of two rows of weights, and panels of 16 columns. */
const products: [rows: number[], depth: number, columns: number][] = [
  [[1, 2, 7], 1, 5],
  [[1, 4, 5], 3, 16],
  [[1, 3, 20], 37, 33],
  [[2, 13], 400, 50],
];

const row = (
  op: string,
  about: string,
  inputs: Argument[],
  rest: Partial<OpCase> & { reference: Reference },
): OpCase => ({
  op,
  about: `bfloat16: ${about}`,
  inputs,
  exactness: 'exact',
  ...rest,
});

export const bfloat16Cases: OpCase[] = [
  row('cast', 'numbers between', [f32([-1, 33], (random) => Math.fround(4 * random() - 2))], {
    attrs: { dtype: 'bfloat16' },
    rows: [1, 5, 40],
    reference: cast,
    output: 'bfloat16',
  }),
  row('cast', 'halves, limits, NaN and infinity', [f32([-1], cycle(edges))], {
    attrs: { dtype: 'bfloat16' },
    rows: [1, 24, 50],
    reference: cast,
    output: 'bfloat16',
  }),
  row('cast', 'back to float32', [bf16([-1, 19], half)], {
    attrs: { dtype: 'float32' },
    rows: [1, 30],
    reference: ([x]) => x!,
  }),
  row('cast', 'to int32', [bf16([-1], cycle([-2.5, 0, 0.75, 96, 1.9921875]))], {
    attrs: { dtype: 'int32' },
    rows: [5, 21],
    reference: ([x]) => values(x!.shape, x!.data.map(Math.trunc)),
    output: 'int32',
  }),
  ...products.map(([rows, depth, columns]) =>
    row('matmul', `weights ${depth} x ${columns}`, [f32([-1, depth], half), bf16([depth, columns], half)], {
      attrs: { transposeA: false, transposeB: false },
      rows,
      reference: matmul,
      exactness: { terms: depth },
    }),
  ),
  row('conv2d', 'a filter', [f32([-1, 6, 7, 5], integers(-4, 4)), bf16([3, 2, 5, 19], integers(-4, 4))], {
    attrs: { strides: [1, 2], dilations: [1, 1], padding: [1, 1, 0, 1], groups: 1 },
    rows: [1, 3],
    reference: conv2d,
  }),
  ...[1, 8, 19].map((width) =>
    row('gather', `rows of ${width}`, [bf16([7, width], half), i32([-1, 2], integers(0, 6))], {
      rows: [1, 9],
      reference: gather,
    }),
  ),
];
