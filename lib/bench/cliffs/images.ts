import * as layers from '../../layers/index.js';
import type { Family, Point } from './point.js';
import { channels, point } from './sizes.js';

interface Windows {
  label: string;
  side?: number;
  from?: number;
  to?: number;
  kernel?: number;
  strides?: number;
  dilationRate?: number;
  groups?: number;
}
function conv2d({
  label,
  side = 16,
  from = 32,
  to = 32,
  kernel = 3,
  strides = 1,
  dilationRate = 1,
  groups = 1,
}: Windows): Point {
  const out = Math.ceil(side / strides) ** 2;
  return point({
    label,
    input: [side, side, from],
    output: out * to,
    weights: (kernel ** 2 * from * to) / groups,
    flopPerRow: (2 * out * kernel ** 2 * from * to) / groups,
    make: () => layers.conv2d({ filters: to, kernelSize: kernel, strides, dilationRate, groups, padding: 'same' }),
  });
}
function depthwise(label: string, from: number, kernel = 3, depthMultiplier = 1, strides = 1, dilationRate = 1): Point {
  const side = 24;
  const out = Math.ceil(side / strides) ** 2;
  return point({
    label,
    input: [side, side, from],
    output: out * from * depthMultiplier,
    weights: kernel ** 2 * from * depthMultiplier,
    flopPerRow: 2 * out * kernel ** 2 * from * depthMultiplier,
    make: () => layers.depthwiseConv2d({ kernelSize: kernel, depthMultiplier, strides, dilationRate, padding: 'same' }),
  });
}

