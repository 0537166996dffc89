import { between, f32, type OpCase, type Reference, sizeOf, type Values, values } from '../case.js';

// Rows over the last axes to mean 0 and mean square 1: the core of layer and RMS normalization.

/** Mean and scale of every row, and the standardized rows. */
const rows = (x: Values, attrs: Record<string, unknown>) => {
  const n = sizeOf(x.shape.slice(-Number(attrs.axes)));
  return Array.from({ length: x.data.length / n }, (_, row) => {
    const line = Array.from(x.data.subarray(row * n, (row + 1) * n));
    const mean = attrs.centred === 0 ? 0 : line.reduce((a, b) => a + b, 0) / n;
    const scale = 1 / Math.sqrt(line.reduce((a, b) => a + (b - mean) ** 2, 0) / n + Number(attrs.epsilon));
    return { scale, line: line.map((value) => (value - mean) * scale) };
  });
};
const standardized: Reference = ([x], attrs) => {
  const out = values(x!.shape);
  out.data.set(rows(x!, attrs).flatMap(({ line }) => line));
  return out;
};
const scales: Reference = ([x], attrs) => {
  const at = x!.shape.length - Number(attrs.axes);
  const out = values(x!.shape.map((size, axis) => (axis < at ? size : 1)));
  out.data.set(rows(x!, attrs).map(({ scale }) => scale));
  return out;
};

export const standardizeCases: OpCase[] = [
  { about: 'rows of 10', shape: [-1, 10], axes: 1, centred: 1, batches: [1, 3, 17] },
  { about: 'rows of 33, not centred', shape: [-1, 33], axes: 1, centred: 0, batches: [2] },
  { about: 'the last two of three axes', shape: [-1, 3, 7], axes: 2, centred: 1, batches: [1, 4] },
  { about: 'rows within a matrix', shape: [-1, 2, 65], axes: 1, centred: 1, batches: [2] },
  { about: 'one number a row', shape: [-1, 1], axes: 1, centred: 0, batches: [4] },
  // As many as fit into the registers of a warp, of a block, and more.
  { about: 'rows of 300', shape: [-1, 300], axes: 1, centred: 1, batches: [9] },
  { about: 'rows of 1001', shape: [-1, 1001], axes: 1, centred: 1, batches: [9] },
  { about: 'rows of 1500, not centred', shape: [-1, 1500], axes: 1, centred: 0, batches: [2] },
  { about: 'rows of 9001', shape: [-1, 9001], axes: 1, centred: 1, batches: [2] },
].flatMap(({ about, shape, axes, centred, batches }): OpCase[] => {
  const shared = {
    op: 'standardize',
    inputs: [f32(shape, between(-3, 5))],
    attrs: { axes, centred, epsilon: 0.01 },
    rows: batches,
    exactness: 'norm' as const,
    wrt: [0],
    gradientExactness: 'norm' as const,
  };
  return [
    { ...shared, about, reference: standardized },
    { ...shared, about: `${about}, the factors`, part: 1, reference: scales },
  ];
});
