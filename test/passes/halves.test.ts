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
  /** Products of bfloat16, those of them that store it, and values of it (what is rounded in passing is none). */
  halves: number;
  results?: number;
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
  'a layer of bias and relu: one step, which stores bfloat16': {
    build: (b) => {
      const [x, w, bias, next] = [b.input('x', -1, 6), b.input('w', 6, 8), b.input('b', 8), b.input('v', 8, 4)];
      const y = b.op('add', [b.op('matmul', [rounded(b, x!), rounded(b, w!)]), rounded(b, bias!)]);
      return [b.op('matmul', [rounded(b, b.op('relu', [y])), rounded(b, next!)])];
    },
    halves: 2,
    results: 1,
    values: 5,
  },
  'its gradients, which need the sign of what it stores alone': {
    build: (b) => {
      const [x, w, bias, next] = [b.input('x', -1, 6), b.input('w', 6, 8), b.input('b', 8), b.input('v', 8, 4)];
      const y = b.op('add', [b.op('matmul', [rounded(b, x!), rounded(b, w!)]), rounded(b, bias!)]);
      const z = b.op('matmul', [rounded(b, b.op('relu', [y])), rounded(b, next!)]);
      return [z, ...b.graph.gradients(z, [w!, bias!, next!], b.input('dz', -1, 4))];
    },
    halves: 5,
    results: 1,
    values: 7,
  },
  'another activation: a step of its own rounds': {
    build: (b) => {
      const [x, w, next] = [b.input('x', -1, 6), b.input('w', 6, 8), b.input('v', 8, 4)];
      const y = b.op('matmul', [rounded(b, x!), rounded(b, w!)]);
      return [b.op('matmul', [rounded(b, b.op('tanh', [y])), rounded(b, next!)])];
    },
    halves: 2,
    results: 1,
    values: 4,
  },
  'a result that something reads unrounded': {
    build: (b) => {
      const [x, w, next] = [b.input('x', -1, 6), b.input('w', 6, 8), b.input('v', 8, 4)];
      const y = b.op('matmul', [rounded(b, x!), rounded(b, w!)]);
      return [b.op('matmul', [rounded(b, y), rounded(b, next!)]), b.sum(y)];
    },
    halves: 2,
    results: 0,
    values: 4,
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

test.skipIf(!cudaDevice).each(Object.entries(cases))('%s', (_name, { build, halves, results = 0, values }) => {
  const b = new Builder();
  const text = b.graph.compileSync(build(b), cudaDevice).describe();
  const found = [/halves=1/g, /halfResult=1/g, /bfloat16\[/g].map((pattern) => count(text, pattern));
  expect(found, text).toEqual([halves, results, values]);
});

test.skipIf(!cudaDevice)('exact products stay exact', () => {
  setFloat32MatmulPrecision('highest');
  const b = new Builder();
  const text = b.graph.compileSync(cases['both factors']!.build(b), cudaDevice).describe();
  setFloat32MatmulPrecision('high');
  expect(text).not.toMatch(/halves/);
});
