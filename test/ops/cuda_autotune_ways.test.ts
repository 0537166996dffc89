import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { setAutotune, setFloat32MatmulPrecision } from '../../lib/devices.js';
import { native } from '../../lib/native.js';
import { randomFrom, sizeOf } from './case.js';
import { cases } from './cases.js';
import { expectForward, expectGradients } from './check.js';
import {
  algorithm,
  choose,
  device,
  fileText,
  type Make,
  nameWay,
  product,
  readEntries,
  run,
  type Shape,
  shapesOf,
  useFreshFile,
  wasWritten,
} from './cuda_choices.js';
import { canRun, libraryCalls } from './cuda_fake_libraries.js';
import { nameOf } from './run.js';

// Products and convolutions in every way that a file of choices can name, on the emulated device with fakes of cuBLASLt and
// cuDNN. What a fake is asked shows who computed, and that nobody measured.

beforeEach(() => {
  useFreshFile();
});
afterAll(() => setAutotune(null));

const products: Record<string, { shapes: string; sizes: [number, number, number]; attrs?: Record<string, number> }> = {
  plain: { shapes: '5x3 3x7', sizes: [7, 5, 3] },
  'A transposed': { shapes: '3x5 3x7', sizes: [7, 5, 3], attrs: { transposeA: 1 } },
  'B transposed': { shapes: '5x3 7x3', sizes: [7, 5, 3], attrs: { transposeB: 1 } },
  'both transposed': { shapes: '4x6 5x4', sizes: [5, 6, 4], attrs: { transposeA: 1, transposeB: 1 } },
  'a batch': { shapes: '3x2x4 3x4x5', sizes: [5, 2, 4] },
  'several tiles of each size': { shapes: '131x12 12x260', sizes: [260, 131, 12] },
  'several tiles, A transposed': { shapes: '9x130 9x258', sizes: [258, 130, 9], attrs: { transposeA: 1 } },
  'several tiles, B transposed': { shapes: '129x16 257x16', sizes: [257, 129, 16], attrs: { transposeB: 1 } },
  'several parts of a sum': { shapes: '5x1100 1100x8', sizes: [8, 5, 1100] },
  'bias and relu': { shapes: '5x4 4x8 8', sizes: [8, 5, 4], attrs: { relu: 1 } },
  'a gate, which the library does not know': { shapes: '5x4 4x8 5x8', sizes: [8, 5, 4], attrs: { gate: 1 } },
  'bias and relu, rounded': { shapes: '5x4 4x8 8', sizes: [8, 5, 4], attrs: { relu: 1, rounded: 1 } },
};
const kinds = { float32: ['32x32', '64x64', '128x128'], tf32: ['128x256'], bfloat16: ['128x256'] };

describe.skipIf(!canRun)('a way that stands in the file is taken, and nothing is measured', () => {
  test.each(
    Object.entries(products).flatMap(([name, one]) =>
      (Object.keys(kinds) as (keyof typeof kinds)[]).map((kind) => [name, kind, one] as const),
    ),
  )('%s, %s', { timeout: 120_000 }, async (_name, kind, { shapes: text, sizes, attrs = {} }) => {
    const shapes = shapesOf(text);
    const make = product(attrs, kind === 'bfloat16');
    if (kind !== 'float32') setFloat32MatmulPrecision('high');
    const want = (await run(shapes, make, 'cpu')).data;
    expect((await run(shapes, make, device)).data).toEqual(want); // measures
    expect(libraryCalls().length).toBeGreaterThan(3);
    expect(readEntries()).toHaveLength(1);

    for (const tile of [...kinds.float32, ...(kind === 'float32' ? [] : kinds[kind])]) {
      const written = choose(tile);
      const { data, plan } = await run(shapes, make, device);
      expect(data, tile).toEqual(want);
      expect(plan).toContain(` [${tile}] `);
      expect(fileText()).toBe(written);
      expect(libraryCalls()).toEqual([]);
    }
    for (const number of [1, 2, 3]) {
      const label = attrs.gate ? 'cuBLASLt-apart-9' : 'cuBLASLt-9';
      const written = choose(`${label}:${algorithm(number, sizes)}`);
      const { data, plan } = await run(shapes, make, device);
      expect(data, `algorithm ${number}`).toEqual(want);
      expect(plan).toContain(` [${label}] `);
      expect(fileText()).toBe(written);
      const calls = libraryCalls();
      expect(calls).toHaveLength(1);
      expect(/ by algorithm (\d)$/.exec(calls[0]!)?.[1] ?? '1').toBe(`${number}`);
    }
  });
});

interface Convolution {
  shapes: string;
  attrs?: Record<string, number | number[]>;
  ending?: 'bias' | 'bias, relu';
  /** But for the gradient towards the images, there is a kernel for few channels. */
  few?: true;
}
const convolutions: Record<string, Convolution> = {
  padded: { shapes: '2x5x4x20 3x3x20x9', attrs: { padding: [1, 1, 1, 1] } },
  'strides and dilations': { shapes: '1x12x10x18 3x3x18x20', attrs: { strides: [2, 1], dilations: [1, 2] } },
  groups: { shapes: '2x4x4x6 3x3x3x8', attrs: { groups: 2, padding: [1, 1, 1, 1] } },
  bias: { shapes: '2x4x4x18 2x2x18x5', ending: 'bias' },
  'few channels': { shapes: '2x7x6x3 3x2x3x9', ending: 'bias, relu', few: true },
  'few channels and one tap': { shapes: '2x7x6x3 1x1x3x9', few: true },
  'bias and relu': { shapes: '2x4x4x18 3x2x18x6', ending: 'bias, relu' },
};
/** The op, its gradient towards the images and towards the filter. */
const passes = ['', "'s input", "'s filter"] as const;

