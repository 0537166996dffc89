import { describe, expect, test } from 'vitest';
import { type AttrValue, type Bound, type NativeArray, native } from '../../lib/native.js';
import { cudaDevice } from './cuda_device.js';

// Random ops on the first CUDA device draw the very bits of the CPU: a GPU, or with CHAINRULE_CUDA_EMULATE=1 the emulated grid.

interface Draw {
  rows?: number;
  rowOffset?: number;
}

const seed: Bound = { data: Uint32Array.of(0x12345678, 0x9abcdef0, 5), shape: [3] };

/** The op's draw on a cudaDevice; a further input carries the batch size into the program. */
async function draw(op: string, attrs: Record<string, AttrValue>, on: string, options: Draw): Promise<NativeArray> {
  const graph = new native.Graph();
  const id = graph.input('seed', 'uint32', [3]);
  graph.input('batch', 'float32', [-1]);
  const rows = options.rows ?? 1;
  const program = graph.compileSync([graph.op(op, [id], attrs)[0]!], on);
  const inputs = [seed, { data: new Float32Array(rows), shape: [rows] }];
  const run = options.rowOffset === undefined ? {} : { rowOffset: options.rowOffset };
  const [out] = await program.run(inputs, run).promise;
  return out!.data;
}

const bitsOf = (data: NativeArray): number[] =>
  Array.from(
    data instanceof Float32Array ? new Uint32Array(data.buffer, data.byteOffset, data.length) : (data as Uint32Array),
  );

// Rows that end within a group of 32 elements, before its eighth, and at it; a tensor without a batch, a scalar per row.
const shapes: [string, number[], Draw][] = [
  ['rows of 70', [-1, 70], { rows: 5, rowOffset: 40 }],
  ['rows of 3 by 11', [-1, 3, 11], { rows: 4, rowOffset: 1 }],
  ['rows of 64, far away', [-1, 64], { rows: 3, rowOffset: 2 ** 33 + 7 }],
  ['one element in a row', [-1], { rows: 300, rowOffset: 3 }],
  ['no batch', [6, 37], { rows: 2, rowOffset: 9 }],
  ['a vector', [1000], { rows: 2, rowOffset: 9 }],
  ['a scalar', [], {}],
  ['nothing', [-1, 0], { rows: 3 }],
];
const ops: [string, Record<string, AttrValue>][] = [
  ['randomBits', {}],
  ['randomUniform', { low: -2, high: 3.5 }],
  ['randomNormal', { mean: 1, stddev: 0.7 }],
  ['randomTruncatedNormal', { mean: -1, stddev: 2 }],
  ['randomBernoulli', { p: 0.3 }],
];

describe.each(ops)('%s', (op, attrs) => {
  test.skipIf(!cudaDevice).each(shapes)('%s', async (_name, shape, options) => {
    const want = await draw(op, { ...attrs, shape }, 'cpu', options);
    const got = await draw(op, { ...attrs, shape }, cudaDevice, options);
    expect(bitsOf(got)).toEqual(bitsOf(want));
  });
});

test.skipIf(!cudaDevice).each([0, 1, 2, 5, 1000])('permutation of %i', async (size) => {
  const want = await draw('permutation', { size }, 'cpu', {});
  expect(Array.from(await draw('permutation', { size }, cudaDevice, {}))).toEqual(Array.from(want));
});

test.skipIf(!cudaDevice)('seedNext', async () => {
  expect(Array.from(await draw('seedNext', {}, cudaDevice, {}))).toEqual([0x12345678, 0x9abcdef0, 6]);
});

test.skipIf(!cudaDevice).each([
  ['rows of 150', [-1, 50, 3], { rows: 4, rowOffset: 11 }, 0.4],
  ['rows of 5', [-1, 5], { rows: 70 }, 0.25],
  ['no batch', [3, 67], { rowOffset: 2 }, 0.5],
  ['nothing dropped', [-1, 20], { rows: 2 }, 0],
  ['all dropped', [-1, 20], { rows: 2 }, 1],
] as [string, number[], Draw, number][])('dropout and its gradient: %s', async (_name, shape, options, rate) => {
  const rows = options.rows ?? 1;
  const dims = shape.map((d) => (d < 0 ? -d * rows : d));
  const count = dims.reduce((a, b) => a * b, 1);
  const wave = (phase: number): Bound => ({
    data: Float32Array.from({ length: count }, (_, i) => Math.sin(i + phase)),
    shape: dims,
  });
  const results = [];
  for (const on of ['cpu', cudaDevice]) {
    const graph = new native.Graph();
    const x = graph.input('x', 'float32', shape);
    const id = graph.input('seed', 'uint32', [3]);
    const cotangent = graph.input('cotangent', 'float32', shape);
    const [y] = graph.op('dropout', [x, id], { rate }) as [number];
    const [dx] = graph.gradients(y, [x], cotangent) as [number];
    const program = graph.compileSync([y, dx], on);
    const run = options.rowOffset === undefined ? {} : { rowOffset: options.rowOffset };
    results.push((await program.run([wave(0), seed, wave(1)], run).promise).map(({ data }) => bitsOf(data)));
  }
  expect(results[1]).toEqual(results[0]);
});
