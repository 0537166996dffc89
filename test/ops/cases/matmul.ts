import { between, decode, eachIndex, f32, integers, type OpCase, positionOf, type Reference, values } from '../case.js';
import { broadcastShape } from './scalar.js';

const swapped = (shape: number[], swap: unknown): number[] => {
  const matrix = shape.slice(-2);
  return [...shape.slice(0, -2), ...(swap ? matrix.reverse() : matrix)];
};

/** Naive loops: batch dimensions broadcast, either side may be stored transposed. */
export const matmul: Reference = ([a, b], { transposeA, transposeB }) => {
  const left = swapped(a!.shape, transposeA);
  const right = swapped(b!.shape, transposeB);
  const [rows, depth] = left.slice(-2) as [number, number];
  const columns = right.at(-1)!;
  const batch = broadcastShape([left.slice(0, -2), right.slice(0, -2)]);
  const out = values([...batch, rows, columns]);
  const size = rows * columns;
  eachIndex(batch, (index, at) => {
    const fromA = positionOf(left.slice(0, -2), index) * rows * depth;
    const fromB = positionOf(right.slice(0, -2), index) * depth * columns;
    for (let i = 0; i < rows; ++i) {
      for (let j = 0; j < columns; ++j) {
        let sum = 0;
        for (let k = 0; k < depth; ++k) {
          const x = a!.data[fromA + (transposeA ? k * rows + i : i * depth + k)]!;
          const y = b!.data[fromB + (transposeB ? j * depth + k : k * columns + j)]!;
          sum += x * y;
        }
        out.data[at * size + i * columns + j] = sum;
      }
    }
  });
  return out;
};

const small = integers(-4, 4);

/** rows x depth x columns around every edge of a register tile and a panel of 16. */
const edges: [number, number, number][] = [
  [1, 1, 1],
  [2, 3, 1],
  [3, 7, 2],
  [7, 8, 9],
  [8, 15, 16],
  [9, 16, 17],
  [6, 17, 32],
  [13, 31, 33],
  [33, 33, 15],
  [16, 2, 49],
  [37, 70, 1],
  [150, 5, 1],
  [5, 1, 48],
];

const plain = [false, true].flatMap((transposeA) =>
  [false, true].flatMap((transposeB) =>
    edges.map(
      ([m, k, n]): OpCase => ({
        op: 'matmul',
        about: `${m} x ${k} x ${n}${transposeA ? ', a transposed' : ''}${transposeB ? ', b transposed' : ''}`,
        inputs: [f32(transposeA ? [k, m] : [m, k], small), f32(transposeB ? [n, k] : [k, n], small)],
        attrs: { transposeA, transposeB },
        reference: matmul,
        exactness: 'exact',
        wrt: [0, 1],
        gradientExactness: 'exact',
        integers: true,
      }),
    ),
  ),
);

const shaped: [string, number[], number[], number[], boolean?][] = [
  ['a batch of rows', [-1, 20], [20, 10], [1, 2, 5, 6, 7, 12, 33]],
  ['one column', [-1, 9], [9, 1], [1, 2, 17]],
  ['rows of three dimensions', [-1, 4, 5], [5, 7], [1, 3]],
  ['a batch of matrices', [-1, 3, 5], [-1, 5, 4], [1, 6]],
  ['a batch of transposed matrices', [-1, 3, 5], [-1, 4, 5], [1, 6], true],
  ['batches broadcast', [-1, 1, 3, 5], [2, 5, 4], [1, 3]],
  ['nothing to sum', [-1, 0], [0, 3], [2]],
  ['the batch is the depth', [5, -1], [-1, 4], [1, 9, 32]],
];

const batched = shaped.map(
  ([about, a, b, rows, transposeB]): OpCase => ({
    op: 'matmul',
    about,
    inputs: [f32(a, small), f32(b, small)],
    attrs: { transposeA: false, transposeB: transposeB ?? false },
    rows,
    reference: matmul,
    exactness: 'exact',
    wrt: [0, 1],
    gradientExactness: 'exact',
    integers: true,
  }),
);

const real = [
  [40, 300, 50],
  [5, 1000, 3],
  [130, 65, 97],
  [40, 300, 1],
  [9, 5000, 1],
].map(
  ([m, k, n]): OpCase => ({
    op: 'matmul',
    about: `real numbers, ${m} x ${k} x ${n}`,
    inputs: [f32([-1, k!], between(-1, 1)), f32([k!, n!], between(-1, 1))],
    attrs: { transposeA: false, transposeB: false },
    rows: decode([m!], 1),
    reference: matmul,
    exactness: { terms: k! },
  }),
);

export const matmulCases: OpCase[] = [...plain, ...batched, ...real];
