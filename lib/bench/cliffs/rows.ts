import { gelu, relu } from '../../activations/index.js';
import * as layers from '../../layers/index.js';
import * as ops from '../../ops/index.js';
import type { Family, Point } from './point.js';
import { channels, point, widths } from './sizes.js';

/** Something of a whole row, over widths. */
const ofRows = (name: string, make: Point['make'], sizes: readonly number[] = widths): Family => ({
  name,
  trains: true,
  points: sizes.map((n) => point({ label: `${n}`, input: [n], output: n, make })),
});
/** Something of images with so many channels. */
const ofImages = (name: string, make: (channels: number) => ReturnType<Point['make']>): Family => ({
  name,
  trains: true,
  points: channels.map((n) => point({ label: `${n}`, input: [12, 12, n], output: 144 * n, make: () => make(n) })),
});
export const rowFamilies: Family[] = [
  ofRows('softmax', () => (x) => ops.softmax(x), widths.slice(1)),
  ofRows('logSoftmax', () => (x) => ops.logSoftmax(x), widths.slice(1)),
  ofRows('layerNormalization', () => layers.layerNormalization(), widths.slice(1)),
  ofRows('rmsNormalization', () => layers.rmsNormalization(), widths.slice(1)),
  ofRows('unitNormalization', () => layers.unitNormalization(), widths.slice(1)),
  ofImages('batchNormalization', () => layers.batchNormalization()),
  ofImages('groupNormalization', (n) => layers.groupNormalization({ groups: n % 4 ? 1 : 4 })),
  ofRows('gelu', () => (x) => gelu(x)),
  ofRows('bias and relu', () => (x) => relu(ops.add(x, ops.sum(x, { axis: 0 })))),
  ofRows('a number per row', () => (x) => ops.multiply(x, ops.max(x, { axis: -1, keepdims: true }))),
  ofRows('sum of rows', () => (x) => ops.sum(x, { axis: -1, keepdims: true })),
  ofRows('sum of columns', () => (x) => ops.add(x, ops.sum(x, { axis: 0 }))),
  ofRows('cumulative sum', () => (x) => ops.cumsum(x, { axis: -1 })),
  ofRows('dropout', () => layers.dropout({ rate: 0.3 })),
  ofImages('transpose', () => (x) => ops.transpose(x, [0, 3, 1, 2])),
  ofImages('pad', () => layers.zeroPadding2d({ padding: 1 })),
  ofImages('upsampling', () => layers.upSampling2d({ size: 2 })),
  ofRows('concatenate', () => (x) => ops.concatenate([x, ops.negative(x)], -1)),
];
