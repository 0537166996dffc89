import { expect, test } from 'vitest';
import { type Bound, type DType, type NativeArray, native } from '../../lib/native.js';
import { randomFrom, sizeOf } from './case.js';
import { cudaDevice } from './cuda_device.js';
import { arrayOf } from './run.js';

// Fused elementwise programs on the first CUDA device against the CPU, bit for bit: random ones over inputs of all dtypes
// and broadcasts, with many inputs, codes and outputs, and lengths that fill neither tiles nor groups of four.

type NativeArrays = { data: NativeArray }[];
interface Typed {
  id: number;
  dtype: DType;
}
interface Space {
  about: string;
  shapes: number[][];
  ops: number;
  outputs: number;
}

function fill(dtype: DType, count: number, random: () => number) {
  const value = () => {
    if (dtype === 'float32') return (random() - 0.5) * 8;
    if (dtype === 'bool') return random() < 0.5 ? 0 : 1;
    return dtype === 'int32' ? Math.floor((random() - 0.5) * 2000) : Math.floor(random() * 256);
  };
  return arrayOf(dtype, Float64Array.from({ length: count }, value));
}

const unary = ['neg', 'abs', 'square', 'sigmoid', 'tanh', 'relu', 'exp', 'sqrt'];
const binary = ['add', 'sub', 'mul', 'div', 'maximum', 'minimum', 'add', 'mul', 'sub'];
const integer = ['add', 'sub', 'mul', 'floorDivide', 'mod', 'maximum'];

/** A random program over inputs of the given shapes, and its inputs. */
function draw({ about, shapes, ops, outputs }: Space) {
  const random = randomFrom(sizeOf([...about].map((letter) => letter.charCodeAt(0) % 89)) + ops);
  const graph = new native.Graph();
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const bound: Bound[] = [];
  const values: Typed[] = shapes.map((shape, i) => {
    const dtype = (['float32', 'float32', 'int32', 'bool', 'float32', 'uint8'] as const)[i % 6]!;
    bound.push({ data: fill(dtype, sizeOf(shape), random), shape });
    return { id: graph.input(`x${i}`, dtype, shape), dtype };
  });
  for (const value of [0.5, 3, -1.25]) values.push({ id: graph.scalar(value, 'float32'), dtype: 'float32' });
  const op = (name: string, operands: Typed[], dtype: DType, attrs = {}): Typed => ({
    id: graph.op(
      name,
      operands.map(({ id }) => id),
      attrs,
    )[0] as number,
    dtype,
  });
  const as = (value: Typed, dtype: DType) => (value.dtype === dtype ? value : op('cast', [value], dtype, { dtype }));
  // Mostly what came last, so that there are chains; now and then anything, so that values live long.
  const operand = () => (random() < 0.6 ? (values.at(-1) as Typed) : pick(values));
  for (let i = 0; i < ops; ++i) {
    const kind = random();
    if (kind < 0.25) values.push(op(pick(unary), [as(operand(), 'float32')], 'float32'));
    else if (kind < 0.7)
      values.push(op(pick(binary), [as(operand(), 'float32'), as(pick(values), 'float32')], 'float32'));
    else if (kind < 0.8) values.push(op(pick(integer), [as(operand(), 'int32'), as(pick(values), 'int32')], 'int32'));
    else if (kind < 0.87) values.push(op('less', [as(operand(), 'float32'), as(pick(values), 'float32')], 'bool'));
    else {
      const [a, b] = [as(operand(), 'float32'), as(pick(values), 'float32')];
      values.push(op('select', [as(pick(values), 'bool'), a, b], 'float32'));
    }
  }
  // Every input into the first result, so that all of them belong to one program over the whole space.
  let all = as(values.at(-1) as Typed, 'float32');
  for (const value of values.slice(0, shapes.length)) all = op('add', [all, as(value, 'float32')], 'float32');
  const results = [all, op('less', [all, values[0] as Typed], 'bool')];
  for (let i = 2; i < outputs; ++i) results.push(op('add', [all, as(pick(values), 'float32')], 'float32'));
  if (outputs > 2) results.push(as(as(all, 'bool'), 'uint8'), as(op('less', [all, all], 'bool'), 'int32'));
  return { graph, results: results.map(({ id }) => id), bound };
}

const repeat = (count: number, shapes: number[][]) =>
  Array.from({ length: count }, (_, i) => shapes[i % shapes.length]!);
