import { describe, expect, test } from 'vitest';
import { type NativeGraph, native } from '../../lib/native.js';

// Gradients of gradients: a derivative is an ordinary value of the graph, so it can be differentiated again.

type Formula = (graph: NativeGraph, x: number) => number;
const op =
  (name: string, attrs = {}): Formula =>
  (graph, x) =>
    graph.op(name, [x], attrs)[0]!;

interface Row {
  name: string;
  formula: Formula;
  /** First and second derivative of the formula at x, elementwise. */
  first: (x: number) => number;
  second: (x: number) => number;
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const rows: Row[] = [
  { name: 'square', formula: op('square'), first: (x) => 2 * x, second: () => 2 },
  { name: 'exp', formula: op('exp'), first: Math.exp, second: Math.exp },
  { name: 'sin', formula: op('sin'), first: Math.cos, second: (x) => -Math.sin(x) },
  {
    name: 'tanh',
    formula: op('tanh'),
    first: (x) => 1 - Math.tanh(x) ** 2,
    second: (x) => -2 * Math.tanh(x) * (1 - Math.tanh(x) ** 2),
  },
  {
    name: 'sigmoid',
    formula: op('sigmoid'),
    first: (x) => sigmoid(x) * (1 - sigmoid(x)),
    second: (x) => sigmoid(x) * (1 - sigmoid(x)) * (1 - 2 * sigmoid(x)),
  },
  { name: 'log', formula: op('log'), first: (x) => 1 / x, second: (x) => -1 / x ** 2 },
  { name: 'sqrt', formula: op('sqrt'), first: (x) => 0.5 / Math.sqrt(x), second: (x) => -0.25 * x ** -1.5 },
  { name: 'reciprocal', formula: op('reciprocal'), first: (x) => -1 / x ** 2, second: (x) => 2 / x ** 3 },
  {
    name: 'a product of three',
    formula: (graph, x) => graph.op('mul', [graph.op('mul', [x, x])[0]!, x])[0]!,
    first: (x) => 3 * x ** 2,
    second: (x) => 6 * x,
  },
];

const points = Float32Array.of(0.3, 0.8, 1.1, 1.7, 2.2, 2.9, 0.5, 1.3, 0.9);

test.each(rows)('$name twice', ({ formula, first, second }) => {
  const graph = new native.Graph();
  const x = graph.input('x', 'float32', [-1]);
  const sum = (value: number) => graph.op('reduceSum', [value], { axes: [0], keepDims: false })[0]!;
  const [dx] = graph.gradients(sum(formula(graph, x)), [x]) as [number];
  const [ddx] = graph.gradients(sum(dx), [x]) as [number];
  const results = graph.compileSync([dx, ddx]).runSync([{ data: points, shape: [points.length] }]);
  for (const [i, f] of [first, second].entries()) {
    for (const [k, x] of points.entries()) {
      const want = f(x);
      expect(Math.abs(results[i]!.data[k]! - want), `order ${i + 1} at ${x}`).toBeLessThan(
        4e-6 * Math.max(1, Math.abs(want)),
      );
    }
  }
});

describe('linear ops twice', () => {
  // d/dw of |d(sum(conv(x, w)^2)/dx|^2 needs the second derivatives of the op; central differences of the first one judge it.
  const shapes: Record<string, { x: number[]; w: number[]; attrs: Record<string, boolean | number | number[]> }> = {
    matmul: { x: [3, 4], w: [4, 5], attrs: { transposeA: false, transposeB: false } },
    conv2d: {
      x: [2, 4, 4, 2],
      w: [3, 3, 2, 3],
      attrs: { strides: [1, 1], dilations: [1, 1], padding: [1, 1, 0, 0], groups: 1 },
    },
  };

  test.each(Object.entries(shapes))('%s', (name, { x, w, attrs }) => {
    const size = (shape: number[]) => shape.reduce((a, b) => a * b, 1);
    const build = (second: boolean) => {
      const graph = new native.Graph();
      const a = graph.input('x', 'float32', x);
      const b = graph.input('w', 'float32', w);
      const total = (value: number) => {
        const square = graph.op('square', [value])[0]!;
        const axes = graph.shape(square).map((_, axis) => axis);
        return graph.op('reduceSum', [square], { axes, keepDims: false })[0]!;
      };
      const [dx] = graph.gradients(total(graph.op(name, [a, b], attrs)[0]!), [a]) as [number];
      const penalty = total(dx);
      return graph.compileSync(second ? graph.gradients(penalty, [b]) : [penalty]);
    };
    const data = (shape: number[], scale: number) =>
      Float32Array.from({ length: size(shape) }, (_, i) => Math.fround(((((i * 7) % 11) - 5) * scale) / 8));
    const [xs, ws] = [data(x, 1), data(w, 0.5)];
    const at = (weights: Float32Array, second: boolean, program = build(second)) =>
      program.runSync([
        { data: xs, shape: x },
        { data: weights, shape: w },
      ])[0]!.data;
    const gradient = at(ws, true);
    const program = build(false);
    const largest = Math.max(...gradient.map(Math.abs));
    for (let i = 0; i < ws.length; i += 3) {
      const moved = (delta: number) =>
        at(
          ws.map((value, k) => (k === i ? value + delta : value)),
          false,
          program,
        )[0]!;
      // The penalty is a polynomial of degree four in w: a step of 1/16 leaves an error of the third derivative, taken out by
      // Richardson's formula; float32 noise of the penalty (2^-22 of it) over the step is what remains.
      const central = (h: number) => (moved(h) - moved(-h)) / (2 * h);
      const want = (4 * central(1 / 16) - central(1 / 8)) / 3;
      const noise = Math.abs(moved(0)) * 2 ** -22 * 16 * 2;
      expect(Math.abs(gradient[i]! - want)).toBeLessThan(noise + 4e-6 * largest);
    }
  });
});

test('a custom gradient is what the user says, and nests', () => {
  const graph = new native.Graph();
  const x = graph.input('x', 'float32', [-1]);
  const y = graph.op('square', [x])[0]!;
  const dy = graph.op('placeholder', [], { dtype: 'float32', shape: [-1] })[0]!;
  // Says 5 x dy instead of 2 x dy.
  const dx = graph.op('mul', [graph.op('mul', [dy, x])[0]!, graph.scalar(5, 'float32')])[0]!;
  const [custom] = graph.op('customGradient', [y, dy, x, dx]) as [number];
  const [first] = graph.gradients(custom, [x]) as [number];
  const [second] = graph.gradients(first, [x]) as [number];
  const out = graph.compileSync([custom, first, second]).runSync([{ data: Float32Array.of(1, 2, 3), shape: [3] }]);
  expect(out.map(({ data }) => Array.from(data))).toEqual([
    [1, 4, 9],
    [5, 10, 15],
    [5, 5, 5],
  ]);
});

test('nothing flows through stopGradient, comparisons and unrelated values', () => {
  const graph = new native.Graph();
  const x = graph.input('x', 'float32', [3]);
  const other = graph.input('other', 'float32', [3]);
  const stopped = graph.op('stopGradient', [x])[0]!;
  const mixed = graph.op('mul', [stopped, x])[0]!;
  const compared = graph.op('cast', [graph.op('greater', [x, other])[0]!], { dtype: 'float32' })[0]!;
  expect(graph.gradients(stopped, [x])).toEqual([-1]);
  expect(graph.gradients(mixed, [other])).toEqual([-1]);
  expect(graph.gradients(compared, [x])).toEqual([-1]);
  const [half] = graph.gradients(mixed, [x]) as [number];
  const inputs = [Float32Array.of(1, 2, 3), Float32Array.of(0, 0, 0)].map((data) => ({ data, shape: [3] }));
  expect(Array.from(graph.compileSync([half]).runSync(inputs)[0]!.data)).toEqual([1, 2, 3]);
});

test.each([1, 0])('standardized rows (centred = %i) twice, against the ops that they stand for', (centred) => {
  const data = Float32Array.from({ length: 3 * 7 }, (_, i) => Math.sin(i * 1.3) + 0.2 * i);
  const second = (rows: (graph: NativeGraph, x: number) => number): Float32Array => {
    const graph = new native.Graph();
    const x = graph.input('x', 'float32', [-1, 7]);
    const op1 = (name: string, ...inputs: number[]) => graph.op(name, inputs)[0]!;
    const sum = (value: number) => graph.op('reduceSum', [value], { axes: [0, 1], keepDims: false })[0]!;
    const y = rows(graph, x);
    const [dx] = graph.gradients(sum(op1('mul', y, op1('mul', y, y))), [x]) as [number];
    const [ddx] = graph.gradients(sum(op1('mul', dx, op1('sin', x))), [x]) as [number];
    return graph.compileSync([ddx]).runSync([{ data, shape: [3, 7] }])[0]!.data as Float32Array;
  };
  const fused = second((graph, x) => graph.op('standardize', [x], { axes: 1, epsilon: 0.1, centred })[0]!);
  const plain = second((graph, x) => {
    const op1 = (name: string, ...inputs: number[]) => graph.op(name, inputs)[0]!;
    const mean = (value: number) => graph.op('reduceMean', [value], { axes: [1], keepDims: true })[0]!;
    const shifted = centred ? op1('sub', x, mean(x)) : x;
    return op1('mul', shifted, op1('rsqrt', op1('add', mean(op1('square', shifted)), graph.scalar(0.1, 'float32'))));
  });
  const largest = Math.max(...plain.map(Math.abs));
  expect(largest).toBeGreaterThan(0.1);
  for (const [i, value] of fused.entries()) expect(Math.abs(value - plain[i]!)).toBeLessThan(1e-5 * largest);
});
