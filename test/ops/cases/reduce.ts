import {
  type Attrs,
  awayFromZero,
  between,
  bits,
  bool,
  distinct,
  type Exactness,
  eachIndex,
  type Fill,
  f32,
  i32,
  integers,
  numbers,
  type OpCase,
  type Reference,
  sizeOf,
  type Values,
  values,
} from '../case.js';

// Reductions, argmax and argmin, cumulative sums, softmax: everything that runs along axes.

/** Groups the elements by their position in the output; fold turns each group into a number. */
function reduction(fold: (group: number[]) => number): Reference {
  return ([x], attrs) => {
    const axes = new Set(numbers(attrs, 'axes', attrs.axis === undefined ? [] : [Number(attrs.axis)]));
    const full = x!.shape.map((size, axis) => (axes.has(axis) ? 1 : size));
    const groups = Array.from({ length: sizeOf(full) }, (): number[] => []);
    eachIndex(x!.shape, (index, position) => {
      const out = full.reduce((at, size, axis) => at * size + (size === 1 ? 0 : index[axis]!), 0);
      groups[out]!.push(x!.data[position]!);
    });
    return values(attrs.keepDims ? full : full.filter((_, axis) => !axes.has(axis)), groups.map(fold));
  };
}

const sum = (group: number[]): number => group.reduce((a, b) => a + b, 0);
const folds: Record<string, (group: number[]) => number> = {
  reduceSum: sum,
  reduceMean: (group) => sum(group) / group.length,
  reduceMax: (group) => Math.max(...group),
  reduceMin: (group) => Math.min(...group),
  reduceProd: (group) => group.reduce((a, b) => a * b, 1),
  reduceAny: (group) => Number(group.some(Boolean)),
  reduceAll: (group) => Number(group.every(Boolean)),
  argmax: (group) => group.indexOf(Math.max(...group)),
  argmin: (group) => group.indexOf(Math.min(...group)),
};

const shapes: { about: string; shape: number[]; axes: number[]; rows?: number[]; keepDims?: boolean }[] = [
  { about: 'all of a vector', shape: [-1], axes: [0], rows: [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 1000] },
  { about: 'rows', shape: [-1, 33], axes: [1], rows: [1, 2, 17] },
  { about: 'short rows, kept', shape: [-1, 3], axes: [1], rows: [1, 31], keepDims: true },
  { about: 'columns', shape: [-1, 9], axes: [0], rows: [1, 2, 15, 16, 33] },
  { about: 'columns, kept', shape: [-1, 17], axes: [0], rows: [7], keepDims: true },
  { about: 'the middle', shape: [-1, 5, 6], axes: [1], rows: [1, 3] },
  { about: 'inner two', shape: [-1, 4, 7], axes: [1, 2], rows: [1, 5] },
  { about: 'outer two, as a batch norm', shape: [-1, 3, 3, 8], axes: [0, 1, 2], rows: [1, 4] },
  { about: 'not neighbours', shape: [-1, 3, 5], axes: [0, 2], rows: [2, 9] },
  { about: 'everything', shape: [-1, 3, 2], axes: [0, 1, 2], rows: [1, 11], keepDims: true },
  { about: 'no axis', shape: [-1, 3], axes: [], rows: [4] },
  // More than one block of threads on a device, and few results of many elements.
  { about: 'a long vector', shape: [-1], axes: [0], rows: [20_000] },
  { about: 'long rows', shape: [-1, 3000], axes: [1], rows: [2] },
  { about: 'many rows of few columns', shape: [-1, 5], axes: [0], rows: [3000] },
  { about: 'many rows of blocks of columns', shape: [-1, 70], axes: [0], rows: [600] },
  { about: 'many rows of columns in fours', shape: [-1, 136], axes: [0], rows: [1200] },
  { about: 'planes of rows of columns in fours', shape: [-1, 70, 8], axes: [1], rows: [3] },
];

const exactFill = integers(-8, 8);
/** One to four, so that products of few elements stay exact; long products are not tried. */
const factors: Fill = (random) => (random() < 0.3 ? 2 : random() < 0.5 ? -1 : 1);

const fills: Record<string, { fill: Fill; exactness: Exactness; gradient?: Exactness }> = {
  reduceSum: { fill: exactFill, exactness: 'exact', gradient: 'exact' },
  reduceMax: { fill: distinct, exactness: 'exact', gradient: 'exact' },
  reduceMin: { fill: distinct, exactness: 'exact', gradient: 'exact' },
  // An exact sum and one division.
  reduceMean: { fill: exactFill, exactness: 'exact', gradient: 'norm' },
};

