import {
  type Attrs,
  between,
  type Exactness,
  f32,
  integers,
  numbers,
  type OpCase,
  type Reference,
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

export const passCases: OpCase[] = [...momentCases, ...filters, ...winograds];
