import { afterAll, beforeAll, expect, test } from 'vitest';
import { setFloat32MatmulPrecision } from '../../lib/devices.js';
import { native } from '../../lib/native.js';
import { Builder } from '../ir/builder.js';
import { cudaDevice } from '../ops/cuda_device.js';

// On a device, products of layers that compute on bfloat16 take it as it is. What they give: test/ops/cuda_products.

beforeAll(() => setFloat32MatmulPrecision('high'));
afterAll(() => setFloat32MatmulPrecision('highest'));

const rounded = (b: Builder, x: number): number =>
  b.op('cast', [b.op('cast', [x], { dtype: 'bfloat16' })], { dtype: 'float32' });
const conv = { strides: [1, 1], dilations: [1, 1], padding: [0, 0, 0, 0], groups: 1 };

interface Case {
  build: (b: Builder) => number[];
  /** Products of bfloat16, and values of it (what is rounded in passing is none). */
  halves: number;
  values: number;
}
const cases: Record<string, Case> = {
  'both factors': {
    build: (b) => [b.op('matmul', [rounded(b, b.input('x', -1, 6)), rounded(b, b.input('w', 6, 5))])],
    halves: 1,
    values: 2,
  },
  'both factors, under another shape': {
    build: (b) => {
      const x = b.op('reshape', [rounded(b, b.input('x', 4, 2, 3))], { shape: [4, 6] });
      return [b.op('matmul', [x, rounded(b, b.input('w', 6, 5))])];
    },
    halves: 1,
    values: 3,
  },
  'both factors, and the rounded number elsewhere': {
    build: (b) => {
      const x = rounded(b, b.input('x', -1, 6));
      return [b.op('matmul', [x, rounded(b, b.input('w', 6, 6))]), b.op('exp', [x])];
    },
    halves: 1,
    values: 2,
  },
  'one factor': {
    build: (b) => [b.op('matmul', [b.input('x', -1, 6), rounded(b, b.input('w', 6, 5))])],
    halves: 0,
    values: 0,
  },
  'gradients: what arrives is rounded once': {
    build: (b) => {
      const x = b.input('x', -1, 6);
      const w = b.input('w', 6, 5);
      const y = b.op('matmul', [rounded(b, x), rounded(b, w)]);
      return [y, ...b.graph.gradients(y, [x, w], b.input('dy', -1, 5))];
    },
    halves: 3,
    values: 3,
  },
  'gradients of a product of one': {
    build: (b) => {
      const x = b.input('x', -1, 6);
      const w = b.input('w', 6, 5);
      const y = b.op('matmul', [rounded(b, x), w]);
      return [y, ...b.graph.gradients(y, [x, w], b.input('dy', -1, 5))];
    },
    halves: 0,
    values: 0,
  },
  'a convolution and its gradients': {
    build: (b) => {
      const x = b.input('x', -1, 6, 6, 8);
      const w = b.input('w', 3, 3, 8, 4);
      const y = b.op('conv2d', [rounded(b, x), rounded(b, w)], conv);
      return [y, ...b.graph.gradients(y, [x, w], b.input('dy', -1, 4, 4, 4))];
    },
    halves: 3,
    values: 3,
  },
  'a depthwise convolution': {
    build: (b) => [
      b.op('conv2d', [rounded(b, b.input('x', -1, 6, 6, 8)), rounded(b, b.input('w', 3, 3, 1, 8))], {
        ...conv,
        groups: 8,
      }),
    ],
    halves: 0,
    values: 0,
  },
  'gradients through weights that are stored so': {
    build: (b) => {
      const x = b.input('x', -1, 6);
      const stored = b.graph.read(new native.Variable('w', 'bfloat16', [6, 5]));
      const y = b.op('matmul', [x, b.op('cast', [stored], { dtype: 'float32' })]);
      return [y, ...b.graph.gradients(y, [x], b.input('dy', -1, 5))];
    },
    halves: 0,
    values: 1,
  },
};

const count = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0;

test.skipIf(!cudaDevice).each(Object.entries(cases))('%s', (_name, { build, halves, values }) => {
  const b = new Builder();
  const text = b.graph.compileSync(build(b), cudaDevice).describe();
  expect([count(text, /halves=1/g), count(text, /bfloat16\[/g)], text).toEqual([halves, values]);
});

test.skipIf(!cudaDevice)('exact products stay exact', () => {
  setFloat32MatmulPrecision('highest');
  const b = new Builder();
  const text = b.graph.compileSync(cases['both factors']!.build(b), cudaDevice).describe();
  setFloat32MatmulPrecision('high');
  expect(text).not.toMatch(/halves/);
});