describe.skipIf(!canRun)('likewise of a convolution', () => {
  test.each(Object.entries(convolutions).flatMap(([name, one]) => passes.map((pass) => [name, pass, one] as const)))(
    '%s%s',
    { timeout: 120_000 },
    async (name, pass, { shapes: text, attrs, ending, few }) => {
      const all = { strides: [1, 1], dilations: [1, 1], padding: [0, 0, 0, 0], groups: 1, ...attrs };
      const [x, w] = shapesOf(text) as [Shape, Shape];
      const scratch = new native.Graph();
      const ids = [x, w].map((shape, i) => scratch.input(`x${i}`, 'float32', shape));
      const out = [...scratch.shape(scratch.op('conv2d', ids, all)[0]!)] as number[];
      const make: Make = (graph, [images, filter, third]) => {
        let y = graph.op('conv2d', [images!, filter!], all)[0]!;
        if (pass !== '') return graph.gradients(y, [pass === "'s input" ? images! : filter!], third!)[0]!;
        if (ending) y = graph.op('add', [y, third!], {})[0]!;
        return ending === 'bias, relu' ? graph.op('relu', [y], {})[0]! : y;
      };
      const shapes = [x, w, ...(pass !== '' ? [out] : ending ? [[w[3]!]] : [])];
      for (const [precision, factors] of [
        ['highest', 'float32'],
        ['high', 'tf32'],
      ] as const) {
        setFloat32MatmulPrecision(precision);
        const want = (await run(shapes, make, 'cpu')).data;
        expect((await run(shapes, make, device)).data).toEqual(want); // measures
        const { machine, key, times } = readEntries().at(-1)!;
        if (name.endsWith('one tap') && pass === "'s input") {
          expect(key).toMatch(/^product /);
          continue;
        }
        expect(machine).toBe('[emulated GPU (8.0), cuDNN 9.13.1]');
        expect(key).toContain(
          `convolution${pass} ${factors} ${x.join('x')} by ${w.join('x')} is ${out.join('x')}, strides `,
        );
        expect(key.endsWith(pass === '' && ending ? `, ${ending}` : ` ${all.groups}`)).toBe(true);
        const ways = ['32x32', '64x64', '128x128', ...(few && pass !== "'s input" ? ['few channels'] : []), 'cuDNN'];
        expect(times).toMatch(new RegExp(`^${ways.map((way) => `${way} [\\d.]+ us`).join(', ')}$`));
        libraryCalls();
        for (const way of ['32x32', '64x64', '128x128', 'cuDNN']) {
          const written = choose(way);
          const { data, plan } = await run(shapes, make, device);
          expect(data, way).toEqual(want);
          expect(plan).toContain(` [${way}] `);
          expect(fileText()).toBe(written);
          expect(libraryCalls()).toHaveLength(way === 'cuDNN' ? 1 : 0);
        }
      }
    },
  );
});

const rows = cases.filter(
  (row) => (row.op === 'matmul' || row.op === 'conv2d') && row.inputs.every(({ dtype }) => dtype === 'float32'),
);
/** What one kernel computes, whatever the file says. */
const byOneKernel = (name: string) => name.startsWith('conv2d: depthwise');
test.skipIf(!canRun).each(rows.map((row) => [nameOf(row), row] as const))(
  'in tiles of each size: %s',
  { timeout: 240_000 },
  async (name, row) => {
    const check = async () => {
      await expectForward(row, device);
      if (row.wrt) await expectGradients(row, device);
    };
    await check(); // measures
    expect(wasWritten()).toBe(!byOneKernel(name));
    if (byOneKernel(name)) return;
    libraryCalls();
    for (const tile of ['32x32', '64x64', '128x128']) {
      const written = choose(tile);
      await check();
      expect(fileText()).toBe(written);
      expect(libraryCalls()).toEqual([]);
    }
  },
);

test.skipIf(!canRun)(
  'another size of tiles adds up in another order, the same one in the same',
  { timeout: 120_000 },
  async () => {
    // So many small tiles that a long sum is cut into fewer parts.
    const [a, b] = [
      [17, 33, 1024],
      [17, 1024, 33],
    ] as [Shape, Shape];
    const random = randomFrom(11);
    const inputs = [a, b].map((shape) => ({
      data: Float32Array.from({ length: sizeOf(shape) }, () => random() - 0.5),
      shape,
    }));
    const multiply = async (tile: string) => {
      nameWay(
        '[emulated GPU (8.0), cuBLASLt 13.1.2]',
        'product float32 33x33x1024, strides 1024,1 1,33 33, 17 times 33792 33792 1089',
        tile,
      );
      const graph = new native.Graph();
      const ids = inputs.map(({ shape }, i) => graph.input(`x${i}`, 'float32', shape));
      const program = graph.compileSync([graph.op('matmul', ids, {})[0]!], device);
      const [out] = await program.run(inputs).promise;
      expect(libraryCalls()).toEqual([]);
      return Buffer.from(out!.data.buffer);
    };
    const small = await multiply('32x32');
    expect((await multiply('32x32')).equals(small)).toBe(true);
    expect((await multiply('64x64')).equals(small)).toBe(false);
  },
);
