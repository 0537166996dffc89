import { beforeEach, expect, test } from 'vitest';
import { setFloat32MatmulPrecision } from '../../lib/devices.js';
import { layers, NDArray, sequential, setRandomSeed } from '../../lib/index.js';
import { type NativeArray, type NativeGraph, native } from '../../lib/native.js';
import { randomFrom, seedOf, sizeOf } from './case.js';
import { cases } from './cases.js';
import { expectForward, expectGradients } from './check.js';
import { canRun, libraryCalls } from './cuda_fake_libraries.js';
import { nameOf } from './run.js';

// Products and convolutions on the emulated device by cuBLASLt and cuDNN, which are fakes that believe what they are told
// about layouts, transposes, batches and epilogues: a mistake in the telling shows in numbers, and a product that stays at
// home in the calls.

const device = 'cuda:0';
beforeEach(() => {
  setFloat32MatmulPrecision('highest');
  libraryCalls();
});

const rows = cases.filter((row) => row.op === 'matmul' && row.inputs.every(({ dtype }) => dtype === 'float32'));
/** Products that the library has no words for. */
const atHome = ['matmul: nothing to sum'];
const gradientAtHome = [...atHome, 'matmul: batches broadcast'];
test.skipIf(!canRun).each(rows.map((row) => [nameOf(row), row] as const))('%s', async (name, row) => {
  await expectForward(row, device);
  expect(libraryCalls().length > 0).toBe(!atHome.includes(name));
});
test.skipIf(!canRun).each(rows.filter((row) => row.wrt).map((row) => [nameOf(row), row] as const))(
  'gradient of %s',
  async (name, row) => {
    await expectGradients(row, device);
    expect(libraryCalls().length > 0).toBe(!gradientAtHome.includes(name));
  },
);

type Shape = number[];
const integersOf = (shape: Shape, random: () => number): Float32Array =>
  Float32Array.from({ length: sizeOf(shape) }, () => Math.floor(random() * 9) - 4);

/** What a graph gives on a device for small integers, which come out exactly. */
async function run(name: string, shapes: Shape[], make: (graph: NativeGraph, ids: number[]) => number, on: string) {
  const random = randomFrom(seedOf(name));
  const graph = new native.Graph();
  const ids = shapes.map((shape, i) => graph.input(`x${i}`, 'float32', shape));
  const program = graph.compileSync([make(graph, ids)], on);
  const [out] = await program.run(shapes.map((shape) => ({ data: integersOf(shape, random), shape }))).promise;
  return out!.data as NativeArray;
}

const shapesOf = (text: string): Shape[] => text.split(' ').map((shape) => shape.split('x').map(Number));

/** Shapes of A, B and a bias; and what the library is asked for: its transposes, products x [n, m, k], epilogue. */
const products: Record<string, { shapes: string; transposeA?: 1; transposeB?: 1; relu?: true; call?: string }> = {
  plain: { shapes: '5x3 3x7', call: 'NN 1x[7,5,3]' },
  'A transposed': { shapes: '3x5 3x7', transposeA: 1, call: 'NT 1x[7,5,3]' },
  'B transposed': { shapes: '5x3 7x3', transposeB: 1, call: 'TN 1x[7,5,3]' },
  'both transposed': { shapes: '4x6 5x4', transposeA: 1, transposeB: 1, call: 'TT 1x[5,6,4]' },
  'a row': { shapes: '1x6 6x5', call: 'NN 1x[5,1,6]' },
  'a column': { shapes: '6x5 5x1', call: 'NN 1x[1,6,5]' },
  'a column of a transposed A': { shapes: '5x6 5x1', transposeA: 1, call: 'NT 1x[1,6,5]' },
  'a sum of one': { shapes: '6x1 1x5', call: 'NT 1x[5,6,1]' },
  'a sum of one, transposed': { shapes: '1x6 5x1', transposeA: 1, transposeB: 1, call: 'NT 1x[5,6,1]' },
  'a shared right side': { shapes: '2x3x4 4x5', call: 'NN 1x[5,6,4]' },
  'a shared right side, A transposed': { shapes: '2x4x3 4x5', transposeA: 1, call: 'NT 2x[5,3,4]' },
  'a batch': { shapes: '3x2x4 3x4x5', call: 'NN 3x[5,2,4]' },
  'a batch of two axes, B transposed': { shapes: '2x3x2x4 2x3x5x4', transposeB: 1, call: 'TN 6x[5,2,4]' },
  'one A for a batch': { shapes: '1x2x4 3x4x5', call: 'NN 3x[5,2,4]' },
  // The strides of A from product to product are no single number.
  'A broadcast over the inner axis': { shapes: '2x1x2x4 2x3x4x5' },
  bias: { shapes: '5x4 4x8 8', call: 'NN 1x[8,5,4] bias' },
  'bias and relu': { shapes: '5x4 4x8 8', relu: true, call: 'NN 1x[8,5,4] bias relu' },
  'bias and relu of more rows': { shapes: '3x5x4 4x8 8', relu: true, call: 'NN 1x[8,15,4] bias relu' },
};