const floats = Object.entries(fills).flatMap(([op, { fill, exactness, gradient }]) =>
  shapes.map(
    ({ about, shape, axes, rows, keepDims }): OpCase => ({
      op,
      about,
      inputs: [f32(shape, fill)],
      attrs: { axes, keepDims: keepDims ?? false },
      ...(rows ? { rows } : {}),
      reference: reduction(folds[op]!),
      exactness,
      wrt: [0],
      ...(gradient ? { gradientExactness: gradient } : {}),
      integers: true,
    }),
  ),
);

const products: OpCase[] = [
  { shape: [-1, 5], axes: [1], about: 'rows' },
  { shape: [-1, 3, 4], axes: [0, 2], about: 'not neighbours' },
  { shape: [-1], axes: [0], about: 'a vector' },
].map(({ shape, axes, about }) => ({
  op: 'reduceProd',
  about,
  inputs: [f32(shape, factors)],
  attrs: { axes, keepDims: false },
  rows: [1, 4],
  reference: reduction(folds.reduceProd!),
  exactness: 'exact',
  wrt: [0],
  gradientExactness: 'exact',
  integers: true,
}));

const real: OpCase[] = ['reduceSum', 'reduceMean'].flatMap((op) =>
  [
    { shape: [-1], axes: [0], rows: [1000, 20_000], terms: 20_000 },
    { shape: [-1, 130], axes: [1], rows: [3], terms: 130 },
    { shape: [-1, 20], axes: [0], rows: [3000], terms: 3000 },
  ].map(({ shape, axes, rows, terms }) => ({
    op,
    about: `real numbers, axes ${axes} of ${shape.length} dimensions`,
    inputs: [f32(shape, between(-1, 1))],
    attrs: { axes, keepDims: false },
    rows,
    reference: reduction(folds[op]!),
    exactness: { terms: terms + 2 },
  })),
);

const logic: OpCase[] = ['reduceAny', 'reduceAll'].flatMap((op) =>
  [
    { shape: [-1], axes: [0], rows: [1, 2, 17] },
    { shape: [-1, 3], axes: [1], rows: [1, 16] },
    { shape: [-1, 2, 3], axes: [0, 2], rows: [3] },
    { shape: [-1, 40], axes: [0], rows: [50] },
    { shape: [2, -1], axes: [1], rows: [3000] },
  ].map(({ shape, axes, rows }) => ({
    op,
    about: `axes ${axes} of ${shape.length} dimensions, ${rows.at(-1)} of N`,
    inputs: [bool(shape, bits)],
    attrs: { axes, keepDims: false },
    rows,
    reference: reduction(folds[op]!),
    exactness: 'exact',
    output: 'bool',
  })),
);

const wholeNumbers: OpCase[] = ['reduceSum', 'reduceMax', 'reduceMin', 'reduceProd'].map((op) => ({
  op,
  about: 'int32',
  inputs: [i32([-1, 4], integers(-9, 9))],
  attrs: { axes: [1], keepDims: true },
  rows: [1, 9],
  reference: reduction(folds[op]!),
  exactness: 'exact',
  output: 'int32',
}));

const extremes: OpCase[] = ['argmax', 'argmin'].flatMap((op) => [
  ...[
    { shape: [-1], axis: 0, rows: [1, 2, 7, 8, 9, 16, 17, 33] },
    { shape: [-1, 10], axis: 1, rows: [1, 15] },
    { shape: [-1, 9], axis: 0, rows: [1, 2, 31] },
    { shape: [-1, 3, 17], axis: 1, rows: [2] },
    { shape: [3, -1], axis: 1, rows: [300, 5000] },
    { shape: [2, -1, 37], axis: 1, rows: [70] },
  ].map(
    ({ shape, axis, rows }): OpCase => ({
      op,
      about: `axis ${axis} of ${shape.length} dimensions, ${rows.at(-1)} of N`,
      inputs: [f32(shape, distinct)],
      attrs: { axis, keepDims: axis === 1 },
      rows,
      reference: reduction(folds[op]!),
      exactness: 'exact',
      output: 'int32',
    }),
  ),
  {
    op,
    about: 'the first of several',
    inputs: [f32([-1, 20], integers(0, 3))],
    attrs: { axis: 1, keepDims: false },
    rows: [9],
    reference: reduction(folds[op]!),
    exactness: 'exact',
    output: 'int32',
  },
]);

export const reduceCases: OpCase[] = [...floats, ...products, ...real, ...logic, ...wholeNumbers, ...extremes];

/** A sum of nothing is legal; a batch of nothing is not, so the axis has a fixed size. */
export const emptyCases: OpCase[] = [
  ['reduceSum', 0],
  ['reduceProd', 1],
].map(([op, result]) => ({
  op: op as string,
  about: 'an empty axis',
  inputs: [f32([0, 4], awayFromZero(1, 2))],
  attrs: { axes: [0], keepDims: false } as Attrs,
  reference: (): Values => values([4], [result, result, result, result] as number[]),
  exactness: 'exact',
}));
