import {
  type Attrs,
  between,
  distinct,
  type Exactness,
  f32,
  integers,
  numbers,
  type OpCase,
  type Reference,
  values,
} from '../case.js';

// Convolution and pooling by naive loops over NHWC; padding is [top, bottom, left, right].

interface Window {
  kh: number;
  kw: number;
  attrs: Attrs;
}

/** Visits, for each output pixel, the input pixels under the window; those in the padding are left out. */
function slide(
  [n, h, w]: number[],
  { kh, kw, attrs }: Window,
  visit: (at: { image: number; out: number; y: number; x: number; ky: number; kx: number }) => void,
): [number, number] {
  const [sy, sx] = numbers(attrs, 'strides') as [number, number];
  const [dy, dx] = numbers(attrs, 'dilations', [1, 1]) as [number, number];
  const [top, bottom, left, right] = numbers(attrs, 'padding', [0, 0, 0, 0]) as [number, number, number, number];
  const oh = Math.floor((h! + top + bottom - (kh - 1) * dy - 1) / sy) + 1;
  const ow = Math.floor((w! + left + right - (kw - 1) * dx - 1) / sx) + 1;
  for (let image = 0; image < n!; ++image) {
    for (let oy = 0; oy < oh; ++oy) {
      for (let ox = 0; ox < ow; ++ox) {
        for (let ky = 0; ky < kh; ++ky) {
          for (let kx = 0; kx < kw; ++kx) {
            const y = oy * sy - top + ky * dy;
            const x = ox * sx - left + kx * dx;
            if (y < 0 || y >= h! || x < 0 || x >= w!) continue;
            visit({ image, out: (image * oh + oy) * ow + ox, y, x, ky, kx });
          }
        }
      }
    }
  }
  return [oh, ow];
}

const outputs = (shape: number[], window: Window): [number, number] =>
  slide([0, shape[1]!, shape[2]!], window, () => {});

export const conv2d: Reference = ([x, w], attrs) => {
  const [n, h, width, cin] = x!.shape as [number, number, number, number];
  const [kh, kw, perGroup, cout] = w!.shape as [number, number, number, number];
  const window = { kh, kw, attrs };
  const filters = cout / Number(attrs.groups ?? 1);
  const out = values([n, ...outputs(x!.shape, window), cout]);
  slide(x!.shape, window, (at) => {
    const pixel = ((at.image * h + at.y) * width + at.x) * cin;
    const tap = (at.ky * kw + at.kx) * perGroup;
    for (let o = 0; o < cout; ++o) {
      const first = Math.floor(o / filters) * perGroup;
      let sum = 0;
      for (let c = 0; c < perGroup; ++c) sum += x!.data[pixel + first + c]! * w!.data[(tap + c) * cout + o]!;
      out.data[at.out * cout + o]! += sum;
    }
  });
  return out;
};

const pool =
  (start: number, fold: (a: number, b: number) => number, mean: boolean): Reference =>
  ([x], attrs) => {
    const [n, h, w, channels] = x!.shape as [number, number, number, number];
    const [kh, kw] = numbers(attrs, 'size') as [number, number];
    const window = { kh, kw, attrs };
    const out = values([n, ...outputs(x!.shape, window), channels]);
    const counts = out.data.map(() => 0);
    out.data.fill(start);
    slide(x!.shape, window, (at) => {
      for (let c = 0; c < channels; ++c) {
        const to = at.out * channels + c;
        out.data[to] = fold(out.data[to]!, x!.data[((at.image * h + at.y) * w + at.x) * channels + c]!);
        counts[to]! += 1;
      }
    });
    if (mean) for (let i = 0; i < out.data.length; ++i) out.data[i]! /= counts[i]!;
    return out;
  };

const small = integers(-3, 3);
const none = [0, 0, 0, 0];

interface Conv {
  about: string;
  x: number[];
  w: number[];
  strides?: number[];
  dilations?: number[];
  padding?: number[];
  groups?: number;
  rows?: number[];
}

