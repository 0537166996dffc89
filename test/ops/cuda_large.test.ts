import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { setAutotune, setConvAlgorithm, setFloat32MatmulPrecision } from '../../lib/devices.js';
import { type NativeArray, type NativeGraph, native } from '../../lib/native.js';
import { randomFrom, seedOf, sizeOf } from './case.js';
import { cudaDevice } from './cuda_device.js';

// Products and convolutions of the size that goes to cuBLASLt and cuDNN where they are installed: on a GPU, since an
// emulated one would take hours. Small integers come out as on the CPU, whoever multiplies, by the rule of the shape, by the
// way that was measured as the fastest, and in tiles of each size; real numbers come out the same in every run.

const isGpu = cudaDevice !== '' && process.env.CHAINRULE_CUDA_EMULATE === undefined;
beforeAll(async () => {
  setConvAlgorithm('direct');
  if (isGpu) console.log(await native.deviceLibraries());
});
afterAll(() => setFloat32MatmulPrecision('highest'));

type Shape = number[];
type Attributes = Record<string, number | number[]>;
type Make = (graph: NativeGraph, ids: number[]) => number;

async function run(name: string, shapes: Shape[], make: Make, on: string, integer = true): Promise<NativeArray> {
  const random = randomFrom(seedOf(name));
  const draw = integer ? () => Math.floor(random() * 9) - 4 : () => random() * 2 - 1;
  const graph = new native.Graph();
  const ids = shapes.map((shape, i) => graph.input(`x${i}`, 'float32', shape));
  const program = graph.compileSync([make(graph, ids)], on);
  const bound = shapes.map((shape) => ({ data: Float32Array.from({ length: sizeOf(shape) }, draw), shape }));
  return (await program.run(bound).promise)[0]!.data;
}

const choices = isGpu ? join(mkdtempSync(join(tmpdir(), 'chainrule-autotune-')), 'choices.txt') : '';
function goBy(way: string): void {
  setAutotune(way === 'rule' ? null : choices);
  if (/^\d/.test(way)) writeFileSync(choices, readFileSync(choices, 'utf8').replace(/\t.*\t/g, `\t${way}\t`));
}

async function expectSame(name: string, shapes: Shape[], make: Make) {
  for (const precision of ['highest', 'high'] as const) {
    setFloat32MatmulPrecision(precision);
    const want = await run(name, shapes, make, 'cpu');
    for (const way of ['rule', 'measuring', '32x32', '64x64', '128x128']) {
      goBy(way);
      const got = await run(name, shapes, make, cudaDevice);
      const wrong = want.findIndex((value, i) => got[i] !== value);
      expect(wrong < 0 ? '' : `${precision}, ${way}: element ${wrong} is ${got[wrong]}, not ${want[wrong]}`).toBe('');
      const [once, again] = [
        await run(name, shapes, make, cudaDevice, false),
        await run(name, shapes, make, cudaDevice, false),
      ];
      expect(Buffer.from(once.buffer).equals(Buffer.from(again.buffer)), `${precision}, ${way}, twice`).toBe(true);
    }
  }
  setAutotune(null);
}

const shapesOf = (text: string): Shape[] => text.split(' ').map((shape) => shape.split('x').map(Number));
const products: Record<string, { shapes: string; transposeA?: 1; transposeB?: 1; relu?: true }> = {
  plain: { shapes: '512x768 768x640' },
  'A transposed': { shapes: '768x512 768x640', transposeA: 1 },
  'B transposed': { shapes: '512x768 640x768', transposeB: 1 },
  'both transposed': { shapes: '768x512 640x768', transposeA: 1, transposeB: 1 },
  'few tiles, a long sum': { shapes: '128x16384 16384x128' },
  'a shared right side, bias and relu': { shapes: '4x160x512 512x768 768', relu: true },
  'a batch': { shapes: '12x256x192 12x192x320' },
  'a batch, B transposed': { shapes: '3x4x256x192 3x4x320x192', transposeB: 1 },
};
test.skipIf(!isGpu).each(Object.entries(products))(
  'matmul: %s',
  { timeout: 60_000 },
  async (name, { shapes, relu, ...attrs }) => {
    await expectSame(name, shapesOf(shapes), (graph, [a, b, bias]) => {
      const product = graph.op('matmul', [a!, b!], { transposeA: 0, transposeB: 0, ...attrs })[0]!;
      const sum = bias === undefined ? product : graph.op('add', [product, bias], {})[0]!;
      return relu ? graph.op('relu', [sum], {})[0]! : sum;
    });
  },
);