test.skipIf(!canRun).each(Object.entries(products))('matmul: %s', async (name, { shapes, relu, call, ...attrs }) => {
  /** Widened halves: the product reads them as they are. */
  const halved = (graph: NativeGraph, x: number) => {
    const half = graph.op('cast', [x], { dtype: 'bfloat16' })[0]!;
    return graph.op('cast', [half], { dtype: 'float32' })[0]!;
  };
  const make = (halves: boolean) => (graph: NativeGraph, ids: number[]) => {
    const [a, b] = halves ? ids.slice(0, 2).map((id) => halved(graph, id)) : ids;
    const bias = ids[2];
    const product = graph.op('matmul', [a!, b!], { transposeA: 0, transposeB: 0, ...attrs })[0]!;
    const sum = bias === undefined ? product : graph.op('add', [product, bias], {})[0]!;
    return relu ? graph.op('relu', [sum], {})[0]! : sum;
  };
  const want = await run(name, shapesOf(shapes), make(false), 'cpu');
  for (const [precision, factors] of [
    ['highest', 'f32'],
    ['high', 'tf32'],
    ['high', 'bf16'],
  ] as const) {
    setFloat32MatmulPrecision(precision);
    expect(await run(name, shapesOf(shapes), make(factors === 'bf16'), device)).toEqual(want);
    expect(libraryCalls()).toEqual(call ? [`${factors} ${call}`] : []);
  }
});

test.skipIf(!canRun)('factors are rounded to tf32 where that was asked for', async () => {
  for (const [precision, want] of [
    ['highest', 1 + 2 ** -12],
    ['high', 1],
  ] as const) {
    setFloat32MatmulPrecision(precision);
    const graph = new native.Graph();
    const ids = [graph.input('a', 'float32', [1, 1]), graph.input('b', 'float32', [1, 1])];
    const node = graph.op('matmul', ids, {})[0]!;
    const program = graph.compileSync([node], device);
    const [out] = await program.run([1 + 2 ** -12, 1].map((x) => ({ data: Float32Array.of(x), shape: [1, 1] })))
      .promise;
    expect(out!.data[0]).toBe(want);
  }
});

const convolutionRows = cases.filter(
  (row) => row.op === 'conv2d' && row.inputs.every(({ dtype }) => dtype === 'float32'),
);
test.skipIf(!canRun).each(convolutionRows.map((row) => [nameOf(row), row] as const))('%s', async (_name, row) => {
  await expectForward(row, device);
  if (row.wrt) await expectGradients(row, device);
});

interface Convolution {
  /** Of the images and the filter. */
  shapes: string;
  attrs?: Record<string, number | number[]>;
  epilogue?: 'bias' | 'bias relu';
  /** Forward, towards the images, towards the filter; by default those of cuDNN. */
  calls?: [] | [string, string, string];
}
const convolutions: Record<string, Convolution> = {
  valid: { shapes: '2x5x6x6 3x2x6x5' },
  'one tap is a product': {
    shapes: '2x4x3x9 1x1x9x10',
    calls: ['NN 1x[10,24,9]', 'TN 1x[9,24,10]', 'NT 1x[10,9,24]'],
  },
  'one tap, strides': { shapes: '2x5x3x9 1x1x9x10', attrs: { strides: [2, 1] } },
  'padded alike': { shapes: '2x5x4x8 3x3x8x9', attrs: { padding: [1, 1, 1, 1] } },
  'a rest after strides': { shapes: '2x8x9x5 3x3x5x4', attrs: { strides: [2, 3], padding: [1, 1, 0, 0] } },
  'padded below only': { shapes: '2x6x6x5 3x3x5x4', attrs: { strides: [2, 2], padding: [0, 1, 0, 1] }, calls: [] },
  dilated: { shapes: '1x9x8x5 2x3x5x4', attrs: { dilations: [3, 2] } },
  groups: { shapes: '2x4x4x6 3x3x3x8', attrs: { groups: 2, padding: [1, 1, 1, 1] } },
  depthwise: { shapes: '2x4x4x6 3x3x1x6', attrs: { groups: 6 }, calls: [] },
  bias: { shapes: '2x4x4x6 2x2x6x5', epilogue: 'bias' },
  'bias and relu': { shapes: '2x4x4x5 3x2x5x6', epilogue: 'bias relu' },
};