export const convFamilies: Family[] = [
  { name: 'conv2d 3x3, 32 to', trains: true, points: channels.map((n) => conv2d({ label: `${n}`, to: n })) },
  { name: 'conv2d 3x3, to 32 from', trains: true, points: channels.map((n) => conv2d({ label: `${n}`, from: n })) },
  { name: 'conv2d 3x3, both', trains: true, points: channels.map((n) => conv2d({ label: `${n}`, from: n, to: n })) },
  {
    name: 'conv2d 1x1, both',
    trains: true,
    points: channels.map((n) => conv2d({ label: `${n}`, kernel: 1, from: n, to: n })),
  },
  {
    name: 'conv2d 32, window',
    trains: true,
    points: [1, 2, 3, 4, 5, 7].map((n) => conv2d({ label: `${n}`, kernel: n })),
  },
  {
    name: 'conv2d 3 to 32, window',
    trains: true,
    points: [1, 2, 3, 4, 5, 7].map((n) => conv2d({ label: `${n}`, kernel: n, from: 3 })),
  },
  { name: 'conv2d 3x3, strides', trains: true, points: [1, 2, 3].map((n) => conv2d({ label: `${n}`, strides: n })) },
  {
    name: 'conv2d 1x1, strides',
    trains: true,
    points: [1, 2, 3].map((n) => conv2d({ label: `${n}`, strides: n, kernel: 1 })),
  },
  {
    name: 'conv2d 3x3, dilation',
    trains: true,
    points: [1, 2, 3].map((n) => conv2d({ label: `${n}`, dilationRate: n })),
  },
  {
    name: 'conv2d 3x3 of 64, groups',
    trains: true,
    points: [1, 2, 4, 8, 16, 32].map((n) => conv2d({ label: `${n}`, groups: n, from: 64, to: 64 })),
  },
  {
    name: 'conv2d 3x3, side',
    trains: true,
    points: [1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 28, 32, 56].map((n) => conv2d({ label: `${n}`, side: n })),
  },
  { name: 'depthwise 3x3', trains: true, points: channels.map((n) => depthwise(`${n}`, n)) },
  { name: 'depthwise 3x3, strides 2', trains: true, points: channels.map((n) => depthwise(`${n}`, n, 3, 1, 2)) },
  { name: 'depthwise of 32, window', trains: true, points: [2, 3, 4, 5, 7].map((n) => depthwise(`${n}`, 32, n)) },
  {
    name: 'depthwise of 32, multiplier',
    trains: true,
    points: [1, 2, 3, 4, 8].map((n) => depthwise(`${n}`, 32, 3, n)),
  },
  { name: 'depthwise of 3, multiplier', trains: true, points: [1, 2, 3, 4, 8].map((n) => depthwise(`${n}`, 3, 3, n)) },
  { name: 'depthwise of 32, dilation', trains: true, points: [1, 2, 3].map((n) => depthwise(`${n}`, 32, 3, 1, 1, n)) },
  {
    name: 'conv1d of 32, window',
    trains: true,
    points: [1, 2, 3, 5, 7, 9].map((n) =>
      point({
        label: `${n}`,
        input: [128, 32],
        output: 128 * 32,
        weights: n * 32 * 32,
        flopPerRow: 2 * 128 * n * 32 * 32,
        make: () => layers.conv1d({ filters: 32, kernelSize: n, padding: 'same' }),
      }),
    ),
  },
  {
    name: 'conv1d of 3, both',
    trains: true,
    points: channels.map((n) =>
      point({
        label: `${n}`,
        input: [128, n],
        output: 128 * n,
        weights: 3 * n * n,
        flopPerRow: 2 * 128 * 3 * n * n,
        make: () => layers.conv1d({ filters: n, kernelSize: 3, padding: 'same' }),
      }),
    ),
  },
  {
    name: 'conv3d 3x3x3, both',
    trains: true,
    points: [1, 3, 4, 8, 16, 17, 24, 32].map((n) =>
      point({
        label: `${n}`,
        input: [8, 8, 8, n],
        output: 8 ** 3 * n,
        weights: 27 * n * n,
        flopPerRow: 2 * 8 ** 3 * 27 * n * n,
        make: () => layers.conv3d({ filters: n, kernelSize: 3, padding: 'same' }),
      }),
    ),
  },
  {
    name: 'conv2dTranspose of 32, strides 2, window',
    trains: true,
    points: [2, 3, 4, 5].map((n) =>
      point({
        label: `${n}`,
        input: [16, 16, 32],
        output: 32 * 32 * 32,
        weights: n * n * 32 * 32,
        flopPerRow: 2 * 16 * 16 * n * n * 32 * 32,
        make: () => layers.conv2dTranspose({ filters: 32, kernelSize: n, strides: 2, padding: 'same' }),
      }),
    ),
  },
  {
    name: 'conv2dTranspose 4x4, strides 2, both',
    trains: true,
    points: channels.map((n) =>
      point({
        label: `${n}`,
        input: [16, 16, n],
        output: 32 * 32 * n,
        weights: 16 * n * n,
        flopPerRow: 2 * 16 * 16 * 16 * n * n,
        make: () => layers.conv2dTranspose({ filters: n, kernelSize: 4, strides: 2, padding: 'same' }),
      }),
    ),
  },
  {
    name: 'separableConv2d 3x3, both',
    trains: true,
    points: channels.map((n) =>
      point({
        label: `${n}`,
        input: [24, 24, n],
        output: 24 * 24 * n,
        weights: 9 * n + n * n,
        flopPerRow: 2 * 24 * 24 * (9 * n + n * n),
        make: () => layers.separableConv2d({ filters: n, kernelSize: 3, padding: 'same' }),
      }),
    ),
  },
];

const pool = (kind: 'max' | 'average', label: string, n: number, poolSize: number, strides: number): Point => {
  const out = Math.floor((24 - poolSize) / strides) + 1;
  const make = kind === 'max' ? layers.maxPooling2d : layers.averagePooling2d;
  return point({ label, input: [24, 24, n], output: out * out * n, make: () => make({ poolSize, strides }) });
};
export const poolFamilies: Family[] = (['max', 'average'] as const).flatMap((kind) => [
  { name: `${kind} pool 2x2`, trains: true, points: channels.map((n) => pool(kind, `${n}`, n, 2, 2)) },
  { name: `${kind} pool 3x3, strides 2`, trains: true, points: channels.map((n) => pool(kind, `${n}`, n, 3, 2)) },
  { name: `${kind} pool 3x3, strides 1`, trains: true, points: channels.map((n) => pool(kind, `${n}`, n, 3, 1)) },
  {
    name: `global ${kind} pool`,
    trains: true,
    points: channels.map((n) =>
      point({
        label: `${n}`,
        input: [12, 12, n],
        output: n,
        make: () => (kind === 'max' ? layers.globalMaxPooling2d() : layers.globalAveragePooling2d()),
      }),
    ),
  },
]);
