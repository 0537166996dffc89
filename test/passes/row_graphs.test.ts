import { afterAll, describe, expect, test } from 'vitest';
import { type Bound, type NativeProgram, type NativeVariable, native } from '../../lib/native.js';
import { Builder } from '../ir/builder.js';

// Convolutions and their gradients with the islands and sums beside them, against the same as programs of their own.
// All numbers are small integers, so that sums are exact in any order.

interface Convolution {
  about: string;
  x: number[];
  w: number[];
  strides?: number[];
  dilations?: number[];
  padding?: number[];
  groups?: number;
}
const convolutions: Convolution[] = [
  { about: 'pointwise', x: [9, 10, 17], w: [1, 1, 17, 9] },
  { about: 'pointwise, whole panels', x: [7, 5, 16], w: [1, 1, 16, 48] },
  { about: 'depthwise', x: [10, 9, 11], w: [3, 3, 1, 11], groups: 11, padding: [1, 1, 1, 1] },
  { about: 'strides', x: [13, 12, 8], w: [5, 3, 1, 8], groups: 8, strides: [2, 3], padding: [2, 2, 0, 1] },
  { about: 'windows over gaps', x: [11, 9, 8], w: [2, 1, 1, 8], groups: 8, strides: [3, 2] },
  { about: 'dilation', x: [12, 8, 19], w: [3, 3, 1, 19], groups: 19, dilations: [2, 1], padding: [2, 2, 1, 1] },
  { about: 'one row', x: [1, 50, 24], w: [1, 1, 24, 40] },
  { about: 'several blocks of an image', x: [40, 30, 96], w: [3, 3, 1, 96], groups: 96, padding: [1, 1, 1, 1] },
  { about: 'several blocks of products', x: [30, 40, 24], w: [1, 1, 24, 144] },
];

const integers = (count: number, seed: number) =>
  Float32Array.from({ length: count }, (_, i) => Math.round(2 * Math.sin(i * 1.7 + seed)));
const sizeOf = (shape: number[]) => shape.reduce((a, n) => a * n, 1);
function weights(name: string, ...shape: number[]): NativeVariable {
  const made = new native.Variable(name, 'float32', shape);
  made.writeSync(integers(sizeOf(shape), name.length));
  return made;
}

/** What can be asked for of a convolution with an island before it, and of its gradients with islands around them. */
const wanted = ['y', 'sum', 'mean', 'variance', 'dx', 'gate', 'gateSum', 'filter'] as const;
type Wanted = (typeof wanted)[number];

function build({ x, w, strides = [1, 1], dilations = [1, 1], padding = [0, 0, 0, 0], groups = 1 }: Convolution) {
  const attrs = { strides, dilations, padding, groups };
  const axes = { axes: [0, 1, 2], keepDims: false };
  const filter = weights('filter', ...w);
  const [offset, factor] = [weights('offset', x[2]!), weights('factor', w[3]!)];
  let outputs: number[] = [];
  const program = (...names: Wanted[]): NativeProgram => {
    const b = new Builder();
    const image = b.input('x', -1, ...x);
    const read = b.graph.read(filter);
    const a = b.op('relu', [b.op('sub', [image, b.graph.read(offset)])]);
    const y = b.op('conv2d', [a, read], attrs);
    outputs = b.graph.shape(y).slice(1);
    const g = b.input('g', ...b.graph.shape(y));
    const dy = b.op('mul', [b.op('whenPositive', [y, g]), b.graph.read(factor)]);
    const dx = b.op('conv2dInput', [dy, read], { ...attrs, shape: [-1, ...x] });
    const gate = b.op('whenPositive', [a, dx]);
    const mean = b.op('reduceMean', [y], axes);
    const values: Record<Wanted, () => number> = {
      y: () => y,
      sum: () => b.op('reduceSum', [y], axes),
      mean: () => mean,
      variance: () => b.op('reduceMean', [b.op('square', [b.op('sub', [y, mean])])], axes),
      dx: () => dx,
      gate: () => gate,
      gateSum: () => b.op('reduceSum', [gate], axes),
      filter: () => b.op('conv2dFilter', [a, dy], { ...attrs, shape: w }),
    };
    return b.graph.compileSync(names.map((name) => values[name]()));
  };
  program('y');
  return { program, outputs };
}

afterAll(() => native.configure({ threads: native.info().threads, parallelThreshold: 10000 }));

const numbers = (bound: Bound) => bound.data as Float32Array;

function sumsOf(rows: Float32Array, columns: number): Float64Array {
  const sums = new Float64Array(columns);
  for (const [i, value] of rows.entries()) sums[i % columns]! += value;
  return sums;
}