const convolutions: Conv[] = [
  { about: 'one filter over three channels', x: [-1, 6, 5, 3], w: [3, 3, 3, 1], padding: [1, 1, 1, 1] },
  { about: '3 x 3, one channel', x: [-1, 7, 8, 1], w: [3, 3, 1, 4], rows: [1, 2, 5] },
  { about: '3 x 3, same', x: [-1, 6, 6, 3], w: [3, 3, 3, 16], padding: [1, 1, 1, 1], rows: [1, 3] },
  { about: '1 x 1', x: [-1, 5, 4, 17], w: [1, 1, 17, 9], rows: [1, 2] },
  { about: '1 x 1 with strides', x: [-1, 5, 7, 8], w: [1, 1, 8, 3], strides: [2, 3] },
  { about: 'strides, uneven padding', x: [-1, 9, 10, 2], w: [3, 4, 2, 5], strides: [2, 3], padding: [0, 1, 1, 2] },
  { about: 'dilation', x: [-1, 9, 9, 2], w: [3, 3, 2, 3], dilations: [2, 3], padding: [2, 2, 3, 3] },
  { about: 'dilation and strides', x: [-1, 11, 12, 3], w: [2, 3, 3, 4], dilations: [3, 2], strides: [2, 2] },
  { about: 'two groups', x: [-1, 5, 5, 6], w: [3, 3, 3, 8], groups: 2, padding: [1, 1, 1, 1] },
  { about: 'three groups of odd size', x: [-1, 4, 5, 9], w: [2, 2, 3, 15], groups: 3, strides: [1, 2] },
  { about: 'depthwise', x: [-1, 6, 5, 7], w: [3, 3, 1, 7], groups: 7, padding: [1, 1, 1, 1], rows: [1, 2] },
  { about: 'depthwise, multiplier 2, strides', x: [-1, 7, 7, 9], w: [3, 3, 1, 18], groups: 9, strides: [2, 2] },
  { about: 'depthwise, more than a vector', x: [-1, 6, 9, 27], w: [3, 5, 1, 27], groups: 27, padding: [1, 1, 2, 2] },
  {
    about: 'depthwise, multiplier 3, same',
    x: [-1, 9, 6, 4],
    w: [3, 3, 1, 12],
    groups: 4,
    padding: [1, 1, 1, 1],
    rows: [1, 3],
  },
  {
    about: 'depthwise, multiplier 2, dilation',
    x: [-1, 9, 11, 3],
    w: [3, 2, 1, 6],
    groups: 3,
    dilations: [2, 3],
    padding: [2, 2, 0, 3],
  },
  { about: 'depthwise, fours', x: [-1, 5, 11, 8], w: [3, 3, 1, 8], groups: 8, padding: [1, 1, 1, 1], rows: [1, 3] },
  {
    about: 'depthwise, fours, strides and more taps than a run',
    x: [-1, 9, 13, 12],
    w: [2, 5, 1, 12],
    groups: 12,
    strides: [2, 3],
    padding: [0, 1, 2, 2],
  },
  {
    about: 'depthwise, fours, dilation, tiles of channels',
    x: [-1, 7, 9, 140],
    w: [3, 2, 1, 140],
    groups: 140,
    dilations: [2, 3],
    padding: [2, 1, 0, 3],
  },
  { about: 'depthwise, a multiplier for one window', x: [-1, 5, 4, 2], w: [5, 4, 1, 10], groups: 2 },
  { about: 'groups of 4', x: [-1, 7, 6, 16], w: [3, 3, 4, 16], groups: 4, padding: [1, 1, 1, 1], rows: [1, 3] },
  {
    about: 'groups of 3 to 5, strides',
    x: [-1, 9, 8, 6],
    w: [3, 2, 3, 10],
    groups: 2,
    strides: [2, 3],
    padding: [0, 2, 1, 0],
  },
  {
    about: 'groups of 2 to 1',
    x: [-1, 6, 7, 34],
    w: [3, 3, 2, 17],
    groups: 17,
    strides: [3, 1],
    padding: [2, 0, 0, 0],
  },
  {
    about: 'groups of 4, wide rows of many blocks',
    x: [-1, 9, 24, 16],
    w: [3, 3, 4, 32],
    groups: 4,
    padding: [1, 1, 1, 1],
  },
  { about: 'groups of 3, dilation', x: [-1, 8, 7, 6], w: [2, 2, 3, 6], groups: 2, dilations: [2, 3] },
  { about: 'many filters', x: [-1, 5, 5, 4], w: [3, 3, 4, 49], rows: [2] },
  { about: 'many channels', x: [-1, 4, 4, 33], w: [3, 3, 33, 2], rows: [2] },
  { about: 'as many as Winograd takes', x: [-1, 7, 8, 32], w: [3, 3, 32, 40], padding: [1, 1, 1, 1], rows: [1, 3] },
  { about: 'as many, odd, uneven padding', x: [-1, 7, 9, 33], w: [3, 3, 33, 32], padding: [0, 1, 0, 2] },
  { about: 'a window as large as the image', x: [-1, 5, 6, 3], w: [5, 6, 3, 10] },
  { about: 'a line, as Conv1D', x: [-1, 1, 17, 5], w: [1, 5, 5, 8], rows: [1, 4] },
  { about: 'tall filter, no overlap', x: [-1, 8, 3, 2], w: [4, 1, 2, 3], strides: [4, 1] },
];

