import {
  between,
  build,
  cycle,
  decode,
  f32,
  i32,
  integers,
  numbers,
  type OpCase,
  type Reference,
  sizeOf,
  values,
} from '../case.js';

// Ops that find rows or make values: gather, oneHot, iota, batchSize.

const fill = integers(-9, 9);

const gather: Reference = ([table, indices]) => {
  const rest = table!.shape.slice(1);
  const size = sizeOf(rest);
  const out = values([...indices!.shape, ...rest]);
  indices!.data.forEach((row, i) => {
    out.data.set(table!.data.subarray(row * size, (row + 1) * size), i * size);
  });
  return out;
};

const oneHot: Reference = ([indices], { depth }) => {
  const out = values([...indices!.shape, Number(depth)]);
  indices!.data.forEach((hot, i) => {
    if (hot >= 0 && hot < Number(depth)) out.data[i * Number(depth) + hot] = 1;
  });
  return out;
};

const lookups: OpCase[] = [
  [[7, 5], [-1], [1, 2, 9, 33]],
  [
    [20, 16],
    [-1, 4],
    [1, 3],
  ],
  [[3], [-1, 2], [5]],
  [[6, 2, 3], [-1], [8]],
  [[2, 33], [-1, 9], [7]],
  // Tables and lists of more than one block; a list in which few ids are frequent.
  [[600, 6], [-1, 5], [500]],
  [[3, 4], [-1, 7], [400]],
].map(([table, indices, sizes]) => ({
  op: 'gather',
  about: `${table!.length} dimensions by ${indices!.length}, rows of ${sizeOf(table!.slice(1))}`,
  inputs: [f32(table!, fill), i32(indices!, integers(0, table![0]! - 1))],
  rows: sizes!,
  reference: gather,
  exactness: 'exact',
  wrt: [0],
  // Sums of integers, repeated ids included.
  gradientExactness: 'exact',
  integers: true,
}));

const made: OpCase[] = [
  {
    op: 'gather',
    about: 'a table of int32',
    inputs: [i32([5, 2], fill), i32([-1], integers(0, 4))],
    rows: [6],
    reference: gather,
    exactness: 'exact',
    output: 'int32',
  },
  {
    op: 'oneHot',
    about: 'every size',
    inputs: [i32([-1], integers(0, 4))],
    attrs: { depth: 5 },
    rows: [1, 8, 17],
    reference: oneHot,
    exactness: 'exact',
  },
  {
    op: 'oneHot',
    about: 'numbers outside give rows of zeros',
    inputs: [i32([-1, 3], cycle([-1, 0, 2, 3, 7]))],
    attrs: { depth: 3 },
    rows: [5],
    reference: oneHot,
    exactness: 'exact',
  },
  {
    op: 'iota',
    about: 'first axis',
    inputs: [],
    attrs: { shape: [4, 3], axis: 0 },
    reference: () => build([4, 3], ([i]) => i!),
    exactness: 'exact',
    output: 'int32',
  },
  {
    op: 'iota',
    about: 'along the batch',
    inputs: [f32([-1], between(0, 1))],
    takes: 0,
    attrs: { shape: [-1, 2], axis: 0 },
    rows: [1, 9],
    reference: (_inputs, attrs) => build(decode(numbers(attrs, 'shape'), 1), ([i]) => i!),
    exactness: 'exact',
    output: 'int32',
  },
  {
    op: 'batchSize',
    about: 'three times the batch',
    inputs: [f32([-1], between(0, 1))],
    takes: 0,
    attrs: { scale: 3 },
    rows: [1, 7],
    reference: ([x]) => values([], [3 * x!.shape[0]!]),
    exactness: 'exact',
    output: 'int32',
  },
];

export const lookupCases: OpCase[] = [...lookups, ...made];