// Results that the library or the kernel here rounds as it stores them: the view keeps the cast back to float32 apart.
test.skipIf(!isGpu).each(['', 'bias', 'bias and relu', 'tanh'])('matmul of bfloat16, rounded: %s', async (ending) => {
  await expectSame(`rounded ${ending}`, shapesOf('512x768 768x640 640'), (graph, ids) => {
    const op = (name: string, operands: number[], attrs = {}) => graph.op(name, operands, attrs)[0]!;
    const stored = (x: number) => op('cast', [x], { dtype: 'bfloat16' });
    const widened = (x: number) => op('cast', [x], { dtype: 'float32' });
    const [a, b, bias] = ids.map((id) => widened(stored(id)));
    let y = op('matmul', [a!, b!]);
    if (ending.startsWith('bias')) y = op('add', [y, bias!]);
    if (ending.endsWith('relu')) y = op('relu', [y]);
    if (ending === 'tanh') y = op('tanh', [y]);
    return widened(op('reshape', [stored(y)], { shape: [512 * 640] }));
  });
});

const convolutions: Record<string, { shapes: string; attrs?: Attributes }> = {
  'three by three': { shapes: '8x28x28x64 3x3x64x64 64', attrs: { padding: [1, 1, 1, 1] } },
  strides: { shapes: '8x29x29x64 3x3x64x128 128', attrs: { padding: [1, 1, 1, 1], strides: [2, 2] } },
  'one tap': { shapes: '8x28x28x128 1x1x128x256 256' },
  groups: { shapes: '16x28x28x128 3x3x64x128 128', attrs: { padding: [1, 1, 1, 1], groups: 2 } },
  dilated: { shapes: '8x30x30x64 3x3x64x64 64', attrs: { dilations: [2, 2] } },
};
test.skipIf(!isGpu).each(Object.entries(convolutions))(
  'conv2d: %s',
  { timeout: 60_000 },
  async (name, { shapes, attrs }) => {
    const all = { strides: [1, 1], dilations: [1, 1], padding: [0, 0, 0, 0], groups: 1, ...attrs };
    const [x, w, bias] = shapesOf(shapes) as [Shape, Shape, Shape];
    const convolve = (graph: NativeGraph, [images, filter]: number[]) =>
      graph.op('conv2d', [images!, filter!], all)[0]!;
    await expectSame(`${name}, plain`, [x, w], convolve);
    await expectSame(
      `${name}, bias`,
      [x, w, bias],
      (graph, ids) => graph.op('add', [convolve(graph, ids), ids[2]!], {})[0]!,
    );
    await expectSame(`${name}, bias and relu`, [x, w, bias], (graph, ids) => {
      const sum = graph.op('add', [convolve(graph, ids), ids[2]!], {})[0]!;
      return graph.op('relu', [sum], {})[0]!;
    });
    const scratch = new native.Graph();
    const ids = [x, w].map((shape, i) => scratch.input(`x${i}`, 'float32', shape));
    const out = [...scratch.shape(convolve(scratch, ids))];
    for (const input of [0, 1]) {
      await expectSame(`${name}, gradient ${input}`, [x, w, out], (graph, all) => {
        return graph.gradients(convolve(graph, all), [all[input]!], all[2]!)[0]!;
      });
    }
  },
);
