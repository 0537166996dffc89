import { between, type Fill, f32, type OpCase, type Reference, type Values, values } from '../case.js';

// Equations and factorisations of small matrices, by the plainest formulas there are.

type Matrix = number[][];

const matricesOf = ({ data, shape }: Values): Matrix[] => {
  const [rows, columns] = shape.slice(-2) as [number, number];
  return Array.from({ length: data.length / (rows * columns) }, (_, m) =>
    Array.from({ length: rows }, (_, i) =>
      Array.from(data.slice((m * rows + i) * columns, (m * rows + i + 1) * columns)),
    ),
  );
};

const minor = (a: Matrix, row: number, column: number): Matrix =>
  a.filter((_, i) => i !== row).map((line) => line.filter((_, j) => j !== column));

/** By the first row. */
const determinant = (a: Matrix): number =>
  a.length === 0 ? 1 : a[0]!.reduce((sum, x, j) => sum + (j % 2 ? -1 : 1) * x * determinant(minor(a, 0, j)), 0);

/** Cramer's rule. */
const inverse = (a: Matrix): Matrix =>
  a.map((_, i) => a.map((_, j) => ((i + j) % 2 ? -1 : 1) * (determinant(minor(a, j, i)) / determinant(a))));

const product = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((sum, x, k) => sum + x * b[k]![j]!, 0)));

const each =
  (fn: (...matrices: Matrix[]) => number[], shape: (inputs: Values[]) => number[]): Reference =>
  (inputs) => {
    const lists = inputs.map(matricesOf);
    return values(
      shape(inputs),
      lists[0]!.flatMap((_, m) => fn(...lists.map((list) => list[m]!))),
    );
  };

const lower = (a: Matrix): Matrix => {
  const l = a.map((row) => row.map(() => 0));
  for (let j = 0; j < a.length; j++)
    for (let i = j; i < a.length; i++) {
      const rest = a[i]![j]! - l[i]!.slice(0, j).reduce((sum, x, k) => sum + x * l[j]![k]!, 0);
      l[i]![j] = i === j ? Math.sqrt(rest) : rest / l[j]![j]!;
    }
  return l;
};

/** Gram-Schmidt; the first element of each column decides its sign, as reflections do. */
const orthonormal = (a: Matrix): Matrix => {
  const columns: number[][] = [];
  const signs: number[] = [];
  let work = a.map((row) => [...row]);
  for (let j = 0; j < a[0]!.length; j++) {
    let own = a.map((row) => row[j]!);
    for (const other of columns) {
      const dot = own.reduce((sum, x, i) => sum + x * other[i]!, 0);
      own = own.map((x, i) => x - dot * other[i]!);
    }
    const norm = Math.hypot(...own);
    // Reflect what is left of the matrix to see the element that decides.
    const column = work.slice(j).map((row) => row[j]!);
    const beta = (column[0]! >= 0 ? -1 : 1) * Math.hypot(...column);
    signs.push(Math.sign(beta));
    const v = column.map((x, i) => (i === 0 ? x - beta : x));
    const vv = v.reduce((sum, x) => sum + x * x, 0);
    work = work.map((row, r) =>
      r < j
        ? row
        : row.map((x, c) => x - (2 * v[r - j]! * v.reduce((sum, y, i) => sum + y * work[i + j]![c]!, 0)) / vv),
    );
    const first = own.map((x) => x / norm);
    // R's diagonal is ±norm, and a = q · r.
    columns.push(first);
  }
  return a.map((_, i) => columns.map((column, j) => column[i]! * signs[j]!));
};

/** The two singular values of a matrix with two columns. */
const singular = (a: Matrix): number[] => {
  const [p, q, r] = [
    a.reduce((sum, [x]) => sum + x! * x!, 0),
    a.reduce((sum, [x, y]) => sum + x! * y!, 0),
    a.reduce((sum, [, y]) => sum + y! * y!, 0),
  ];
  const root = Math.sqrt(((p - r) / 2) ** 2 + q * q);
  return [Math.sqrt((p + r) / 2 + root), Math.sqrt((p + r) / 2 - root)];
};

/** Far from singular: the diagonal outweighs the rest. */
const dominant =
  (n: number): Fill =>
  (random, index) =>
    Math.fround((index % (n * n)) % (n + 1) === 0 ? 3 + random() : random() - 0.5);
/** Symmetric positive definite. */
const definite =
  (n: number): Fill =>
  (_random, index) => {
    const [i, j] = [Math.floor((index % (n * n)) / n), index % n];
    return i === j ? 3 + i / 4 : Math.fround(Math.sin(i + j + Math.floor(index / (n * n))) / 2);
  };

const same = ([a]: Values[]): number[] => a!.shape;
const solve = each(
  (a, b) => product(inverse(a!), b!).flat(),
  ([, b]) => b!.shape,
);

export const decomposeCases: OpCase[] = [
  {
    op: 'solve',
    about: 'two right sides',
    inputs: [f32([-1, 3, 3], dominant(3)), f32([-1, 3, 2], between(-2, 2))],
    reference: solve,
    wrt: [0, 1],
  },
  {
    op: 'solve',
    about: 'one matrix',
    inputs: [f32([4, 4], dominant(4)), f32([4, 1], between(-2, 2))],
    reference: solve,
    wrt: [0, 1],
  },
  {
    op: 'solve',
    about: 'rows must be exchanged',
    inputs: [f32([2, 2], (_r, i) => [0, 2, 3, 1][i]!), f32([2, 2], between(-2, 2))],
    reference: solve,
    wrt: [0, 1],
  },
  {
    op: 'inverse',
    about: '3 x 3',
    inputs: [f32([-1, 3, 3], dominant(3))],
    reference: each((a) => inverse(a!).flat(), same),
    wrt: [0],
  },
  {
    op: 'determinant',
    about: '4 x 4',
    inputs: [f32([-1, 4, 4], dominant(4))],
    reference: each(
      (a) => [determinant(a!)],
      ([a]) => a!.shape.slice(0, -2),
    ),
    wrt: [0],
  },
  {
    op: 'determinant',
    about: 'a singular matrix',
    inputs: [f32([2, 2], (_r, i) => [1, 2, 2, 4][i]!)],
    reference: each(
      (a) => [determinant(a!)],
      () => [],
    ),
  },
  {
    op: 'cholesky',
    about: '3 x 3',
    inputs: [f32([-1, 3, 3], definite(3))],
    reference: each((a) => lower(a!).flat(), same),
  },
  {
    op: 'qr',
    about: 'tall',
    inputs: [f32([-1, 4, 3], between(-2, 2))],
    reference: each((a) => orthonormal(a!).flat(), same),
  },
  {
    op: 'svd',
    about: 'the values, tall',
    inputs: [f32([-1, 5, 2], between(-2, 2))],
    reference: each(singular, ([a]) => [...a!.shape.slice(0, -2), 2]),
  },
  {
    op: 'svd',
    about: 'the values, wide',
    inputs: [f32([-1, 2, 3], between(-2, 2))],
    reference: each(
      (a) => singular(a![0]!.map((_, j) => a!.map((row) => row[j]!))),
      ([a]) => [...a!.shape.slice(0, -2), 2],
    ),
  },
].map((row): OpCase => ({ rows: [1, 3], ...row, exactness: 'norm', gradientExactness: 'norm' }) as OpCase);
