import { afterAll, describe, expect, test } from 'vitest';
import { compute, NDArray, ops } from '../../lib/index.js';
import { type Bound, type NativeProgram, native } from '../../lib/native.js';
import { Builder, variable } from '../ir/builder.js';

// Convolutions and pools that run as one, block by block, against the same as steps of their own: the same bits.

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
  { about: 'one channel', x: [12, 13, 1], w: [3, 3, 1, 32] },
  { about: 'same', x: [13, 11, 16], w: [3, 3, 16, 40], padding: [1, 1, 1, 1] },
  { about: 'pointwise', x: [9, 10, 17], w: [1, 1, 17, 9] },
  { about: 'strides and dilation', x: [21, 23, 3], w: [3, 2, 3, 20], strides: [2, 1], dilations: [1, 2] },
  { about: 'two groups', x: [9, 9, 6], w: [3, 3, 3, 8], groups: 2, padding: [1, 1, 1, 1] },
  { about: 'depthwise', x: [10, 9, 7], w: [3, 3, 1, 7], groups: 7, padding: [1, 1, 1, 1] },
  { about: 'several blocks of an image', x: [40, 30, 4], w: [3, 3, 4, 100] },
];

interface Pool {
  about: string;
  size: number[];
  strides: number[];
  padding?: number[];
}
const pools: Pool[] = [
  { about: '2 x 2', size: [2, 2], strides: [2, 2] },
  { about: 'overlapping, padded', size: [3, 3], strides: [2, 2], padding: [1, 1, 1, 1] },
  { about: 'every row again', size: [4, 2], strides: [1, 3], padding: [0, 2, 1, 0] },
  { about: 'over gaps', size: [2, 2], strides: [3, 4] },
  { about: 'large', size: [7, 8], strides: [1, 1] },
];

/** What follows a convolution; gives its further inputs their shapes. */
type Finish = (b: Builder, y: number, inputs: number[][]) => number;
const finishes: Record<string, Finish> = {
  nothing: (_, y) => y,
  'bias and relu': (b, y) => b.op('relu', [b.op('add', [y, bias(b, y)])]),
  'bias and tanh': (b, y) => b.op('tanh', [b.op('add', [y, bias(b, y)])]),
  'bias, relu and another tensor': (b, y, inputs) => {
    inputs.push(b.graph.shape(y));
    const factor = b.input('factor', ...inputs[1]!);
    return b.op('mul', [factor, b.op('relu', [b.op('add', [bias(b, y), y])])]);
  },
  'a factor of each image': (b, y, inputs) => {
    inputs.push([-1, 1, 1, channels(b, y)]);
    return b.op('mul', [y, b.input('factor', ...inputs[1]!)]);
  },
  'another tensor': (b, y, inputs) => {
    inputs.push(b.graph.shape(y));
    return b.op('relu', [b.op('sub', [y, b.input('other', ...inputs[1]!)])]);
  },
};
const channels = (b: Builder, y: number): number => b.graph.shape(y)[3]!;
const bias = (b: Builder, y: number): number => b.graph.read(variable('bias', channels(b, y)));

/** With `apart` the pooled tensor leaves the program, too, so that it must exist. */
function build(conv: Convolution, op: string, pool: Pool, finish: Finish, apart: boolean) {
  const b = new Builder();
  const inputs = [[-1, ...conv.x]];
  const { strides = [1, 1], dilations = [1, 1], padding = none, groups = 1 } = conv;
  const operands = [b.input('x', ...inputs[0]!), b.graph.read(variable('filter', ...conv.w))];
  const y = finish(b, b.op('conv2d', operands, { strides, dilations, padding, groups }), inputs);
  const { size, strides: steps, padding: edges = none } = pool;
  const parts = b.graph.op(op, [y], { size, strides: steps, padding: edges });
  return { program: b.graph.compileSync(apart ? [...parts, y] : parts), parts: parts.length, inputs };
}

const none = [0, 0, 0, 0];
const rows = (shapes: number[][], batch: number) =>
  shapes.map((shape, seed) => {
    const dims = shape.map((dim) => (dim < 0 ? batch : dim));
    const count = dims.reduce((a, n) => a * n, 1);
    return { data: Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.7 + seed)), shape: dims };
  });

/** Compared as a whole: element by element takes minutes. */
const bytes = (outputs: readonly Bound[]): Buffer =>
  Buffer.concat(outputs.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength)));

afterAll(() => native.configure({ threads: native.info().threads, parallelThreshold: 10000 }));

interface Built {
  program: NativeProgram;
  /** Outputs that both programs have. */
  parts: number;
  inputs: number[][];
}

