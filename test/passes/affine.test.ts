import { describe, expect, test } from 'vitest';
import { type Bound, type NativeVariable, native } from '../../lib/native.js';
import { Builder, variable } from '../ir/builder.js';

// A batch norm that isn't trained goes into the weights before it.

interface Head {
  about: string;
  x: number[];
  w: number[];
  /** Terms of a sum. */
  terms: number;
  attrs?: { strides: number[]; padding?: number[]; groups?: number };
}
const heads: Head[] = [
  { about: 'a dense layer', x: [5, 19], w: [19, 21], terms: 19 },
  { about: 'a dense layer over steps', x: [4, 3, 8], w: [8, 16], terms: 8 },
  { about: 'a convolution', x: [2, 7, 6, 3], w: [3, 3, 3, 20], terms: 27, attrs: { strides: [1, 1] } },
  { about: 'a pointwise convolution', x: [2, 5, 5, 8], w: [1, 1, 8, 5], terms: 8, attrs: { strides: [1, 1] } },
  {
    about: 'groups',
    x: [2, 6, 6, 6],
    w: [3, 3, 3, 8],
    terms: 27,
    attrs: { strides: [2, 2], groups: 2, padding: [1, 1, 1, 1] },
  },
  {
    about: 'a depthwise convolution',
    x: [2, 6, 6, 7],
    w: [3, 3, 1, 7],
    terms: 9,
    attrs: { strides: [1, 1], groups: 7 },
  },
];

interface Weights {
  w: NativeVariable;
  vectors: NativeVariable[];
}
const weightsOf = ({ w }: Head): Weights => ({
  w: variable('w', ...w),
  vectors: ['bias', 'mean', 'factor', 'offset'].map((name, i) => {
    const made = variable(name, w.at(-1)!);
    made.writeSync(Float32Array.from({ length: w.at(-1)! }, (_, j) => Math.cos(3 * i + j)));
    return made;
  }),
});

/** ((x w + bias) - mean) * factor + offset; with `keep` the product leaves the program, too, and is not touched. */
function normalized(head: Head, { w, vectors }: Weights, keep: boolean) {
  const b = new Builder();
  const [bias, mean, factor, offset] = vectors.map((vector) => b.graph.read(vector));
  const operands = [b.input('x', -1, ...head.x.slice(1)), b.graph.read(w)];
  const product = head.attrs ? b.op('conv2d', operands, head.attrs) : b.op('matmul', operands);
  const wide = b.graph.shape(product).map((_, i, { length }) => (i < length - 1 ? 1 : head.w.at(-1)!));
  const centred = b.op('sub', [b.op('add', [product, bias!]), b.op('reshape', [mean!], { shape: wide })]);
  const y = b.op('add', [b.op('mul', [centred, factor!]), offset!]);
  return b.graph.compileSync(keep ? [y, product] : [y]);
}

const inputOf = ({ x }: Head): Bound => {
  const count = x.reduce((a, n) => a * n, 1);
  return { data: Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.3)), shape: x };
};

/** The same with absolute values everywhere: what roundings are relative to. */
function magnitudes(head: Head, { w, vectors }: Weights): ArrayLike<number> {
  const absolute = (data: ArrayLike<number>) => Float32Array.from(data, Math.abs);
  const copies = weightsOf(head);
  copies.w.writeSync(absolute(w.readSync()));
  vectors.forEach((vector, i) => {
    copies.vectors[i]!.writeSync(absolute(vector.readSync()).map((value) => (i === 1 ? -value : value)));
  });
  const x = inputOf(head);
  return normalized(head, copies, true).runSync([{ ...x, data: absolute(x.data) }])[0]!.data;
}

