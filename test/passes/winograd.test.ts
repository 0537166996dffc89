import { afterAll, describe, expect, test } from 'vitest';
import { setConvAlgorithm } from '../../lib/devices.js';
import { type Bound, type NativeProgram, native } from '../../lib/native.js';
import { Builder, variable } from '../ir/builder.js';

// Winograd in place of window loops. On small integers both are exact, so they give the same bits. How exact it is on real
// numbers says test/kernels/winograd.cpp.

interface Convolution {
  about: string;
  x: [number, number, number];
  filters: number;
  padding: [top: number, bottom: number, left: number, right: number];
}
const convolutions: Convolution[] = [
  { about: 'same', x: [9, 8, 32], filters: 32, padding: [1, 1, 1, 1] },
  { about: 'valid, odd sizes', x: [9, 11, 33], filters: 40, padding: [0, 0, 0, 0] },
  { about: 'uneven padding', x: [7, 8, 34], filters: 50, padding: [2, 0, 1, 2] },
  { about: 'more tiles in a row than in a block', x: [6, 140, 32], filters: 32, padding: [1, 1, 1, 1] },
  { about: 'many panels, few tiles', x: [6, 6, 32], filters: 150, padding: [1, 1, 1, 1] },
];

afterAll(() => native.configure({ threads: native.info().threads, parallelThreshold: 10000 }));

/** What a program is made of under one choice of algorithm. */
function under<T>(algorithm: 'auto' | 'direct' | 'winograd', make: () => T): T {
  setConvAlgorithm(algorithm);
  try {
    return make();
  } finally {
    setConvAlgorithm('auto');
  }
}

const outputOf = ({ x: [h, w], padding: [top, bottom, left, right], filters }: Convolution): number[] => [
  h + top + bottom - 2,
  w + left + right - 2,
  filters,
];
const filterOf = ({ x, filters }: Convolution): number[] => [3, 3, x[2], filters];
const attrsOf = ({ padding }: Convolution) => ({ strides: [1, 1], padding });

const integers = (batch: number, shape: readonly number[], seed: number, scale = 3): Bound => {
  const dims = [batch, ...shape];
  const count = dims.reduce((a, n) => a * n, 1);
  return {
    data: Float32Array.from({ length: count }, (_, i) => Math.round(scale * Math.sin(i * 1.7 + seed))),
    shape: dims,
  };
};
const reals = (batch: number, shape: readonly number[], seed: number): Bound => {
  const dims = [batch, ...shape];
  const count = dims.reduce((a, n) => a * n, 1);
  return { data: Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.7 + seed)), shape: dims };
};
const weights = (conv: Convolution) => {
  const filter = variable('filter', ...filterOf(conv));
  filter.writeSync(filter.readSync().map((value) => Math.round(3 * value)));
  return filter;
};
const realWeights = (conv: Convolution): Float32Array =>
  variable('filter', ...filterOf(conv)).readSync() as Float32Array;
const bytes = (outputs: readonly Bound[]): Buffer =>
  Buffer.concat(outputs.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength)));

/** The bits of real numbers, which tell orders of sums apart: at any number of threads, and for each image alone. */
async function steady(own: NativeProgram, shapes: readonly number[][], ofImages: number): Promise<void> {
  const batch = 40;
  const bound = shapes.map((shape, seed) => reals(batch, shape, seed));
  const expected = own.runSync(bound);
  for (const threads of [1, 2, 3, 8]) {
    native.configure({ threads, parallelThreshold: 0 });
    const found = bytes(await own.run(bound).promise);
    expect(found.equals(bytes(expected)), `${threads} threads`).toBe(true);
  }
  for (const [begin, end] of [
    [0, 1],
    [1, 4],
    [17, 40],
  ] as const) {
    const rows = ({ data, shape }: Bound): Bound => {
      const size = data.length / batch;
      return { data: data.slice(begin * size, end * size), shape: [end - begin, ...shape.slice(1)] };
    };
    const found = (await own.run(bound.map(rows)).promise).slice(0, ofImages);
    expect(bytes(found).equals(bytes(expected.slice(0, ofImages).map(rows))), `images ${begin} to ${end}`).toBe(true);
  }
}

async function compare(own: NativeProgram, other: NativeProgram, inputs: (batch: number) => Bound[]): Promise<void> {
  for (const batch of [1, 3, 40]) {
    const bound = inputs(batch);
    const expected = bytes(other.runSync(bound));
    for (const threads of [1, 2, 3, 8]) {
      native.configure({ threads, parallelThreshold: 0 });
      const found = bytes(await own.run(bound).promise);
      expect(found.equals(expected), `${batch} images, ${threads} threads`).toBe(true);
    }
  }
}

