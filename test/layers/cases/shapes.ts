import { layers } from '../../../lib/index.js';
import type { LayerCase } from '../check_layer.js';
import { map, mapRows, mean, ref } from '../reference.js';
import { build, element, permute } from '../windows.js';

const norm = (row: number[]): number => Math.sqrt(row.reduce((sum, v) => sum + v * v, 0));
/** One group of numbers to mean 0 and variance 1. */
const standard = (row: number[], epsilon = 1e-3): number[] => {
  const m = mean(row);
  const v = mean(row.map((x) => (x - m) ** 2));
  return row.map((x) => (x - m) / Math.sqrt(v + epsilon));
};
/** Linear interpolation at half-pixel centres, the border continued. */
const blend =
  (size: number, to: number) =>
  (i: number): [number, number, number] => {
    const at = Math.min(Math.max(((i + 0.5) * size) / to - 0.5, 0), size - 1);
    const low = Math.floor(at);
    return [low, Math.min(low + 1, size - 1), at - low];
  };

/** Normalization, activation, merging and reshaping. */
export const shapeCases: Record<string, LayerCase> = {
  'layer normalization': {
    make: () => layers.layerNormalization(),
    input: [3, 2, 5],
    reference: ([x], [gamma, beta]) =>
      map(
        mapRows(x!, (row) => standard(row)),
        (v, c) => v * gamma!.data[c]! + beta!.data[c]!,
      ),
    config: { axis: [-1], epsilon: 0.001, center: true, scale: true, rms_scaling: false },
  },
  'layer normalization over two axes': {
    make: () => layers.layerNormalization({ axis: [1, 2], epsilon: 0.01 }),
    input: [3, 2, 4],
    reference: ([x], [gamma, beta]) =>
      ref(
        mapRows(ref(x!.data, [3, 8]), (row) => standard(row, 0.01).map((v, i) => v * gamma!.data[i]! + beta!.data[i]!))
          .data,
        [3, 2, 4],
      ),
  },
  'layer normalization over an axis within': {
    make: () => layers.layerNormalization({ axis: 1, center: false }),
    input: [2, 4, 3],
    reference: ([x], [gamma]) =>
      permute(
        map(
          mapRows(permute(x!, [0, 2, 1]), (row) => standard(row)),
          (v, c) => v * gamma!.data[c]!,
        ),
        [0, 2, 1],
      ),
  },
  'group normalization': {
    make: () => layers.groupNormalization({ groups: 2 }),
    input: [2, 3, 6],
    reference: ([x], [gamma, beta]) => {
      const groups = permute(ref(x!.data, [2, 3, 2, 3]), [0, 2, 1, 3]);
      const normed = mapRows(ref(groups.data, [4, 9]), (row) => standard(row));
      const back = permute(ref(normed.data, [2, 2, 3, 3]), [0, 2, 1, 3]);
      return map(ref(back.data, [2, 3, 6]), (v, c) => v * gamma!.data[c]! + beta!.data[c]!);
    },
    config: { groups: 2, axis: -1 },
  },
  'rms normalization': {
    make: () => layers.rmsNormalization(),
    input: [3, 4],
    reference: ([x], [scale]) =>
      map(
        mapRows(x!, (row) => row.map((v) => v / Math.sqrt(mean(row.map((u) => u * u)) + 1e-6))),
        (v, c) => v * scale!.data[c]!,
      ),
    config: { axis: [-1], epsilon: 1e-6 },
  },
  'unit normalization': {
    make: () => layers.unitNormalization(),
    input: [3, 4],
    reference: ([x]) => mapRows(x!, (row) => row.map((v) => v / norm(row))),
  },
  'batch renormalization in training': {
    make: () => layers.batchNormalization({ renorm: true, renormClipping: { rmin: 0.5, rmax: 1.2, dmax: 0.3 } }),
    input: [5, 2],
    training: true,
    reference: ([x], [gamma, beta, , , , slowMean, slowDeviation]) => {
      const columns = [0, 1].map((c) => x!.data.filter((_, i) => i % 2 === c));
      // r and d don't pass gradients on: they are those of the inputs as they are, not of the differences'.
      const fixed = (frozen ??= columns.map((column, c) => {
        const deviation = Math.sqrt(mean(column.map((v) => (v - mean(column)) ** 2)) + 1e-3);
        const unit = Math.max(slowDeviation!.data[c]!, Math.sqrt(1e-3));
        return {
          r: Math.min(Math.max(deviation / unit, 0.5), 1.2),
          d: Math.min(Math.max((mean(column) - slowMean!.data[c]!) / unit, -0.3), 0.3),
        };
      }));
      return map(x!, (v, c) => {
        const column = columns[c]!;
        const variance = mean(column.map((u) => (u - mean(column)) ** 2));
        const normed = (v - mean(column)) / Math.sqrt(variance + 1e-3);
        return (normed * fixed[c]!.r + fixed[c]!.d) * gamma!.data[c]! + beta!.data[c]!;
      });
    },
    config: { renorm: true, renorm_momentum: 0.99, synchronized: false },
  },
  'prelu with shared axes': {
    make: () => layers.prelu({ sharedAxes: [1] }),
    input: [2, 3, 4],
    reference: ([x], [alpha]) => map(x!, (v, c) => (v > 0 ? v : alpha!.data[c]! * v)),
    config: { shared_axes: [1] },
  },
  'relu with all options': {
    make: () => layers.relu({ maxValue: 0.5, negativeSlope: 0.1, threshold: 0.2 }),
    input: [4, 5],
    reference: ([x]) => map(x!, (v) => (v >= 0.5 ? 0.5 : v >= 0.2 ? v : 0.1 * (v - 0.2))),
  },
  'softmax over two axes': {
    make: () => layers.softmax({ axis: [1, 2] }),
    input: [2, 3, 2],
    reference: ([x]) =>
      ref(
        mapRows(ref(x!.data, [2, 6]), (row) => {
          const total = row.reduce((sum, v) => sum + Math.exp(v), 0);
          return row.map((v) => Math.exp(v) / total);
        }).data,
        [2, 3, 2],
      ),
  },
  'activity regularization': {
    make: () => layers.activityRegularization({ l1: 0.1 }),
    input: [2, 3],
    reference: ([x]) => x!,
    config: { l1: 0.1, l2: 0 },
  },
  ...Object.fromEntries(
    Object.entries({
      'spatial dropout 1d at rest': { make: () => layers.spatialDropout1d({ rate: 0.5 }), input: [2, 3, 2] },
      'spatial dropout 2d at rest': { make: () => layers.spatialDropout2d({ rate: 0.5 }), input: [2, 2, 3, 2] },
      'spatial dropout 3d at rest': { make: () => layers.spatialDropout3d({ rate: 0.5 }), input: [2, 2, 2, 3, 2] },
      'gaussian noise at rest': { make: () => layers.gaussianNoise({ stddev: 0.5 }), input: [2, 3] },
      'gaussian dropout at rest': { make: () => layers.gaussianDropout({ rate: 0.5 }), input: [2, 3] },
      'alpha dropout at rest': { make: () => layers.alphaDropout({ rate: 0.5 }), input: [2, 3] },
      masking: { make: () => layers.masking({ maskValue: 5 }), input: [2, 3, 2] },
      identity: { make: () => layers.identity(), input: [2, 3] },
    }).map(([name, row]): [string, LayerCase] => [name, { ...row, reference: ([x]) => x! }]),
  ),
  'dot along the last axes': {
    make: () => layers.dot({ axes: -1 }),
    input: [
      [2, 3, 4],
      [2, 5, 4],
    ],
    reference: ([a, b]) =>
      build([2, 3, 5], ([n, i, j]) =>
        [0, 1, 2, 3].reduce((sum, k) => sum + element(a!, [n!, i!, k]) * element(b!, [n!, j!, k]), 0),
      ),
    config: { axes: -1, normalize: false },
  },
  'dot of unit vectors': {
    make: () => layers.dot({ axes: 1, normalize: true }),
    input: [
      [3, 4],
      [3, 4],
    ],
    reference: ([a, b]) =>
      build([3, 1], ([n]) => {
        const [left, right] = [a, b].map((x) => x!.data.slice(n! * 4, n! * 4 + 4)) as [number[], number[]];
        return left.reduce((sum, v, i) => sum + v * right[i]!, 0) / norm(left) / norm(right);
      }),
  },
  'einsum dense between axes, with a bias on one': {
    make: () => layers.einsumDense({ equation: 'abc,cde->abde', outputShape: [null, 2, 3], biasAxes: 'e' }),
    input: [2, 3, 4],
    reference: ([x], [kernel, bias]) =>
      build([2, 3, 2, 3], ([n, i, d, e]) =>
        [0, 1, 2, 3].reduce(
          (sum, c) => sum + element(x!, [n!, i!, c]) * element(kernel!, [c, d!, e!]),
          bias!.data[e!]!,
        ),
      ),
    config: { equation: 'abc,cde->abde', output_shape: [null, 2, 3], bias_axes: 'e' },
  },
  'einsum dense after an ellipsis': {
    make: () => layers.einsumDense({ equation: '...x,xy->...y', outputShape: 3, biasAxes: 'y', activation: 'tanh' }),
    input: [2, 2, 2, 4],
    reference: ([x], [kernel, bias]) =>
      mapRows(x!, (row) =>
        [0, 1, 2].map((y) => Math.tanh(row.reduce((sum, v, c) => sum + v * element(kernel!, [c, y]), bias!.data[y]!))),
      ),
  },
  'flatten channels first': {
    make: () => layers.flatten({ dataFormat: 'channelsFirst' }),
    input: [2, 3, 2, 2],
    reference: ([x]) => ref(permute(x!, [0, 2, 3, 1]).data, [2, 12]),
  },
  permute: {
    make: () => layers.permute({ dims: [2, 1] }),
    input: [2, 3, 4],
    reference: ([x]) => permute(x!, [0, 2, 1]),
  },
  'repeat vector': {
    make: () => layers.repeatVector({ n: 3 }),
    input: [2, 4],
    reference: ([x]) => build([2, 3, 4], ([n, , c]) => element(x!, [n!, c!])),
  },
  'cropping 1d': {
    make: () => layers.cropping1d({ cropping: [1, 2] }),
    input: [2, 6, 2],
    reference: ([x]) => build([2, 3, 2], ([n, t, c]) => element(x!, [n!, t! + 1, c!])),
    config: { cropping: [1, 2] },
  },
  'cropping 2d': {
    make: () => layers.cropping2d({ cropping: [1, [0, 2]] }),
    input: [2, 4, 5, 2],
    reference: ([x]) => build([2, 2, 3, 2], ([n, y, z, c]) => element(x!, [n!, y! + 1, z!, c!])),
    config: {
      cropping: [
        [1, 1],
        [0, 2],
      ],
    },
  },
  'cropping 3d channels first': {
    make: () => layers.cropping3d({ dataFormat: 'channelsFirst' }),
    input: [2, 2, 3, 3, 4],
    reference: ([x]) => build([2, 2, 1, 1, 2], ([n, c, d, y, z]) => element(x!, [n!, c!, d! + 1, y! + 1, z! + 1])),
  },
  'zero padding 1d': {
    make: () => layers.zeroPadding1d({ padding: [2, 1] }),
    input: [2, 3, 2],
    reference: ([x]) => build([2, 6, 2], ([n, t, c]) => (t! < 2 || t! > 4 ? 0 : element(x!, [n!, t! - 2, c!]))),
  },
  'zero padding 2d channels first': {
    make: () => layers.zeroPadding2d({ padding: [0, [1, 2]], dataFormat: 'channelsFirst' }),
    input: [2, 2, 2, 3],
    reference: ([x]) =>
      build([2, 2, 2, 6], ([n, c, y, z]) => (z! < 1 || z! > 3 ? 0 : element(x!, [n!, c!, y!, z! - 1]))),
  },
  'zero padding 3d': {
    make: () => layers.zeroPadding3d(),
    input: [2, 1, 2, 1, 2],
    reference: ([x]) =>
      build([2, 3, 4, 3, 2], ([n, d, y, z, c]) =>
        d === 1 && (y === 1 || y === 2) && z === 1 ? element(x!, [n!, 0, y - 1, 0, c!]) : 0,
      ),
  },
  'upsampling 1d': {
    make: () => layers.upSampling1d({ size: 3 }),
    input: [2, 3, 2],
    reference: ([x]) => build([2, 9, 2], ([n, t, c]) => element(x!, [n!, Math.floor(t! / 3), c!])),
  },
  'upsampling 2d': {
    make: () => layers.upSampling2d({ size: [2, 3] }),
    input: [2, 2, 3, 2],
    reference: ([x]) =>
      build([2, 4, 9, 2], ([n, y, z, c]) => element(x!, [n!, Math.floor(y! / 2), Math.floor(z! / 3), c!])),
    config: { size: [2, 3], interpolation: 'nearest' },
  },
  'upsampling 2d, bilinear': {
    make: () => layers.upSampling2d({ interpolation: 'bilinear' }),
    input: [2, 3, 2, 2],
    reference: ([x]) =>
      build([2, 6, 4, 2], ([n, y, z, c]) => {
        const [a, b, s] = blend(3, 6)(y!);
        const [d, e, t] = blend(2, 4)(z!);
        const row = (i: number): number => element(x!, [n!, i, d, c!]) * (1 - t) + element(x!, [n!, i, e, c!]) * t;
        return row(a) * (1 - s) + row(b) * s;
      }),
  },
  'upsampling 3d': {
    make: () => layers.upSampling3d({ size: [1, 2, 2] }),
    input: [2, 2, 1, 2, 2],
    reference: ([x]) =>
      build([2, 2, 2, 4, 2], ([n, d, y, z, c]) => element(x!, [n!, d!, Math.floor(y! / 2), Math.floor(z! / 2), c!])),
  },
  'normalization with given moments': {
    make: () => layers.normalization({ mean: [1, 2, -1], variance: [4, 0.25, 1] }),
    input: [4, 3],
    reference: ([x]) => map(x!, (v, c) => (v - [1, 2, -1][c]!) / [2, 0.5, 1][c]!),
    config: { axis: [-1], mean: [1, 2, -1], invert: false },
  },
  'normalization inverted, one moment for all': {
    make: () => layers.normalization({ axis: null, mean: 2, variance: 9, invert: true }),
    input: [4, 3],
    reference: ([x]) => map(x!, (v) => v * 3 + 2),
    config: { axis: [] },
  },
  'resizing down, bilinear': {
    make: () => layers.resizing({ height: 2, width: 3 }),
    input: [2, 5, 4, 2],
    reference: ([x]) =>
      build([2, 2, 3, 2], ([n, y, z, c]) => {
        const [a, b, s] = blend(5, 2)(y!);
        const [d, e, t] = blend(4, 3)(z!);
        const row = (i: number): number => element(x!, [n!, i, d, c!]) * (1 - t) + element(x!, [n!, i, e, c!]) * t;
        return row(a) * (1 - s) + row(b) * s;
      }),
    config: { interpolation: 'bilinear', antialias: false, fill_mode: 'constant', fill_value: 0 },
  },
  'resizing, nearest, cut to the aspect ratio': {
    make: () => layers.resizing({ height: 2, width: 2, interpolation: 'nearest', cropToAspectRatio: true }),
    input: [2, 4, 6, 1],
    reference: ([x]) => build([2, 2, 2, 1], ([n, y, z, c]) => element(x!, [n!, 2 * y! + 1, 1 + 2 * z! + 1, c!])),
  },
  'center crop': {
    make: () => layers.centerCrop({ height: 2, width: 3 }),
    input: [2, 5, 4, 2],
    reference: ([x]) => build([2, 2, 3, 2], ([n, y, z, c]) => element(x!, [n!, y! + 1, z!, c!])),
  },
  'category encoding, several of a row': {
    make: () => layers.categoryEncoding({ numTokens: 4 }),
    input: [3, 2],
    dtype: 'int32',
    values: (i) => (i * 3) % 4,
    reference: ([ids]) => build([3, 4], ([n, k]) => Number([0, 1].some((i) => element(ids!, [n!, i]) === k))),
    config: { num_tokens: 4, output_mode: 'multi_hot' },
  },
  'category encoding, one by one': {
    make: () => layers.categoryEncoding({ numTokens: 4, outputMode: 'oneHot' }),
    input: [3, 2],
    dtype: 'int32',
    values: (i) => (i * 3) % 4,
    reference: ([ids]) => build([3, 2, 4], ([n, i, k]) => Number(element(ids!, [n!, i!]) === k)),
    config: { output_mode: 'one_hot' },
  },
  'category encoding, counts': {
    make: () => layers.categoryEncoding({ numTokens: 3, outputMode: 'count' }),
    input: [3, 4],
    dtype: 'int32',
    values: (i) => (i * i) % 3,
    reference: ([ids]) => build([3, 3], ([n, k]) => [0, 1, 2, 3].filter((i) => element(ids!, [n!, i]) === k).length),
  },
};

let frozen: { r: number; d: number }[] | undefined;
