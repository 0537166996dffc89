import {
  type Attrs,
  between,
  type Exactness,
  f32,
  integers,
  numbers,
  type OpCase,
  type Reference,
  sizeOf,
  type Values,
  values,
} from '../case.js';
import { conv2d } from './window.js';

// Ops that passes make of others: mean and variance at once, and Winograd's convolutions (see native/cpu/winograd.h).

const moments =
  (part: number): Reference =>
  ([x], attrs) => {
    const shape = x!.shape.slice(numbers(attrs, 'axes').length);
    const out = [values(shape), values(shape)] as const;
    const columns = out[0].data.length;
    const rows = x!.data.length / columns;
    x!.data.forEach((value, i) => {
      out[0].data[i % columns]! += value / rows;
    });
    x!.data.forEach((value, i) => {
      out[1].data[i % columns]! += (value - out[0].data[i % columns]!) ** 2 / rows;
    });
    return out[part]!;
  };

const momentCases: OpCase[] = [
  { about: 'rows', shape: [-1, 24], axes: [0], rows: [1, 3, 129, 1000] },
  { about: 'many rows', shape: [-1, 36], axes: [0], rows: [9000] },
  { about: 'few columns', shape: [-1, 3], axes: [0], rows: [1, 2, 5000] },
  { about: 'images', shape: [-1, 5, 7, 17], axes: [0, 1, 2], rows: [1, 40] },
  { about: 'images, each pixel', shape: [-1, 5, 33], axes: [0], rows: [20] },
  { about: 'wide rows', shape: [-1, 3000], axes: [0], rows: [1, 70] },
].flatMap(({ about, shape, axes, rows }) =>
  ['mean', 'variance'].map(
    (name, part): OpCase => ({
      op: 'moments',
      about: `${name} of ${about}`,
      inputs: [f32(shape, between(1, 3))],
      attrs: { axes },
      part,
      rows,
      reference: moments(part),
      exactness: 'norm',
    }),
  ),
);

/** Of every row: mean, scale and the standardized numbers. */
function standardized(x: Values, { axes, centred, epsilon }: Attrs) {
  const n = sizeOf(x.shape.slice(-Number(axes)));
  return Array.from({ length: x.data.length / n }, (_, row) => {
    const line = Array.from(x.data.subarray(row * n, (row + 1) * n));
    const mean = centred === 0 ? 0 : line.reduce((a, b) => a + b, 0) / n;
    const scale = 1 / Math.sqrt(line.reduce((a, b) => a + (b - mean) ** 2, 0) / n + Number(epsilon ?? 0));
    return { mean, scale, line: line.map((value) => (value - mean) * scale) };
  });
}
const layerNorm =
  (part: number): Reference =>
  ([x, ...weights], attrs) => {
    const rows = standardized(x!, attrs);
    const leading = x!.shape.length - Number(attrs.axes);
    const out = values(part === 0 ? x!.shape : x!.shape.map((size, axis) => (axis < leading ? size : 1)));
    const gamma = attrs.gamma === 1 ? weights[0] : undefined;
    const beta = attrs.beta === 1 ? weights[attrs.gamma as number] : undefined;
    const numbersOf = [
      () => rows.flatMap(({ line }) => line.map((u, i) => u * (gamma?.data[i] ?? 1) + (beta?.data[i] ?? 0))),
      () => rows.map(({ scale }) => scale),
      () => rows.map(({ mean }) => mean),
    ];
    out.data.set(numbersOf[part]!());
    return out;
  };
/** Inputs dy, x, scale, mean (if centred), gamma (if there is one); of rows whatever their mean and scale. */
const layerNormGradient =
  (part: number): Reference =>
  ([dy, x, scale, ...rest], attrs) => {
    const n = sizeOf(x!.shape.slice(-Number(attrs.axes)));
    const mean = attrs.centred === 1 ? rest[0] : undefined;
    const gamma = attrs.gamma === 1 ? rest.at(-1) : undefined;
    const out = values(part === 0 ? x!.shape : x!.shape.slice(-Number(attrs.axes)));
    for (let row = 0; row < x!.data.length / n; row++) {
      const at = Array.from({ length: n }, (_, i) => row * n + i);
      const u = at.map((i) => (x!.data[i]! - (mean?.data[row] ?? 0)) * scale!.data[row]!);
      const g = at.map((i, k) => dy!.data[i]! * (gamma?.data[k] ?? 1));
      const level = mean ? g.reduce((a, b) => a + b, 0) / n : 0;
      const slope = g.reduce((a, b, k) => a + b * u[k]!, 0) / n;
      at.forEach((i, k) => {
        if (part === 0) out.data[i] = scale!.data[row]! * (g[k]! - level - u[k]! * slope);
        else out.data[k]! += dy!.data[i]! * (part === 1 ? u[k]! : 1);
      });
    }
    return out;
  };

