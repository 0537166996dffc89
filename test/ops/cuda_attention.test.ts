import { afterAll, beforeAll, expect, test } from 'vitest';
import { setFloat32MatmulPrecision } from '../../lib/devices.js';
import { type Bound, type NativeArray, native } from '../../lib/native.js';
import { randomFrom, seedOf, sizeOf, type Values } from './case.js';
import { cases } from './cases.js';
import { gradientsOf } from './check.js';
import { cudaDevice } from './cuda_device.js';
import { batchOf, bind, compileForward, drawInputs, nameOf } from './run.js';

// Attention with factors in tf32, as 'high' asks for it, on the first CUDA device; the table of ops runs with 'highest'.

beforeAll(() => setFloat32MatmulPrecision('high'));
afterAll(() => setFloat32MatmulPrecision('highest'));

const rows = cases.filter(({ op, part = 0 }) => op === 'attention' && part === 0);
const largest = (data: ArrayLike<number>): number => {
  let most = 0;
  for (let i = 0; i < data.length; ++i) most = Math.max(most, Math.abs(data[i]!));
  return most;
};
const apart = (a: NativeArray, b: NativeArray): number => largest(Float64Array.from(a, (x, i) => x - b[i]!));

/** Roundings are independent, so that they add up as roots do: far below the bounds for large sums, as a share of the result. */
const SHARE = 2 ** -7;

/**
 * What rounding both factors of every product to 11 bits can do at most: 2^-11 of each factor, so a little more than 2^-10 of
 * the sum of magnitudes, on the way into a share (a score's error is the share's relative one, once for its own and once for
 * all shares) and on the way out.
 */
function bounds({ inputs, scale }: { inputs: readonly Values[]; scale: number }) {
  const [q, k, v] = inputs as [Values, Values, Values];
  const [, queries = 0, heads = 0, depth = 0] = q.shape;
  const [, , keyHeads = 1, width = 0] = v.shape;
  const [mq, mk, mv] = [largest(q.data), largest(k.data), largest(v.data)];
  const unit = 1.1 * 2 ** -10;
  const share = 2 * unit * scale * depth * mq * mk;
  /** Of gradients: `arriving` is the largest of the output's. */
  const gradients = (arriving: number): number[] => {
    const moved = 2 * width * arriving * mv * (2 * share + 2 * unit);
    const lookers = (queries * heads) / keyHeads;
    return [
      scale * mk * moved,
      scale * mq * moved * lookers,
      arriving * lookers * (share + unit),
      moved * lookers * q.shape[0]!,
    ];
  };
  return { forward: mv * (share + unit), gradients };
}

test.skipIf(!cudaDevice).each(rows.map((row) => [nameOf(row), row] as const))('%s', async (_name, row) => {
  const scale = Number(row.attrs?.scale ?? 1);
  const n = batchOf(row);
  const inputs = drawInputs(row, n);
  const [exact, rounded] = await Promise.all(
    ['cpu', cudaDevice].map(async (on) => (await compileForward(row, on).program.run(bind(row, inputs)).promise)[0]!),
  );
  const close = (a: NativeArray, b: NativeArray, bound: number, what: string) =>
    expect(apart(a, b), what).toBeLessThanOrEqual(Math.min(bound, SHARE * largest(b)));
  close(rounded!.data, exact!.data, bounds({ inputs, scale }).forward, 'output');
  const [want, got] = [await gradientsOf(row, n), await gradientsOf(row, n, cudaDevice)];
  const most = bounds({ inputs, scale }).gradients(largest(want.cotangent.data));
  for (const [i, input] of row.wrt!.entries()) {
    close(got.gradients[i]!, want.gradients[i]!, most[input]!, `gradient of input ${input}`);
  }
});

// Scores of 0 make shares of 1 / keys; with whole numbers all else is exact, too.
const exact = [
  { about: 'tiles of queries and keys', queries: 70, keys: 128, depth: 40, width: 64 },
  { about: 'rows that do not start at 16 bytes', queries: 66, keys: 64, depth: 33, width: 35 },
  { about: 'several columns a thread', queries: 9, keys: 64, depth: 72, width: 136 },
  { about: 'several blocks of columns', queries: 3, keys: 64, depth: 260, width: 300 },
];
test.skipIf(!cudaDevice).each(exact.flatMap((sizes) => ['query', 'key'].map((zero) => ({ ...sizes, zero }))))(
  '$about: exact where each $zero is zero',
  async ({ about, queries, keys, depth, width, zero }) => {
    const random = randomFrom(seedOf(about));
    const shapes = [
      [1, queries, 2, depth],
      [1, keys, 2, depth],
      [1, keys, 2, width],
      [1, queries, 2, width],
    ];
    // Few of the output's gradients are not 0, so that their sums have no more than 11 bits.
    const density = [zero === 'query' ? 0 : 1, zero === 'key' ? 0 : 1, 1, 2 / width];
    const bound: Bound[] = shapes.map((shape, i) => ({
      data: Float32Array.from({ length: sizeOf(shape) }, () =>
        random() < density[i]! ? Math.floor(random() * 3) - 1 : 0,
      ),
      shape,
    }));
    const run = async (on: string) => {
      const graph = new native.Graph();
      const [q, k, v, arriving] = shapes.map((shape, i) => graph.input(`x${i}`, 'float32', shape)) as [
        number,
        number,
        number,
        number,
      ];
      const out = graph.op('attention', [q, k, v], { scale: 0.25, bias: false, mask: false })[0]!;
      const program = graph.compileSync([out, ...graph.gradients(out, [q, k, v], arriving)], on);
      return (await program.run(bound).promise).map(({ data }) => data);
    };
    expect(await run(cudaDevice)).toEqual(await run('cpu'));
  },
);
