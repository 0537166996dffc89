import { beforeEach, expect, test } from 'vitest';
import { setFloat32MatmulPrecision } from '../../lib/devices.js';
import { type NativeArray, type NativeGraph, native } from '../../lib/native.js';
import { cudaIsBuilt } from '../runtime/fake_libraries.js';
import { randomFrom, seedOf, sizeOf } from './case.js';
import { cases } from './cases.js';
import { expectForward, expectGradients } from './check.js';
import { libraryCalls } from './cuda_fake_libraries.js';
import { nameOf } from './run.js';

// Products on the emulated device by cuBLASLt, which is a fake that believes what it is told about layouts, transposes,
// batches and epilogues: a mistake in the telling shows in numbers, and a product that stays at home in the calls.

const device = 'cuda:0';
beforeEach(() => {
  setFloat32MatmulPrecision('highest');
  libraryCalls();
});

const rows = cases.filter((row) => row.op === 'matmul' && row.inputs.every(({ dtype }) => dtype === 'float32'));
test.skipIf(!cudaIsBuilt).each(rows.map((row) => [nameOf(row), row] as const))('%s', async (_name, row) => {
  await expectForward(row, device);
  expect(libraryCalls().length).toBeGreaterThan(0);
});
test.skipIf(!cudaIsBuilt).each(rows.filter((row) => row.wrt).map((row) => [nameOf(row), row] as const))(
  'gradient of %s',
  async (_name, row) => {
    await expectGradients(row, device);
    expect(libraryCalls().length).toBeGreaterThan(row.wrt!.length - 1);
  },
);

type Shape = number[];
const integersOf = (shape: Shape, random: () => number): Float32Array =>
  Float32Array.from({ length: sizeOf(shape) }, () => Math.floor(random() * 9) - 4);

/** What a graph gives on a device for small integers, which come out exactly. */
async function run(name: string, shapes: Shape[], make: (graph: NativeGraph, ids: number[]) => number, on: string) {
  const random = randomFrom(seedOf(name));
  const graph = new native.Graph();
  const ids = shapes.map((shape, i) => graph.input(`x${i}`, 'float32', shape));
  const program = graph.compileSync([make(graph, ids)], on);
  const [out] = await program.run(shapes.map((shape) => ({ data: integersOf(shape, random), shape }))).promise;
  return out!.data as NativeArray;
}

interface Product {
  shapes: Shape[];
  attrs?: { transposeA?: number; transposeB?: number };
  relu?: boolean;
  /** What the library is asked for: transposes of its left and right side, products x [n, m, k], epilogue. */
  calls: string[];
}
const products: Record<string, Product> = {
  plain: {
    shapes: [
      [5, 3],
      [3, 7],
    ],
    calls: ['NN 1x[7,5,3]'],
  },
  'A transposed': {
    shapes: [
      [3, 5],
      [3, 7],
    ],
    attrs: { transposeA: 1 },
    calls: ['NT 1x[7,5,3]'],
  },
  'B transposed': {
    shapes: [
      [5, 3],
      [7, 3],
    ],
    attrs: { transposeB: 1 },
    calls: ['TN 1x[7,5,3]'],
  },
  'both transposed': {
    shapes: [
      [4, 6],
      [5, 4],
    ],
    attrs: { transposeA: 1, transposeB: 1 },
    calls: ['TT 1x[5,6,4]'],
  },
  'a row': {
    shapes: [
      [1, 6],
      [6, 5],
    ],
    calls: ['NN 1x[5,1,6]'],
  },
  'a column': {
    shapes: [
      [6, 5],
      [5, 1],
    ],
    calls: ['NN 1x[1,6,5]'],
  },
  'a column of a transposed A': {
    shapes: [
      [5, 6],
      [5, 1],
    ],
    attrs: { transposeA: 1 },
    calls: ['NT 1x[1,6,5]'],
  },
  'a sum of one': {
    shapes: [
      [6, 1],
      [1, 5],
    ],
    calls: ['NN 1x[5,6,1]'],
  },
  'a sum of one, transposed': {
    shapes: [
      [1, 6],
      [5, 1],
    ],
    attrs: { transposeA: 1, transposeB: 1 },
    calls: ['NT 1x[5,6,1]'],
  },
  'a shared right side': {
    shapes: [
      [2, 3, 4],
      [4, 5],
    ],
    calls: ['NN 1x[5,6,4]'],
  },
  'a shared right side, A transposed': {
    shapes: [
      [2, 4, 3],
      [4, 5],
    ],
    attrs: { transposeA: 1 },
    calls: ['NT 2x[5,3,4]'],
  },
  'a batch': {
    shapes: [
      [3, 2, 4],
      [3, 4, 5],
    ],
    calls: ['NN 3x[5,2,4]'],
  },
  'a batch of two axes, B transposed': {
    shapes: [
      [2, 3, 2, 4],
      [2, 3, 5, 4],
    ],
    attrs: { transposeB: 1 },
    calls: ['TN 6x[5,2,4]'],
  },
  'one A for a batch': {
    shapes: [
      [1, 2, 4],
      [3, 4, 5],
    ],
    calls: ['NN 3x[5,2,4]'],
  },
  // The strides of A from product to product are no single number.
  'A broadcast over the inner axis': {
    shapes: [
      [2, 1, 2, 4],
      [2, 3, 4, 5],
    ],
    calls: [],
  },
  bias: { shapes: [[5, 4], [4, 8], [8]], calls: ['NN 1x[8,5,4] bias'] },
  'bias and relu': { shapes: [[5, 4], [4, 8], [8]], relu: true, calls: ['NN 1x[8,5,4] bias relu'] },
  'bias and relu of a batch': { shapes: [[3, 5, 4], [3, 4, 8], [8]], relu: true, calls: ['NN 3x[8,5,4] bias relu'] },
};

test.skipIf(!cudaIsBuilt).each(Object.entries(products))('matmul: %s', async (name, { shapes, attrs, relu, calls }) => {
  const make = (graph: NativeGraph, [a, b, bias]: number[]) => {
    const product = graph.op('matmul', [a!, b!], { transposeA: 0, transposeB: 0, ...attrs })[0]!;
    const sum = bias === undefined ? product : graph.op('add', [product, bias], {})[0]!;
    return relu ? graph.op('relu', [sum], {})[0]! : sum;
  };
  const want = await run(name, shapes, make, 'cpu');
  for (const [precision, factors] of [
    ['highest', 'f32'],
    ['high', 'tf32'],
  ] as const) {
    setFloat32MatmulPrecision(precision);
    expect(await run(name, shapes, make, device)).toEqual(want);
    expect(libraryCalls()).toEqual(calls.map((call) => `${factors} ${call}`));
  }
});

test.skipIf(!cudaIsBuilt)('factors are rounded to tf32 where that was asked for', async () => {
  const graph = new native.Graph();
  const ids = [graph.input('a', 'float32', [1, 1]), graph.input('b', 'float32', [1, 1])];
  const node = graph.op('matmul', ids, {})[0]!;
  for (const [precision, want] of [
    ['highest', 1 + 2 ** -12],
    ['high', 1],
  ] as const) {
    setFloat32MatmulPrecision(precision);
    const program = graph.compileSync([node], device);
    const [out] = await program.run([1 + 2 ** -12, 1].map((x) => ({ data: Float32Array.of(x), shape: [1, 1] })))
      .promise;
    expect(out!.data[0]).toBe(want);
  }
});