describe.each(heads)('behind $about', (head) => {
  const weights = weightsOf(head);
  const folded = normalized(head, weights, false);
  const apart = normalized(head, weights, true);

  test('leaves an addition', () => {
    const [prologue, body] = folded.describe(head.x[0]).split('body\n');
    expect(body).toMatch(/(conv2d|matmul)\+add +/);
    expect(prologue).toMatch(head.attrs?.groups ? /mul/ : /scalePanels/);
    expect(apart.describe(head.x[0])).toMatch(/body\n.*mul/s);
  });

  const compare = () => {
    const x = [inputOf(head)];
    const [found, expected] = [folded.runSync(x)[0]!.data, apart.runSync(x)[0]!.data];
    const size = magnitudes(head, weights);
    // Both sum `terms` products one after the other and round a handful of times more, each time by 2^-24.
    const ulps = 2 * head.terms + 12;
    for (let i = 0; i < expected.length; i++)
      expect(Math.abs(found[i]! - expected[i]!)).toBeLessThanOrEqual(ulps * 2 ** -24 * size[i]!);
    return found;
  };

  test('gives the same up to the rounding of the sums, also with new weights', () => {
    const before = compare();
    weights.vectors[2]!.writeSync(weights.vectors[2]!.readSync().map((value) => 2 * value - 0.5));
    weights.w.writeSync(weights.w.readSync().map((value) => value * value));
    expect(compare()).not.toEqual(before);
  });

  test('a row has the bits that it has in a batch', () => {
    const x = inputOf(head);
    const [all] = folded.runSync([x]);
    const size = x.data.length / head.x[0]!;
    const [one] = folded.runSync([{ data: x.data.slice(size, 2 * size), shape: [1, ...head.x.slice(1)] }]);
    expect(one!.data).toEqual(all!.data.slice(one!.data.length, 2 * one!.data.length));
  });
});

describe('stays as it is', () => {
  const dense = (finish: (b: Builder, y: number, factor: NativeVariable) => number[], trained?: 'w' | 'factor') => {
    const b = new Builder();
    const variables = { w: variable('w', 3, 4), factor: variable('factor', 4) };
    const y = b.op('matmul', [b.input('x', -1, 3), b.graph.read(variables.w)]);
    const outputs = finish(b, y, variables.factor);
    if (trained) b.graph.update(variables[trained], b.op('mul', [b.graph.read(variables[trained]), b.scalar(0.5)]));
    return b.graph.compileSync(outputs).describe(2);
  };
  const scaled = (b: Builder, y: number, factor: NativeVariable) => [b.op('mul', [y, b.graph.read(factor)])];

  test('only weights that the program leaves alone are scaled', () => {
    expect(dense(scaled)).toContain('scalePanels');
    expect(dense(scaled, 'w')).not.toContain('scalePanels');
    expect(dense(scaled, 'factor')).not.toContain('scalePanels');
  });

  test('a number for all columns, a bias alone, a nonlinear function in between', () => {
    expect(dense((b, y) => [b.op('mul', [y, b.scalar(2)])])).not.toContain('scalePanels');
    expect(dense((b, y, factor) => [b.op('add', [y, b.graph.read(factor)])])).not.toContain('scalePanels');
    expect(dense((b, y, factor) => scaled(b, b.op('tanh', [y]), factor))).not.toContain('scalePanels');
  });

  test('what the batch gives', () => {
    expect(dense((b, y) => [b.op('mul', [y, b.input('factor', 4)])])).not.toContain('scalePanels');
  });
});

test('plans of several batch sizes share the scaled weights', () => {
  const b = new Builder();
  const [size, w, factor] = [512, variable('w', 512, 512), variable('factor', 512)];
  const y = b.op('mul', [b.op('matmul', [b.input('x', -1, size), b.graph.read(w)]), b.graph.read(factor)]);
  const program = b.graph.compileSync([y]);
  const run = (rows: number) =>
    program.runSync([{ data: new Float32Array(rows * size).fill(1), shape: [rows, size] }])[0]!.data;
  const first = run(2).slice(0, size);
  const before = native.info().memory.liveBytes;
  expect(run(3).slice(0, size)).toEqual(first);
  expect(run(1)).toEqual(first);
  expect(native.info().memory.liveBytes - before).toBeLessThan(size * size * 4);
  factor.writeSync(factor.readSync().map((value) => 2 * value));
  expect(run(3).slice(0, size)).toEqual(first.map((value) => 2 * value));
  expect(run(1)).toEqual(first.map((value) => 2 * value));
});