const convCase = (c: Conv, fill = small, exactness: Exactness = 'exact'): OpCase => ({
  op: 'conv2d',
  about: c.about,
  inputs: [f32(c.x, fill), f32(c.w, fill)],
  attrs: {
    strides: c.strides ?? [1, 1],
    dilations: c.dilations ?? [1, 1],
    padding: c.padding ?? none,
    groups: c.groups ?? 1,
  },
  rows: c.rows ?? [2],
  reference: conv2d,
  exactness,
  wrt: exactness === 'exact' ? [0, 1] : [],
  gradientExactness: 'exact',
  integers: true,
});

const real = between(-1, 1);
const realConvolutions = [
  convCase({ about: 'real numbers', x: [-1, 8, 8, 20], w: [3, 3, 20, 30], padding: [1, 1, 1, 1] }, real, {
    terms: 180,
  }),
  convCase(
    { about: 'real numbers, Winograd', x: [-1, 8, 9, 64], w: [3, 3, 64, 34], padding: [1, 1, 1, 1] },
    real,
    'norm',
  ),
  convCase({ about: 'real numbers, 5 x 5', x: [-1, 12, 12, 1], w: [5, 5, 1, 6] }, real, { terms: 25 }),
];

const pools: Conv[] = [
  { about: '2 x 2', x: [-1, 6, 8, 3], w: [2, 2], strides: [2, 2], rows: [1, 3] },
  { about: '2 x 2, a remainder is dropped', x: [-1, 5, 7, 17], w: [2, 2], strides: [2, 2] },
  { about: '3 x 3 overlapping, same', x: [-1, 6, 5, 4], w: [3, 3], strides: [2, 2], padding: [1, 1, 1, 1] },
  { about: 'uneven window and padding', x: [-1, 7, 6, 9], w: [3, 2], strides: [1, 3], padding: [0, 2, 1, 0] },
  { about: 'stride over gaps', x: [-1, 9, 9, 1], w: [2, 2], strides: [3, 4] },
  { about: 'the whole image', x: [-1, 4, 5, 8], w: [4, 5], strides: [1, 1] },
  { about: 'a large window', x: [-1, 20, 18, 2], w: [18, 17], strides: [1, 1] },
];

const pooling = pools.flatMap(({ about, x, w, strides, padding, rows }): OpCase[] => {
  const shared = {
    about,
    attrs: { size: w, strides: strides!, padding: padding ?? none },
    rows: rows ?? [2],
    wrt: [0],
    integers: true,
  };
  return [
    {
      ...shared,
      op: 'maxPool',
      inputs: [f32(x, distinct)],
      reference: pool(Number.NEGATIVE_INFINITY, Math.max, false),
      exactness: 'exact',
      gradientExactness: 'exact',
    },
    {
      ...shared,
      op: 'avgPool',
      // An exact sum times a rounded reciprocal: two roundings.
      inputs: [f32(x, integers(-8, 8))],
      reference: pool(0, (a, b) => a + b, true),
      exactness: { ulps: 1.5 },
      gradientExactness: 'norm',
    },
  ];
});

export const windowCases: OpCase[] = [...convolutions.map((c) => convCase(c)), ...realConvolutions, ...pooling];