test.skipIf(!canRun).each(Object.entries(convolutions))(
  'conv2d: %s',
  async (name, { shapes: text, attrs, epilogue, calls = ['forward', 'data', 'weights'] }) => {
    const [x, w] = shapesOf(text) as [Shape, Shape];
    const all = { strides: [1, 1], dilations: [1, 1], padding: [0, 0, 0, 0], groups: 1, ...attrs };
    const shapes = [x, w, [w[3]!]];
    const make = (graph: NativeGraph, [images, filter, bias]: number[]) => {
      const out = graph.op('conv2d', [images!, filter!], all)[0]!;
      if (!epilogue) return out;
      const sum = graph.op('add', [out, bias!], {})[0]!;
      return epilogue === 'bias' ? sum : graph.op('relu', [sum], {})[0]!;
    };
    for (const [precision, factors] of [
      ['highest', 'f32'],
      ['high', 'tf32'],
    ] as const) {
      setFloat32MatmulPrecision(precision);
      expect(await run(name, shapes, make, device)).toEqual(await run(name, shapes, make, 'cpu'));
      expect(libraryCalls()).toEqual(
        calls.slice(0, 1).map((call) => `${factors} ${call}${epilogue ? ` ${epilogue}` : ''}`),
      );
    }
    const scratch = new native.Graph();
    const [images, filter] = [x, w].map((shape, i) => scratch.input(`x${i}`, 'float32', shape));
    const out = [...scratch.shape(scratch.op('conv2d', [images!, filter!], all)[0]!)];
    for (const input of [0, 1]) {
      const gradient = (graph: NativeGraph, [images, filter, seed]: number[]) => {
        const y = graph.op('conv2d', [images!, filter!], all)[0]!;
        return graph.gradients(y, [[images!, filter!][input]!], seed)[0]!;
      };
      const want = await run(name, [x, w, out], gradient, 'cpu');
      expect(await run(name, [x, w, out], gradient, device)).toEqual(want);
      expect(libraryCalls()).toEqual(calls.slice(input + 1, input + 2).map((call) => `tf32 ${call}`));
    }
  },
);

test.skipIf(!canRun)('training in mixed precision: halves go to the library, the loss is that of the CPU', async () => {
  const random = randomFrom(5);
  const x = Float32Array.from({ length: 12 * 5 }, () => random() * 2 - 1);
  const y = Float32Array.from({ length: 12 * 3 }, () => random() * 2 - 1);
  const train = async (where: 'cpu' | 'cuda') => {
    setRandomSeed(3);
    const model = sequential([
      layers.dense({ units: 9, activation: 'relu', inputShape: [5], dtype: 'mixedBfloat16' }),
      layers.dense({ units: 3, dtype: 'mixedBfloat16' }),
    ]);
    model.compile({ optimizer: 'sgd', loss: 'meanSquaredError', device: where });
    const data = new NDArray(x, [12, 5]);
    const { history } = await model.fit(data, new NDArray(y, [12, 3]), { epochs: 3, batchSize: 6, verbose: 0 });
    return history.loss!;
  };
  setFloat32MatmulPrecision('high');
  const want = await train('cpu');
  libraryCalls();
  const got = await train('cuda');
  got.forEach((loss, i) => {
    expect(Math.abs(loss - want[i]!)).toBeLessThan(0.02 * want[i]!);
  });
  const products = libraryCalls().map((call) => call.replace(/\d+x.*\]/, ''));
  expect(products).toHaveLength(6 * 5); // steps, products of each
  // The first layer stores what the second one multiplies.
  expect([...new Set(products)].sort()).toEqual(['bf16 NN ', 'bf16 NN  bias relu rounded', 'bf16 NT ', 'bf16 TN ']);
});