const spaces: Space[] = [
  { about: 'one element', shapes: [[1], [1], [1]], ops: 5, outputs: 3 },
  { about: 'three elements', shapes: repeat(6, [[3]]), ops: 9, outputs: 2 },
  { about: 'odd length', shapes: repeat(6, [[1013]]), ops: 12, outputs: 4 },
  { about: 'rows and columns in fours', shapes: repeat(8, [[36, 64], [64], [36, 1], []]), ops: 14, outputs: 3 },
  { about: 'odd rows and columns', shapes: repeat(8, [[37, 61], [61], [37, 1], []]), ops: 14, outputs: 3 },
  { about: 'middle axes', shapes: repeat(8, [[5, 12, 8], [12, 1], [5, 1, 8], [8], [5, 1, 1]]), ops: 14, outputs: 3 },
  { about: 'odd middle axes', shapes: repeat(8, [[5, 7, 9], [7, 1], [5, 1, 9], [9], [5, 1, 1]]), ops: 14, outputs: 3 },
  { about: 'many inputs', shapes: repeat(15, [[9, 203], [203], [9, 1]]), ops: 60, outputs: 9 },
  {
    about: 'a large program over several tiles a block',
    shapes: repeat(14, [[601, 701], [701], []]),
    ops: 50,
    outputs: 8,
  },
  { about: 'several tiles a block', shapes: repeat(3, [[1031, 1025]]), ops: 6, outputs: 2 },
  { about: 'several tiles a block, broadcast', shapes: repeat(6, [[900, 1024], [1024], [900, 1]]), ops: 8, outputs: 2 },
  { about: 'rows of fours', shapes: repeat(6, [[3001, 36], [36]]), ops: 8, outputs: 2 },
  { about: 'one matrix and rows of fours', shapes: repeat(4, [[5001, 20], [20], [20], [20]]), ops: 8, outputs: 3 },
  { about: 'two matrices and columns', shapes: repeat(5, [[2501, 12], [12], [2501, 1], []]), ops: 8, outputs: 2 },
  { about: 'four matrices', shapes: repeat(4, [[2501, 5]]), ops: 9, outputs: 3 },
  { about: 'odd rows and columns, several tiles', shapes: repeat(6, [[301, 61], [61], [301, 1]]), ops: 8, outputs: 2 },
];

// More programs where they are quick.
const variants = spaces.flatMap((space) =>
  (sizeOf(space.shapes[0] as number[]) < 10_000 ? [0, 1, 2, 3] : [0]).map((more) => ({
    ...space,
    ops: space.ops + more,
  })),
);

test.skipIf(!cudaDevice).each(variants)('$about, $ops ops', (space) => {
  const run = (on: string): NativeArrays => {
    const { graph, results, bound } = draw(space);
    return graph.compileSync(results, on).runSync(bound);
  };
  const [want, got] = [run('cpu'), run(cudaDevice)];
  want.forEach(({ data }, i) => {
    const bits = (array: typeof data) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    const [a, b] = [bits(data), bits(got[i]!.data)];
    const nan = (at: number) =>
      data instanceof Float32Array && Number.isNaN(data[at >> 2]) && Number.isNaN(got[i]!.data[at >> 2]);
    const wrong = a.findIndex((byte, at) => byte !== b[at] && !nan(at));
    expect(wrong, `result ${i} of ${want.length}`).toBe(-1);
  });
});

test('programs of the table above are fused', () => {
  for (const space of spaces) {
    const { graph, results } = draw(space);
    const [, body = ''] = graph.compileSync(results).describe(1).split('body\n');
    expect(body.trim().split('\n').length, space.about).toBeLessThan(space.ops);
  }
});

// A block's registers lie in shared memory, of which 48 KiB need not be asked for, and kernels have some of their own there.
test.skipIf(!cudaDevice).each([20, 21, 22, 23, 24])('%i operands at once', async (count) => {
  const run = async (device: string) => {
    const graph = new native.Graph();
    const inputs = Array.from({ length: count }, (_, i) => graph.input(`x${i}`, 'float32', [3, 40]));
    let sum = inputs[0]!;
    for (const input of inputs.slice(1)) sum = graph.op('add', [sum, input], {})[0]!;
    const program = graph.compileSync([sum], device);
    const random = randomFrom(count);
    const bound = inputs.map(() => ({ data: Float32Array.from({ length: 120 }, random), shape: [3, 40] }));
    return (await program.run(bound).promise)[0]!.data;
  };
  expect(await run(cudaDevice)).toEqual(await run('cpu'));
});