async function checkSame(fused: Built, apart: Built, what: string): Promise<void> {
  for (const batch of [1, 5]) {
    const bound = rows(fused.inputs, batch);
    const expected = bytes(apart.program.runSync(bound).slice(0, fused.parts));
    for (const threads of [1, 2, 3, 8]) {
      native.configure({ threads, parallelThreshold: 0 });
      const found = bytes(await fused.program.run(bound).promise);
      expect(found.equals(expected), `${what}, ${batch} images, ${threads} threads`).toBe(true);
    }
  }
}

describe.each(convolutions)('behind a convolution, $about', (conv) => {
  describe.each(pools)('a pool, $about', (pool) => {
    test.each(Object.keys(finishes))('with %s between them', async (between) => {
      for (const op of ['maxPool', 'avgPool']) {
        const fused = build(conv, op, pool, finishes[between]!, false);
        const apart = build(conv, op, pool, finishes[between]!, true);
        expect(fused.program.describe(1)).toContain(` > ${op}`);
        expect(apart.program.describe(1)).not.toContain(' > ');
        await checkSame(fused, apart, op);
      }
    });
  });
});

interface Separable {
  about: string;
  x: number[];
  expand?: number;
  kernel: number[];
  multiplier?: number;
  strides?: number[];
  dilations?: number[];
  padding?: number[];
  project?: number;
}
const separables: Separable[] = [
  { about: 'as in MobileNetV2', x: [14, 13, 8], expand: 48, kernel: [3, 3], padding: [1, 1, 1, 1], project: 8 },
  { about: 'as in MobileNetV1', x: [12, 12, 33], kernel: [3, 3], padding: [1, 1, 1, 1], project: 40 },
  {
    about: 'in strides',
    x: [29, 30, 3],
    expand: 20,
    kernel: [3, 3],
    strides: [2, 2],
    padding: [0, 1, 0, 1],
    project: 5,
  },
  { about: '5 x 5', x: [17, 9, 4], expand: 24, kernel: [5, 5], padding: [2, 2, 2, 2], project: 12 },
  {
    about: 'dilated',
    x: [23, 20, 5],
    expand: 17,
    kernel: [3, 3],
    dilations: [3, 2],
    padding: [3, 3, 2, 2],
    project: 9,
  },
  { about: 'multiplied', x: [11, 10, 6], kernel: [3, 2], multiplier: 3, project: 7 },
  { about: 'over gaps', x: [20, 21, 4], expand: 6, kernel: [1, 2], strides: [3, 3], project: 4 },
  { about: 'without projection', x: [16, 15, 7], expand: 30, kernel: [3, 3], padding: [1, 1, 1, 1] },
  { about: 'large rows', x: [12, 40, 6], expand: 160, kernel: [3, 3], padding: [1, 1, 1, 1], project: 24 },
  {
    about: 'heavy weights, few pixels',
    x: [7, 7, 80],
    expand: 240,
    kernel: [3, 3],
    padding: [1, 1, 1, 1],
    project: 80,
  },
];

/** Expand, filter each channel, project, each with a bias and relu6 or none, and x added where it fits. */
function buildSeparable(block: Separable, activation: string, apart: boolean): Built {
  const b = new Builder();
  const inputs = [[-1, ...block.x]];
  const x = b.input('x', ...inputs[0]!);
  const between: number[] = [];
  const activated = (y: number): number =>
    activation === 'relu6' ? b.op('minimum', [b.op('relu', [b.op('add', [y, bias(b, y)])]), b.scalar(6)]) : y;
  const pointwise = (y: number, filters: number): number =>
    b.op('conv2d', [y, b.graph.read(variable('filter', 1, 1, channels(b, y), filters))], { strides: [1, 1] });
  let y = x;
  if (block.expand) {
    y = activated(pointwise(y, block.expand));
    between.push(y);
  }
  const { kernel, multiplier = 1, strides = [1, 1], dilations = [1, 1], padding = none } = block;
  const groups = channels(b, y);
  const filter = b.graph.read(variable('filter', ...kernel, 1, groups * multiplier));
  y = activated(b.op('conv2d', [y, filter], { strides, dilations, padding, groups }));
  if (block.project) {
    between.push(y);
    y = pointwise(y, block.project);
    const fits = b.graph.shape(y).every((n, axis) => n === inputs[0]![axis]);
    if (fits) y = b.op('add', [y, x]);
  }
  return { program: b.graph.compileSync(apart ? [y, ...between] : [y]), parts: 1, inputs };
}

describe.each(separables)('a block of pointwise and depthwise convolutions, $about', (block) => {
  test.each(['none', 'relu6'])('activation: %s', async (activation) => {
    const fused = buildSeparable(block, activation, false);
    const apart = buildSeparable(block, activation, true);
    const stages = 1 + Number(!!block.expand) + Number(!!block.project);
    expect(fused.program.describe(1).match(/conv2d/g)).toHaveLength(stages);
    expect(fused.program.describe(1).split(' > ')).toHaveLength(stages);
    expect(apart.program.describe(1)).not.toContain(' > ');
    await checkSame(fused, apart, activation);
  });
});

