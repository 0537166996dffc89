import { describe, expect, test } from 'vitest';
import { type NativeVariable, native } from '../../lib/native.js';
import { Builder, evaluate, variable } from '../ir/builder.js';

// Weights stored as bfloat16: ops that widen them take them as they are, and what is widened for others is not kept.

function narrow(name: string, ...shape: number[]): NativeVariable {
  const made = new native.Variable(name, 'bfloat16', shape);
  const count = shape.reduce((a, b) => a * b, 1);
  made.writeSync(Float32Array.from({ length: count }, (_, i) => Math.sin(i + 1)));
  return made;
}

const widened = (b: Builder, weights: NativeVariable): number =>
  b.op('cast', [b.graph.read(weights)], { dtype: 'float32' });

interface Case {
  x: number[];
  w: number[];
  build: (b: Builder, x: number, w: number) => number;
}
const conv = (attrs: object) => (b: Builder, x: number, w: number) =>
  b.op('conv2d', [x, w], { strides: [1, 1], dilations: [1, 1], padding: [0, 0, 0, 0], groups: 1, ...attrs });

const taken: Record<string, Case> = {
  'a product': { x: [19], w: [19, 21], build: (b, x, w) => b.op('matmul', [x, w]) },
  'a product and an epilogue': {
    x: [4, 19],
    w: [19, 21],
    build: (b, x, w) => b.op('relu', [b.op('add', [b.op('matmul', [x, w]), b.graph.read(variable('bias', 21))])]),
  },
  'a convolution': { x: [6, 7, 5], w: [3, 2, 5, 19], build: conv({}) },
  "Winograd's filter": { x: [8, 8, 32], w: [3, 3, 32, 32], build: conv({}) },
};
const left: Record<string, Case> = {
  'a single column': { x: [19], w: [19, 1], build: (b, x, w) => b.op('matmul', [x, w]) },
  'a transposed product': { x: [19], w: [21, 19], build: (b, x, w) => b.op('matmul', [x, w], { transposeB: true }) },
  'a convolution of groups': { x: [6, 7, 6], w: [3, 3, 3, 8], build: conv({ groups: 2 }) },
  arithmetic: { x: [19], w: [19], build: (b, x, w) => b.op('mul', [x, w]) },
};

function programOf({ x, w, build }: Case, weights: NativeVariable = narrow('w', ...w)) {
  const b = new Builder();
  const input = b.input('x', -1, ...x);
  const program = b.graph.compileSync([build(b, input, widened(b, weights))]);
  return { program, text: program.describe(3) };
}

/** The same on a float32 variable with the same numbers. */
function expected({ x, w, build }: Case, weights: NativeVariable, data: Float32Array): number[] {
  const wide = new native.Variable('w', 'float32', w);
  wide.writeSync(weights.readSync());
  const b = new Builder();
  const out = build(b, b.input('x', -1, ...x), b.graph.read(wide));
  return evaluate(b, [out], [[Array.from(data), 3, ...x]])[0]!;
}

describe.each(Object.entries({ ...taken, ...left }))('%s', (name, one) => {
  test('gives the bits of float32 weights of the same numbers', () => {
    const weights = narrow('w', ...one.w);
    const count = 3 * one.x.reduce((a, n) => a * n, 1);
    const data = Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.3));
    const want = expected(one, weights, data);
    const { program } = programOf(one, weights);
    const [got] = program.runSync([{ data, shape: [3, ...one.x] }]);
    expect([...got!.data]).toEqual(want);
    // A variable whose layout was fixed before the program came.
    const rows = narrow('w', ...one.w);
    const b = new Builder();
    b.graph.compileSync([b.op('neg', [widened(b, rows)])]).runSync([]);
    const [other] = programOf(one, rows).program.runSync([{ data, shape: [3, ...one.x] }]);
    expect([...other!.data]).toEqual(want);
  });

  test(name in taken ? 'takes them as they are' : 'has them widened in every run', () => {
    const { text } = programOf(one);
    if (name in taken) expect(text).not.toMatch(/^ {2}cast/m);
    else expect(text).not.toContain('prologue');
  });
});

test('values of bfloat16 are refused where they are not widened', () => {
  const b = new Builder();
  const value = b.graph.read(narrow('w', 3));
  expect(() => b.op('neg', [value])).toThrow(/neg: input 0 has the dtype bfloat16.*Convert it to float32 with cast/);
  expect(() => b.op('matmul', [b.graph.read(narrow('v', 2, 2)), b.graph.read(variable('u', 2, 2))])).toThrow(
    /bfloat16/,
  );
  expect(() => b.graph.scalar(1, 'bfloat16')).toThrow(/bfloat16/);
  expect(() => b.op('cast', [b.graph.scalar(1, 'int32')], { dtype: 'bfloat16' })).toThrow(
    /must be float32 or bfloat16/,
  );
});
