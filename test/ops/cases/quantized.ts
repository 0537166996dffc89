import { between, cycle, f32, i8, i32, integers, numbers, type OpCase, type Reference, values } from '../case.js';
import { conv2d } from './window.js';

// Ops with int8 weights. Every step is one correctly rounded operation or an exact sum, so the references, which round
// where float32 does, agree to the last bit (keras/src/layers/core/dense.py, _int8_call).

const { fround } = Math;

function roundHalfToEven(x: number): number {
  const below = Math.floor(x);
  if (x - below === 0.5) return below % 2 === 0 ? below : below + 1;
  return Math.round(x);
}

function quantizedRow(row: Float64Array): { row: Float64Array; factor: number } {
  const largest = row.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const factor = fround(127 / fround(largest + fround(1e-7)));
  const clipped = (value: number): number => Math.max(-127, Math.min(127, roundHalfToEven(fround(value * factor))));
  return { row: row.map(clipped), factor };
}

const matmulInt8: Reference = ([x, w, scale]) => {
  const [depth, columns] = w!.shape as [number, number];
  const rows = x!.data.length / depth;
  const out = values([...x!.shape.slice(0, -1), columns]);
  for (let i = 0; i < rows; ++i) {
    const { row: quantized, factor } = quantizedRow(x!.data.subarray(i * depth, (i + 1) * depth));
    for (let j = 0; j < columns; ++j) {
      let sum = 0;
      for (let k = 0; k < depth; ++k) sum += quantized[k]! * w!.data[k * columns + j]!;
      out.data[i * columns + j] = fround(sum) / fround(scale!.data[j]! * factor);
    }
  }
  return out;
};

const gatherInt8: Reference = ([table, ids, scale]) => {
  const width = table!.shape[1]!;
  const out = values([...ids!.shape, width]);
  ids!.data.forEach((row, i) => {
    for (let k = 0; k < width; ++k) out.data[i * width + k] = table!.data[row * width + k]! / scale!.data[row]!;
  });
  return out;
};

const conv2dInt8: Reference = ([x, w, scale], attrs) => {
  const [n, h, width, cin] = x!.shape as [number, number, number, number];
  const [kh, kw] = numbers(attrs, 'window') as [number, number];
  const columns = w!.shape[1]!;
  const size = h * width * cin;
  const quantized = values(x!.shape);
  const factors = Array.from({ length: n }, (_, image) => {
    const { row, factor } = quantizedRow(x!.data.subarray(image * size, (image + 1) * size));
    quantized.data.set(row, image * size);
    return factor;
  });
  const sums = conv2d([quantized, values([kh, kw, cin, columns], w!.data)], attrs);
  const perImage = sums.data.length / n;
  sums.data.forEach((sum, i) => {
    const factor = factors[Math.floor(i / perImage)]!;
    sums.data[i] = fround(sum) / fround(scale!.data[i % columns]! * factor);
  });
  return sums;
};

const toInt8: Reference = ([x]) =>
  values(
    x!.shape,
    x!.data.map((value) => Math.max(-127, Math.min(127, roundHalfToEven(value)))),
  );

const bytes = integers(-127, 127);
const scales = between(20, 400);

/** Rows x depth x columns around quads of the depth, panels of 16 columns and tiles of 4 rows. */
const products: OpCase[] = [
  [[-1, 1], 1, [1, 2, 7]],
  [[-1, 3], 5, [1, 4, 9]],
  [[-1, 16], 16, [1, 8]],
  [[-1, 37], 33, [1, 3, 5, 30]],
  [[-1, 5, 18], 49, [1, 6]],
  [[-1, 1024], 100, [1, 17]],
].map(([x, columns, rows]) => ({
  op: 'matmulInt8',
  about: `rows ${(x as number[]).join(' x ')} to ${columns} columns`,
  inputs: [
    f32(x as number[], between(-2, 2)),
    i8([(x as number[]).at(-1)!, columns as number], bytes),
    f32([columns as number], scales),
  ],
  rows: rows as number[],
  reference: matmulInt8,
  exactness: 'exact',
}));

const convolutions: OpCase[] = [
  { about: '3 x 3', x: [-1, 6, 7, 5], window: [3, 3] },
  { about: '3 x 3 with padding', x: [-1, 5, 6, 4], window: [3, 3], padding: [1, 1, 1, 1] },
  { about: '1 x 1', x: [-1, 9, 10, 8], window: [1, 1] },
  { about: 'strides and uneven padding', x: [-1, 9, 8, 3], window: [3, 2], strides: [2, 3], padding: [0, 1, 1, 0] },
  { about: 'dilation', x: [-1, 9, 9, 3], window: [3, 2], dilations: [2, 3], padding: [2, 2, 1, 2] },
  { about: 'many pixels', x: [-1, 20, 30, 2], window: [5, 5] },
].map(({ about, x, window, strides = [1, 1], dilations = [1, 1], padding = [0, 0, 0, 0] }) => ({
  op: 'conv2dInt8',
  about,
  inputs: [f32(x, between(-2, 2)), i8([window[0]! * window[1]! * x[3]!, 19], bytes), f32([19], scales)],
  attrs: { window, strides, dilations, padding },
  rows: [1, 3],
  reference: conv2dInt8,
  exactness: 'exact',
}));

export const quantizedCases: OpCase[] = [
  ...products,
  ...convolutions,
  {
    op: 'matmulInt8',
    about: 'the largest sums of products, of both signs',
    inputs: [f32([-1, 4096], cycle([1, 1, 1, 1, -1, -1, -1])), i8([4096, 17], cycle([127, -127])), f32([17], scales)],
    rows: [1, 5],
    reference: matmulInt8,
    exactness: 'exact',
  },
  {
    op: 'matmulInt8',
    about: 'a row of zeros',
    inputs: [f32([-1, 8], () => 0), i8([8, 3], bytes), f32([3], scales)],
    rows: [2],
    reference: matmulInt8,
    exactness: 'exact',
  },
  ...[1, 8, 19].map(
    (width): OpCase => ({
      op: 'gatherInt8',
      about: `rows of ${width}`,
      inputs: [i8([7, width], bytes), i32([-1, 2], integers(0, 6)), f32([7], scales)],
      rows: [1, 9],
      reference: gatherInt8,
      exactness: 'exact',
    }),
  ),
  {
    op: 'toInt8',
    about: 'halves go to even, what is beyond 127 to 127',
    inputs: [f32([-1, 9], cycle([0.5, 1.5, 2.5, -0.5, -1.5, 127.4, 128, -200, 3.49, -126.5, 1e9, 0]))],
    rows: [1, 40],
    reference: toInt8,
    exactness: 'exact',
    output: 'int8',
  },
];
