import { afterAll, describe, expect, test } from 'vitest';
import { type Bound, native } from '../../lib/native.js';
import { Builder, variable } from '../ir/builder.js';

afterAll(() => native.configure({ threads: native.info().threads, parallelThreshold: 10000 }));

/** As a batch norm and its gradient: x - mean and the relu of it are read before a product, and again after it. */
function build(kept: boolean) {
  const b = new Builder();
  const x = b.input('x', -1, 16);
  const apart = b.op('sub', [x, b.op('reduceMax', [x], { axes: [0], keepDims: true })]);
  const positive = b.op('relu', [b.op('add', [apart, b.graph.read(variable('offset', 16))])]);
  const product = b.op('matmul', [
    b.op('mul', [positive, b.graph.read(variable('factor', 16))]),
    b.graph.read(variable('kernel', 16, 16)),
  ]);
  const gradient = b.op('mul', [b.op('whenPositive', [positive, b.op('tanh', [product])]), apart]);
  return b.graph.compileSync(kept ? [gradient, apart, positive] : [gradient]);
}

test('what is cheap and read again later is computed again, with the same bits', () => {
  const data = Float32Array.from({ length: 64 * 16 }, (_, i) => Math.sin(i * 1.7));
  const again = build(false);
  const once = build(true);
  // Only the factor of the product leaves the elementwise program before it.
  expect(again.describe()).toMatch(/island .* -> float32\[N, 16\]\n/);
  expect(once.describe()).toMatch(/island .* -> float32\[N, 16\], float32\[N, 16\], float32\[N, 16\]\n/);
  const [found] = again.runSync([{ data, shape: [64, 16] }]);
  const [expected] = once.runSync([{ data, shape: [64, 16] }]);
  expect(found!.data).toEqual(expected!.data);
  expect((found!.data as Float32Array).some((value) => value !== 0)).toBe(true);
});

interface Row {
  about: string;
  /** What is read before the product and after it; `x` is in memory anyway, and so is `other`. */
  value: (b: Builder, x: number, other: number) => number;
  again: boolean;
  commits?: boolean;
}
const plus = (b: Builder, x: number, times: number): number =>
  times === 0 ? x : b.op('add', [plus(b, x, times - 1), b.graph.read(variable('offset', 16))]);
const rows: Row[] = [
  { about: 'a step', value: (b, x) => plus(b, x, 1), again: true },
  { about: 'as many steps as are allowed', value: (b, x) => plus(b, x, 6), again: true },
  { about: 'more', value: (b, x) => plus(b, x, 7), again: false },
  { about: 'a dear step', value: (b, x) => b.op('exp', [x]), again: true },
  { about: 'two dear steps', value: (b, x) => b.op('exp', [b.op('tanh', [x])]), again: false },
  { about: 'two tensors', value: (b, x, other) => b.op('sub', [x, other]), again: false },
  { about: 'one of two tensors, twice', value: (b, x) => b.op('sub', [plus(b, x, 1), x]), again: true },
  { about: 'what becomes a weight', value: (b, x) => plus(b, x, 1), again: false, commits: true },
];

describe.each(rows)('$about', ({ value, again, commits }) => {
  const shape = [64, 16];
  const make = (kept: boolean) => {
    const b = new Builder();
    const [x, other] = [b.input('x', ...shape), b.input('other', ...shape)];
    const peaks = [x, other].map((tensor) => b.op('reduceMax', [tensor], { axes: [0], keepDims: true }));
    const made = value(b, x, other);
    const weight = variable('state', ...shape);
    if (commits) b.graph.update(weight, made);
    const product = b.op('matmul', [
      b.op('mul', [made, b.graph.read(variable('factor', 16))]),
      b.graph.read(variable('kernel', 16, 16)),
    ]);
    const result = b.op('mul', [b.op('tanh', [product]), made]);
    return { program: b.graph.compileSync(kept ? [result, ...peaks, made] : [result, ...peaks]), weight };
  };

  test(again ? 'is computed again' : 'stays in memory', async () => {
    const [own, once] = [make(false), make(true)];
    // Written once and read twice, or only the factor of the product leaves the program before it.
    const first = own.program.describe().match(/island .* -> (.*)\n/)![1]!;
    expect(first.split('], ')).toHaveLength(again ? 1 : 2);
    const bound = [1, 2].map((seed) => ({
      data: Float32Array.from({ length: 64 * 16 }, (_, i) => Math.sin(i * 1.7 * seed)),
      shape,
    }));
    const expected = once.program.runSync(bound);
    const same = (found: readonly Bound[]): void =>
      found.forEach(({ data }, i) => {
        expect(data).toEqual(expected[i]!.data);
      });
    same(own.program.runSync(bound));
    for (const threads of [1, 2, 3]) {
      native.configure({ threads, parallelThreshold: 0 });
      same(await own.program.run(bound).promise);
    }
    if (commits) expect(own.weight.readSync()).toEqual(expected.at(-1)!.data);
  });
});

// As a GELU between two products: what its gradient needs comes from a product that only elementwise ops read.
test('of several values that one gives, that one stays in memory', () => {
  const make = (kept: boolean) => {
    const b = new Builder();
    const sum = b.dense(b.input('x', -1, 16), variable('kernel', 16, 32), variable('bias', 32));
    const half = b.op('mul', [sum, b.scalar(0.5)]);
    const level = b.op('add', [b.op('erf', [b.op('mul', [sum, b.scalar(Math.SQRT1_2)])]), b.scalar(1)]);
    const product = b.op('matmul', [b.op('mul', [half, level]), b.graph.read(variable('next', 32, 32))]);
    const result = b.op('sub', [b.op('mul', [product, level]), half]);
    return b.graph.compileSync(kept ? [result, half, level] : [result]);
  };
  const [again, once] = [make(false), make(true)];
  // Only the product's factor leaves the first of the programs: what it reads gives the rest again.
  const made = (text: string) =>
    text
      .match(/= island .*/)![0]
      .split('->')[1]!
      .split('], ').length;
  expect([again, once].map((program) => made(program.describe()))).toEqual([1, 3]);
  const bound = [{ data: Float32Array.from({ length: 40 * 16 }, (_, i) => Math.sin(i * 1.7)), shape: [40, 16] }];
  expect(again.runSync(bound)[0]!.data).toEqual(once.runSync(bound)[0]!.data);
});
