import { expect, test } from 'vitest';
import { type AttrValue, type Bound, native } from '../../lib/native.js';
import { between, randomFrom } from './case.js';
import { cudaDevice } from './cuda_device.js';

// Factors of matrices on the first CUDA device against those of the CPU, every part with its signs. The larger ones take
// several warps and memory beyond a block's own.

interface Call {
  op: string;
  inputs: { dtype: 'float32' | 'uint32'; bound: Bound }[];
  attrs?: Record<string, AttrValue>;
}

function run({ op, inputs, attrs = {} }: Call, on: string): number[][] {
  const graph = new native.Graph();
  const ids = inputs.map(({ dtype, bound }, i) => graph.input(`x${i}`, dtype, [...bound.shape]));
  const program = graph.compileSync(graph.op(op, ids, attrs), on);
  return program.runSync(inputs.map(({ bound }) => bound)).map(({ data }) => Array.from(data));
}

function matrices(shape: number[], diagonal = 0): Call['inputs'][number] {
  const random = randomFrom(shape.reduce((a, b) => 31 * a + b, 7));
  const [rows, columns] = shape.slice(-2) as [number, number];
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => {
    const at = i % (rows * columns);
    return between(-1, 1)(random, i, 0) + (at % (columns + 1) === 0 ? diagonal : 0);
  });
  return { dtype: 'float32', bound: { data, shape } };
}

const seed = { dtype: 'uint32' as const, bound: { data: Uint32Array.of(0x12345678, 0x9abcdef0, 5), shape: [3] } };

const calls: [string, Call][] = [
  ...[
    [2, 5, 3],
    [2, 3, 5],
    [1, 40, 9],
    [1, 7, 70],
  ].flatMap((shape): [string, Call][] => [
    [`qr of ${shape}`, { op: 'qr', inputs: [matrices(shape)] }],
    [`svd of ${shape}`, { op: 'svd', inputs: [matrices(shape)] }],
  ]),
  ['qr of 70 x 50', { op: 'qr', inputs: [matrices([70, 50])] }],
  ['solve of 50 x 50', { op: 'solve', inputs: [matrices([2, 50, 50]), matrices([2, 50, 33])] }],
  ['inverse of 70 x 70', { op: 'inverse', inputs: [matrices([70, 70], 4)] }],
  ['determinant of 40 x 40', { op: 'determinant', inputs: [matrices([3, 40, 40], 0.5)] }],
  ['cholesky of 1 x 1', { op: 'cholesky', inputs: [matrices([4, 1, 1], 2)] }],
  ['orthogonal, tall', { op: 'orthogonal', inputs: [seed], attrs: { rows: 70, columns: 40, gain: 2 } }],
  ['orthogonal, wide', { op: 'orthogonal', inputs: [seed], attrs: { rows: 5, columns: 31, gain: 1 } }],
];

test.skipIf(!cudaDevice).each(calls)('%s', (_name, call) => {
  const want = run(call, 'cpu');
  const got = run(call, cudaDevice);
  // Both compute in float64 and round to float32 once: they differ where a rounding is all but a tie.
  want.forEach((part, i) => {
    const largest = Math.max(...part.map(Math.abs));
    part.forEach((x, k) => {
      expect(Math.abs(got[i]![k]! - x), `part ${i}, element ${k}`).toBeLessThanOrEqual(largest * 2 ** -23);
    });
  });
});
