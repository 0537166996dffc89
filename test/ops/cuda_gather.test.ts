import { expect, test } from 'vitest';
import { type Bound, type NativeArray, native } from '../../lib/native.js';
import { cudaDevice } from './cuda_device.js';

// Rows by index on the first CUDA device where the table of cases has no row: bags, and indices that are not there.

const rows = 11;
const width = 35;
const table: Bound = {
  data: Float32Array.from({ length: rows * width }, (_, i) => (i * 7) % 101),
  shape: [rows, width],
};

/** Sums or means of bags of rows (one fused op), and their gradient towards the table. */
async function bags(on: string, indices: Int32Array, length: number, op: string): Promise<NativeArray[]> {
  const graph = new native.Graph();
  const x = graph.input('table', 'float32', [rows, width]);
  const i = graph.input('indices', 'int32', [-1, length]);
  const cotangent = graph.input('cotangent', 'float32', [-1, width]);
  const [y] = graph.op(op, [graph.op('gather', [x, i])[0]!], { axes: [1], keepDims: false }) as [number];
  const [dx] = graph.gradients(y, [x], cotangent) as [number];
  const program = graph.compileSync([y, dx], on);
  const count = indices.length / length;
  const seed = Float32Array.from({ length: count * width }, (_, k) => ((k * 5) % 17) * 4);
  const results = await program.run([
    table,
    { data: indices, shape: [count, length] },
    { data: seed, shape: [count, width] },
  ]).promise;
  return results.map(({ data }) => data);
}

// Integers, and lengths that divide exactly: the order of sums does not show.
test.skipIf(!cudaDevice).each(['reduceSum', 'reduceMean'])('bags: %s of gather', async (op) => {
  const indices = Int32Array.from({ length: 40 * 4 }, (_, i) => (i % 3 ? 2 : (i * i) % rows));
  expect(await bags(cudaDevice, indices, 4, op)).toEqual(await bags('cpu', indices, 4, op));
});

test.skipIf(!cudaDevice).each([
  ['the first of several', [[9, 1, 2, rows, -1, 3]], 6],
  [
    'a negative one',
    [
      [0, 1],
      [2, -5],
    ],
    2,
  ],
] as [string, number[][], number][])(
  'an index outside the table fails as on the CPU: %s',
  async (_name, lists, length) => {
    const indices = Int32Array.from(lists.flat());
    for (const op of ['gather', 'bags']) {
      const messages = [];
      for (const on of ['cpu', cudaDevice]) {
        const graph = new native.Graph();
        const x = graph.input('table', 'float32', [rows, width]);
        const i = graph.input('indices', 'int32', [-1, length]);
        let [y] = graph.op('gather', [x, i]) as [number];
        if (op === 'bags') [y] = graph.op('reduceSum', [y], { axes: [1], keepDims: false }) as [number];
        const program = graph.compileSync([y], on);
        const run = async () => program.run([table, { data: indices, shape: [lists.length, length] }]).promise;
        messages.push(
          await run().then(
            () => 'no failure',
            (error: Error) => error.message,
          ),
        );
      }
      expect(messages[0]).not.toBe('no failure');
      expect(messages[1]).toBe(messages[0]);
    }
  },
);