const layerNormCases: OpCase[] = [
  { about: 'rows of 33', shape: [-1, 33], axes: 1, centred: 1, gamma: 1, beta: 1, rows: [1, 5, 300] },
  { about: 'rows of 1000', shape: [-1, 1000], axes: 1, centred: 1, gamma: 1, beta: 0, rows: [2, 70] },
  { about: 'rows of 65, not centred', shape: [-1, 3, 65], axes: 1, centred: 0, gamma: 1, beta: 0, rows: [1, 40] },
  { about: 'the last two axes', shape: [-1, 4, 7], axes: 2, centred: 1, gamma: 1, beta: 1, rows: [3, 20] },
  { about: 'rows of 16, not scaled', shape: [-1, 16], axes: 1, centred: 1, gamma: 0, beta: 1, rows: [1, 129, 5000] },
  { about: 'rows of 1026', shape: [-1, 1026], axes: 1, centred: 1, gamma: 1, beta: 1, rows: [3] },
  { about: 'rows of 4100', shape: [-1, 4100], axes: 1, centred: 1, gamma: 1, beta: 1, rows: [2] },
  { about: 'rows of 8200', shape: [-1, 8200], axes: 1, centred: 0, gamma: 1, beta: 1, rows: [2] },
  { about: 'one number a row', shape: [-1, 1], axes: 1, centred: 0, gamma: 1, beta: 1, rows: [4] },
].flatMap(({ about, shape, rows, ...flags }) => {
  const attrs = { ...flags, epsilon: 0.01 };
  const x = f32(shape, between(-3, 5));
  const weight = f32(shape.slice(-flags.axes), between(-2, 2));
  const row = (low: number) =>
    f32(
      shape.map((size, axis) => (axis < shape.length - flags.axes ? size : 1)),
      between(low, 2),
    );
  const forward = ['rows', 'scales', 'means'].slice(0, 2 + flags.centred).map(
    (name, part): OpCase => ({
      op: 'layerNorm',
      about: `${name} of ${about}`,
      inputs: [x, ...Array.from({ length: flags.gamma + flags.beta }, () => weight)],
      attrs,
      part,
      rows,
      reference: layerNorm(part),
      exactness: 'norm',
    }),
  );
  const backward = ['rows', 'gamma', 'beta'].map(
    (name, part): OpCase => ({
      op: 'layerNormGradient',
      about: `gradient of ${name}, ${about}`,
      inputs: [x, x, row(0.5), ...(flags.centred ? [row(-2)] : []), ...(flags.gamma ? [weight] : [])],
      attrs,
      part,
      rows,
      reference: layerNormGradient(part),
      exactness: 'norm',
    }),
  );
  return [...forward, ...backward];
});

const kPanel = 16;
type Matrix = readonly (readonly number[])[];
const G: Matrix = [
  [1, 0, 0],
  [0.5, 0.5, 0.5],
  [0.5, -0.5, 0.5],
  [0, 0, 1],
];
const B: Matrix = [
  [1, 0, -1, 0],
  [0, 1, 1, 0],
  [0, -1, 1, 0],
  [0, 1, 0, -1],
];
const A: Matrix = [
  [1, 1, 1, 0],
  [0, 1, -1, -1],
];
/** left m left^T. */
const around = (left: Matrix, m: (i: number, j: number) => number): number[][] =>
  left.map((a) => left.map((b) => a.reduce((sum, u, i) => b.reduce((row, v, j) => row + u * v * m(i, j), sum), 0)));

/** [panel, point, channel, filter of the panel]; the last panel is filled up with zeros. */
const winogradFilter: Reference = ([w], { transposed }) => {
  const [, , rows, columns] = w!.shape as [number, number, number, number];
  const [channels, filters] = transposed ? [columns, rows] : [rows, columns];
  const tap = (i: number, j: number, c: number, o: number): number =>
    transposed
      ? w!.data[((2 - i) * 3 + 2 - j) * rows * columns + o * columns + c]!
      : w!.data[((i * 3 + j) * rows + c) * columns + o]!;
  const out = values([Math.ceil(filters / kPanel), 16, channels, kPanel]);
  for (let o = 0; o < filters; ++o) {
    for (let c = 0; c < channels; ++c) {
      const points = around(G, (i, j) => tap(i, j, c, o)).flat();
      points.forEach((value, point) => {
        out.data[((Math.floor(o / kPanel) * 16 + point) * channels + c) * kPanel + (o % kPanel)] = value;
      });
    }
  }
  return out;
};