test('a second depthwise convolution starts a chain of its own', () => {
  const b = new Builder();
  let y = b.input('x', -1, 9, 9, 4);
  for (let i = 0; i < 2; i++) {
    const attrs = { strides: [1, 1], padding: [1, 1, 1, 1], groups: 4 };
    y = b.op('conv2d', [y, b.graph.read(variable('depthwise', 3, 3, 1, 4))], attrs);
    y = b.op('conv2d', [y, b.graph.read(variable('pointwise', 1, 1, 4, 4))], { strides: [1, 1] });
  }
  expect(
    b.graph
      .compileSync([y])
      .describe(1)
      .match(/conv2d > conv2d/g),
  ).toHaveLength(2);
});

test('two pools of one convolution stay as they are', () => {
  const b = new Builder();
  const y = b.op('conv2d', [b.input('x', -1, 6, 6, 2), b.graph.read(variable('filter', 3, 3, 2, 4))], {
    strides: [1, 1],
  });
  const attrs = { size: [2, 2], strides: [2, 2], padding: none };
  expect(b.graph.compileSync([b.op('maxPool', [y], attrs), b.op('avgPool', [y], attrs)]).describe(1)).not.toContain(
    ' > ',
  );
});

test('a NaN of the convolution reaches the maximum, and of equal zeros the first stays', () => {
  const b = new Builder();
  const filter = b.input('filter', 1, 1, 1, 1);
  const y = b.op('conv2d', [b.input('x', -1, 2, 4, 1), filter], { strides: [1, 1] });
  const pooled = b.op('maxPool', [y], { size: [2, 2], strides: [2, 2], padding: none });
  const x = Float32Array.of(1, Number.NaN, -0, 0, 3, 2, 0, -0);
  const [out] = b.graph
    .compileSync([pooled])
    .runSync([
      { data: Float32Array.of(1), shape: [1, 1, 1, 1] },
      { data: x, shape: [1, 2, 4, 1] },
    ])
    .map((result) => Array.from(result.data));
  expect(out).toEqual([Number.NaN, 0]);
});

test('windows wholly below the image see nothing', async () => {
  // So many rows of padding that reading what lies there would leave the process's memory.
  const below = 200_000;
  const kernel = Array.from({ length: 16 }, (_, i) => [i - 4]);
  const run = (x: NDArray) =>
    compute(() =>
      ops.conv(ops.averagePool(x, 2), [[kernel]], {
        padding: [
          [0, below],
          [0, 0],
        ],
      }),
    );
  const b = new Builder();
  const pooled = b.op('avgPool', [b.input('x', -1, 8, 2, 16)], { size: [2, 2], strides: [2, 2], padding: none });
  const attrs = { strides: [1, 1], padding: [0, below, 0, 0] };
  const chained = b.op('conv2d', [pooled, b.graph.read(variable('kernel', 1, 1, 16, 1))], attrs);
  expect(b.graph.compileSync([chained]).describe(2)).toContain('avgPool > conv2d');
  const data = Float32Array.from({ length: 2 * 8 * 2 * 16 }, (_, i) => (i * 7) % 23);
  const found = (await run(new NDArray(data, [2, 8, 2, 16]))).data;
  expect(found).toHaveLength(2 * (4 + below));
  const at = (image: number, y: number, x: number, c: number): number => data[((image * 8 + y) * 2 + x) * 16 + c]!;
  const expected = new Float32Array(found.length);
  for (const image of [0, 1]) {
    for (const y of [0, 1, 2, 3]) {
      kernel.forEach(([weight], c) => {
        const pool = [0, 1].flatMap((i) => [0, 1].map((j) => at(image, 2 * y + i, j, c)));
        expected[image * (4 + below) + y]! += (weight! * pool.reduce((a, b) => a + b, 0)) / 4;
      });
    }
  }
  expect(bytes([{ data: found as Float32Array, shape: [] }]).equals(bytes([{ data: expected, shape: [] }]))).toBe(true);
});

test('stages that run one by one share two tensors', () => {
  const b = new Builder();
  const none = { strides: [1, 1] };
  const filter = (...shape: number[]): number => b.graph.read(variable('filter', ...shape));
  let y = b.op('conv2d', [b.input('x', -1, 100, 100, 4), filter(1, 1, 4, 64)], none);
  y = b.op('conv2d', [y, filter(3, 3, 1, 64)], { ...none, groups: 64, padding: [1, 1, 1, 1] });
  y = b.op('conv2d', [y, filter(1, 1, 1, 64)], { ...none, groups: 64 });
  const text = b.graph.compileSync([b.op('conv2d', [y, filter(1, 1, 64, 4)], none)]).describe(1);
  expect(text.split(' > ')).toHaveLength(4);
  const tensor = 100 * 100 * 64 * 4;
  expect(text).toContain(`arena ${2 * tensor} bytes`);
});