describe.each(convolutions)('a convolution, $about', (conv) => {
  const finishes: Record<string, (b: Builder, y: number) => number> = {
    nothing: (_, y) => y,
    'a bias and relu': (b, y) => b.op('relu', [b.op('add', [y, b.graph.read(variable('bias', conv.filters))])]),
    'another tensor': (b, y) => b.op('relu', [b.op('sub', [y, b.input('other', -1, ...outputOf(conv))])]),
    'a bias, relu and another tensor': (b, y) => {
      const sum = b.op('relu', [b.op('add', [y, b.graph.read(variable('bias', conv.filters))])]);
      return b.op('mul', [sum, b.input('other', -1, ...outputOf(conv))]);
    },
  };

  test.each(Object.keys(finishes))('with %s behind it', async (finish) => {
    const filter = weights(conv);
    const build = () => {
      const b = new Builder();
      const operands = [b.input('x', -1, ...conv.x), b.graph.read(filter)];
      return b.graph.compileSync([finishes[finish]!(b, b.op('conv2d', operands, attrsOf(conv)))]);
    };
    const [own, direct] = [build(), under('direct', build)];
    expect(own.describe(1)).toContain('conv2dWinograd');
    expect(direct.describe(1)).not.toContain('inograd');
    const others = finish.endsWith('tensor') ? [outputOf(conv)] : [];
    await compare(own, direct, (batch) => [conv.x, ...others].map((shape, seed) => integers(batch, shape, seed)));
    filter.writeSync(realWeights(conv));
    await steady(own, [conv.x, ...others], 1);
  });

  test('gradients', async () => {
    const filter = weights(conv);
    const build = () => {
      const b = new Builder();
      const [x, dy] = [b.input('x', -1, ...conv.x), b.input('dy', -1, ...outputOf(conv))];
      const shaped = (...shape: number[]) => ({ ...attrsOf(conv), shape });
      return b.graph.compileSync([
        b.op('conv2dInput', [dy, b.graph.read(filter)], shaped(-1, ...conv.x)),
        b.op('conv2dFilter', [x, dy], shaped(...filterOf(conv))),
      ]);
    };
    const [own, direct] = [build(), under('direct', build)];
    expect(own.describe(1)).toMatch(/conv2dWinograd(.|\n)*conv2dFilterWinograd/);
    await compare(own, direct, (batch) => [integers(batch, conv.x, 0), integers(batch, outputOf(conv), 1)]);
    filter.writeSync(realWeights(conv));
    await steady(own, [conv.x, outputOf(conv)], 1);
  });

  test('a row has the bits that it has in a batch; new weights are seen', () => {
    const filter = variable('filter', ...filterOf(conv));
    const b = new Builder();
    const program = b.graph.compileSync([
      b.op('conv2d', [b.input('x', -1, ...conv.x), b.graph.read(filter)], attrsOf(conv)),
    ]);
    expect(program.describe(1)).toMatch(/winogradFilter(.|\n)*body/);
    const x = integers(5, conv.x, 0, 1000);
    const size = x.data.length / 5;
    const results = () => {
      const [all] = program.runSync([x]);
      const [one] = program.runSync([{ data: x.data.slice(size, 2 * size), shape: [1, ...conv.x] }]);
      const row = one!.data.length;
      expect(bytes([one!]).equals(bytes([{ ...all!, data: all!.data.slice(row, 2 * row) }]))).toBe(true);
      return bytes([all!]);
    };
    const before = results();
    filter.writeSync(filter.readSync().map((value) => value * value));
    expect(results().equals(before)).toBe(false);
  });
});

describe('the choice', () => {
  const made = (x: number[], w: number[], attrs: object = {}) => {
    const b = new Builder();
    const operands = [b.input('x', -1, ...x), b.graph.read(variable('filter', ...w))];
    return b.graph.compileSync([b.op('conv2d', operands, { strides: [1, 1], ...attrs })]).describe(1);
  };

  test('needs 3 x 3 without strides, dilation and groups', () => {
    expect(made([12, 12, 64], [3, 3, 64, 64])).toContain('conv2dWinograd');
    for (const algorithm of ['auto', 'winograd'] as const) {
      const text = under(algorithm, () => [
        made([12, 12, 64], [5, 5, 64, 64]),
        made([12, 12, 64], [3, 1, 64, 64]),
        made([12, 12, 64], [3, 3, 64, 64], { strides: [2, 2] }),
        made([12, 12, 64], [3, 3, 64, 64], { dilations: [1, 2] }),
        made([12, 12, 64], [3, 3, 32, 64], { groups: 2 }),
      ]);
      expect(text.join()).not.toContain('inograd');
    }
  });

  test('leaves small layers to window loops unless it is told not to', () => {
    const small = () => [
      made([12, 12, 16], [3, 3, 16, 64]),
      made([12, 12, 64], [3, 3, 64, 16]),
      made([5, 12, 64], [3, 3, 64, 64]),
    ];
    for (const text of small()) expect(text).not.toContain('inograd');
    for (const text of under('winograd', small)) expect(text).toContain('conv2dWinograd');
    expect(under('direct', () => made([12, 12, 64], [3, 3, 64, 64]))).not.toContain('inograd');
    expect(() => setConvAlgorithm('fft' as 'auto')).toThrow(/'auto', 'direct' or 'winograd', got "fft"/);
  });

  test('a padding of which the gradient would need less than none stays direct', () => {
    const b = new Builder();
    const attrs = { strides: [1, 1], padding: [3, 0, 0, 0] };
    const filter = b.graph.read(variable('filter', 3, 3, 32, 32));
    const dy = b.input('dy', -1, 9, 8, 32);
    const program = b.graph.compileSync([b.op('conv2dInput', [dy, filter], { ...attrs, shape: [-1, 8, 10, 32] })]);
    expect(program.describe(1)).toContain('conv2dInput');
  });
});