const conv2dWinograd: Reference = ([x, u], attrs) => {
  const [n, h, w, channels] = x!.shape as [number, number, number, number];
  const [top, bottom, left, right] = numbers(attrs, 'padding') as [number, number, number, number];
  const filters = Number(attrs.filters);
  const [oh, ow] = [h + top + bottom - 2, w + left + right - 2];
  const out = values([n, oh, ow, filters]);
  const pixel = (image: number, y: number, column: number, c: number): number =>
    y < 0 || y >= h || column < 0 || column >= w ? 0 : x!.data[((image * h + y) * w + column) * channels + c]!;
  for (let tile = 0; tile < n * oh * ow; ++tile) {
    const [image, y, column] = [Math.floor(tile / (oh * ow)), Math.floor(tile / ow) % oh, tile % ow];
    if (y % 2 || column % 2) continue;
    const seen = Array.from({ length: channels }, (_, c) =>
      around(B, (i, j) => pixel(image, y - top + i, column - left + j, c)).flat(),
    );
    for (let o = 0; o < filters; ++o) {
      const panel = Math.floor(o / kPanel);
      const products = Array.from({ length: 16 }, (_, point) =>
        seen.reduce(
          (sum, points, c) =>
            sum + points[point]! * u!.data[((panel * 16 + point) * channels + c) * kPanel + (o % kPanel)]!,
          0,
        ),
      );
      around(A, (i, j) => products[4 * i + j]!).forEach((row, i) => {
        row.forEach((value, j) => {
          if (y + i < oh && column + j < ow) out.data[((image * oh + y + i) * ow + column + j) * filters + o] = value;
        });
      });
    }
  }
  return out;
};

/** The filter's gradient is linear in x and dy: that of a convolution of x, as channels' images, with dy as the filter. */
const filterGradient: Reference = ([x, dy], attrs) => {
  const turned = (shape: number[], data: Float64Array, axes: number[]) => {
    const out = values(axes.map((axis) => shape[axis]!));
    const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
    out.data.forEach((_, position) => {
      let [rest, from] = [position, 0];
      for (let i = axes.length - 1; i >= 0; --i) {
        from += (rest % out.shape[i]!) * strides[axes[i]!]!;
        rest = Math.floor(rest / out.shape[i]!);
      }
      out.data[position] = data[from]!;
    });
    return out;
  };
  const images = turned(x!.shape, x!.data, [3, 1, 2, 0]);
  const filter = turned(dy!.shape, dy!.data, [1, 2, 0, 3]);
  const found = conv2d([images, filter], { strides: [1, 1], padding: attrs.padding! });
  return turned(found.shape, found.data, [1, 2, 0, 3]);
};

// Small integers, of which quarters are exact, too, so every sum is.
const small = integers(-3, 3);
const winograds = [
  { about: 'same', x: [7, 8, 5], filters: 20, padding: [1, 1, 1, 1], rows: [1, 3] },
  { about: 'valid, odd sizes', x: [5, 7, 17], filters: 16, padding: [0, 0, 0, 0], rows: [2] },
  { about: 'uneven padding', x: [4, 6, 3], filters: 33, padding: [2, 0, 1, 2], rows: [1, 2] },
  { about: 'more tiles than in a block', x: [6, 130, 2], filters: 3, padding: [1, 1, 1, 1], rows: [1] },
].flatMap(({ about, x, filters, padding, rows }): OpCase[] => {
  const [h, w, channels] = x as [number, number, number];
  const [top, bottom, left, right] = padding as [number, number, number, number];
  const dy = [-1, h + top + bottom - 2, w + left + right - 2, filters];
  const attrs: Attrs = { strides: [1, 1], padding };
  const exactness: Exactness = 'exact';
  const shared = { about, rows, exactness };
  return [
    {
      ...shared,
      op: 'conv2dWinograd',
      inputs: [f32([-1, ...x], small), f32([Math.ceil(filters / kPanel), 16, channels, kPanel], small)],
      attrs: { ...attrs, filters },
      reference: conv2dWinograd,
    },
    {
      ...shared,
      op: 'conv2dFilterWinograd',
      inputs: [f32([-1, ...x], small), f32(dy, small)],
      attrs: { ...attrs, shape: [3, 3, channels, filters] },
      reference: filterGradient,
    },
  ];
});

const filters: OpCase[] = [0, 1].flatMap((transposed) =>
  [
    [3, 3, 5, 20],
    [3, 3, 33, 16],
  ].map(
    (shape): OpCase => ({
      op: 'winogradFilter',
      about: `${shape.slice(2)} channels${transposed ? ', backwards' : ''}`,
      inputs: [f32(shape, small)],
      attrs: { transposed },
      reference: winogradFilter,
      exactness: 'exact',
    }),
  ),
);

export const passCases: OpCase[] = [...momentCases, ...layerNormCases, ...filters, ...winograds];