describe.each(convolutions)('$about', (conv) => {
  const { program, outputs } = build(conv);
  const feed = (batch: number) =>
    [conv.x, outputs].map((shape, seed) => ({
      data: integers(batch * sizeOf(shape), seed),
      shape: [batch, ...shape],
    }));
  const same = async (fused: NativeProgram, expected: (batch: number) => (Float32Array | Float64Array)[]) => {
    for (const batch of sizeOf(conv.x) > 20000 ? [2] : [1, 3, 40]) {
      const right = expected(batch);
      for (const threads of [1, 2, 3, 8]) {
        native.configure({ threads, parallelThreshold: 0 });
        const found = await fused.run(feed(batch)).promise;
        for (const [i, values] of right.entries()) {
          const differs = numbers(found[i]!).findIndex((value, k) => value !== values[k]);
          expect(differs, `output ${i} of ${batch} images, ${threads} threads`).toBe(-1);
        }
      }
    }
  };
  const apart = (name: Wanted) => {
    const plain = program(name, 'y'); // which keeps the convolution apart from what reads it
    expect(plain.describe(1)).not.toContain(' > ');
    return (batch: number) => numbers(plain.runSync(feed(batch))[0]!);
  };

  test.each([true, false])('forward, the result in memory: %s', async (kept) => {
    const fused = kept ? program('sum', 'y') : program('sum');
    expect(fused.describe(1)).toContain('sub+relu > conv2d > reduceSum');
    const y = apart('y');
    await same(fused, (batch) => {
      const values = y(batch);
      return [sumsOf(values, outputs[2]!), ...(kept ? [values] : [])];
    });
  });

  test('mean and variance', async () => {
    const fused = program('mean', 'variance');
    expect(fused.describe(1)).toContain('sub+relu > conv2d > moments');
    const y = apart('y');
    for (const batch of [1, 7]) {
      const values = y(batch);
      const columns = outputs[2]!;
      const rows = values.length / columns;
      const mean = sumsOf(values, columns).map((sum) => sum / rows);
      const squares = sumsOf(
        values.map((value, i) => (value - mean[i % columns]!) ** 2),
        columns,
      );
      const first = fused.runSync(feed(batch)).map(numbers);
      for (let c = 0; c < columns; c++) {
        const spread = Math.abs(mean[c]!) + Math.sqrt(squares[c]! / rows);
        expect(Math.abs(first[0]![c]! - mean[c]!)).toBeLessThanOrEqual(1e-5 * spread);
        expect(Math.abs(first[1]![c]! - squares[c]! / rows)).toBeLessThanOrEqual(1e-5 * spread ** 2);
      }
      for (const threads of [1, 2, 3, 8]) {
        native.configure({ threads, parallelThreshold: 0 });
        const again = await fused.run(feed(batch)).promise;
        expect(again.map(numbers)).toEqual(first);
      }
    }
  });

  test('both gradients', async () => {
    const fused = program('dx', 'filter', 'sum');
    expect(fused.describe(1)).toContain('sub+relu > whenPositive+mul > conv2dInput > conv2dFilter');
    const [dx, filter] = [apart('dx'), apart('filter')];
    await same(fused, (batch) => [dx(batch), filter(batch)]);
  });

  test.each([true, false])('gradients through the gate before it, which is in memory: %s', async (kept) => {
    const fused = program('filter', 'gateSum', 'sum', ...(kept ? ['gate' as const] : []));
    expect(fused.describe(1)).toMatch(
      /conv2dInput > (conv2dFilter > whenPositive|whenPositive > conv2dFilter) > reduceSum/,
    );
    const [gate, filter, y] = [apart('gate'), apart('filter'), apart('y')];
    await same(fused, (batch) => {
      const values = gate(batch);
      return [filter(batch), sumsOf(values, conv.x[2]!), sumsOf(y(batch), outputs[2]!), ...(kept ? [values] : [])];
    });
  });
});

// Weights that would push the rows out of the cache, and windows over several channels, run as steps of their own.
test.each([
  { about: 'many weights', x: [6, 6, 256], w: [1, 1, 256, 160] },
  { about: 'a window over channels', x: [8, 8, 16], w: [3, 3, 16, 16] },
])('$about', (conv) => {
  const plan = build(conv).program('sum', 'filter', 'gateSum').describe(1);
  expect(plan).not.toContain('> conv2d');
});

// What sums are made of must be there when they are read, and rows under a window, too.
describe('sums and windows within a graph', () => {
  const channels = 96;
  const plain = { strides: [1, 1], dilations: [1, 1], padding: [0, 0, 0, 0], groups: 1 };
  const axes = { axes: [0, 1, 2], keepDims: false };
  type Make = (b: Builder, y: number, x: number, k: number) => { wanted: number; kept: number[] };
  const programs: Record<string, Make> = {
    'a sum that the island behind the convolution reads': (b, y, x) => {
      const sum = b.op('reduceSum', [x], axes);
      const z = b.op('sub', [y, sum]);
      return { wanted: b.op('reduceSum', [z], axes), kept: [z, sum] };
    },
    'a filter gradient over windows of a result that leaves': (b, y, _, k) => {
      const a = b.op('relu', [y]);
      const dy = b.op('mul', [a, k]);
      const attrs = { ...plain, padding: [1, 1, 1, 1], groups: channels, shape: [3, 3, 1, channels] };
      return { wanted: b.op('conv2dFilter', [a, dy], attrs), kept: [a, dy] };
    },
  };
  test.each(Object.entries(programs))('%s', async (_, make) => {
    const filter = weights('filter', 1, 1, channels, channels);
    const compile = (apart: boolean): NativeProgram => {
      const b = new Builder();
      const [x, k] = ['x', 'k'].map((name) => b.input(name, -1, 40, 30, channels));
      const y = b.op('conv2d', [x!, b.graph.read(filter)], plain);
      const { wanted, kept } = make(b, y, x!, k!);
      return b.graph.compileSync(apart ? [wanted, y, ...kept] : [wanted, kept[0]!]);
    };
    const shape = [2, 40, 30, channels];
    const feed = [0, 3].map((seed) => ({ data: integers(sizeOf(shape), seed), shape }));
    const expected = numbers(compile(true).runSync(feed)[0]!);
    const program = compile(false);
    for (const threads of [1, 2, 3, 8]) {
      native.configure({ threads, parallelThreshold: 0 });
      const [found] = await program.run(feed).promise;
      expect(numbers(found!).findIndex((value, i) => value !== expected[i])).toBe(-1);
    }
  });
});
