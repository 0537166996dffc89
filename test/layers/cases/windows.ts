import { layers } from '../../../lib/index.js';
import type { LayerCase } from '../check_layer.js';
import { global, map, mean, ref } from '../reference.js';
import { build, conv, convTranspose, depthwise, element, permute, pool } from '../windows.js';

const relu = (x: number): number => Math.max(x, 0);
const max = (values: number[]): number => Math.max(...values);
/** Channels-first in and out around a channels-last reference. */
const first = (
  x: Parameters<typeof permute>[0],
  fn: (x: Parameters<typeof permute>[0]) => ReturnType<typeof permute>,
) => {
  const spatial = x.shape.slice(2).map((_, i) => i + 2);
  const out = fn(permute(x, [0, ...spatial, 1]));
  return permute(out, [0, out.shape.length - 1, ...out.shape.slice(1, -1).map((_, i) => i + 1)]);
};

/** Convolutions and pooling of all ranks. */
export const windowCases: Record<string, LayerCase> = {
  'conv1d valid': {
    make: () => layers.conv1d({ filters: 3, kernelSize: 3 }),
    input: [2, 7, 2],
    reference: ([x], [kernel, bias]) => conv(x!, kernel!, bias),
    config: { filters: 3, kernel_size: [3], strides: [1], padding: 'valid', data_format: 'channels_last', groups: 1 },
  },
  'conv1d causal dilated': {
    make: () => layers.conv1d({ filters: 2, kernelSize: 3, padding: 'causal', dilationRate: 2, activation: 'relu' }),
    input: [2, 6, 3],
    reference: ([x], [kernel, bias]) => map(conv(x!, kernel!, bias, { padding: 'causal', dilations: [2] }), relu),
    config: { padding: 'causal' },
  },
  'conv1d same, strides, groups, channels first': {
    make: () =>
      layers.conv1d({ filters: 4, kernelSize: 3, strides: 2, padding: 'same', groups: 2, dataFormat: 'channelsFirst' }),
    input: [2, 4, 7],
    reference: ([x], [kernel, bias]) =>
      first(x!, (last) => conv(last, kernel!, bias, { padding: 'same', strides: [2], groups: 2 })),
    config: { data_format: 'channels_first' },
  },
  'conv2d channels first': {
    make: () => layers.conv2d({ filters: 3, kernelSize: [2, 3], strides: [1, 2], dataFormat: 'channels_first' }),
    input: [2, 2, 5, 6],
    reference: ([x], [kernel, bias]) => first(x!, (last) => conv(last, kernel!, bias, { strides: [1, 2] })),
  },
  'conv3d same with strides': {
    make: () => layers.conv3d({ filters: 2, kernelSize: 2, strides: 2, padding: 'same' }),
    input: [2, 4, 3, 3, 2],
    reference: ([x], [kernel, bias]) => conv(x!, kernel!, bias, { padding: 'same', strides: [2, 2, 2] }),
  },
  'conv3d dilated along the depth, groups': {
    make: () => layers.conv3d({ filters: 2, kernelSize: [2, 1, 2], dilationRate: [2, 1, 1], groups: 2 }),
    input: [2, 5, 2, 3, 2],
    reference: ([x], [kernel, bias]) => conv(x!, kernel!, bias, { dilations: [2, 1, 1], groups: 2 }),
  },
  'conv1d transpose': {
    make: () => layers.conv1dTranspose({ filters: 3, kernelSize: 3, strides: 2 }),
    input: [2, 4, 2],
    // (4 − 1) · 2 + 3
    reference: ([x], [kernel, bias]) => convTranspose(x!, kernel!, bias, { out: [9], before: [0], strides: [2] }),
    config: { output_padding: null },
  },
  'conv2d transpose same': {
    make: () => layers.conv2dTranspose({ filters: 2, kernelSize: 3, strides: 2, padding: 'same' }),
    input: [2, 3, 2, 2],
    // Twice as large; of the 2 places more that valid would give, none before and both behind: 3 + 2 − 2 = 3, (3 + 1) / 2 = 2 = 3 − 1.
    reference: ([x], [kernel, bias]) =>
      convTranspose(x!, kernel!, bias, { out: [6, 4], before: [0, 0], strides: [2, 2] }),
  },
  'conv2d transpose with output padding': {
    make: () =>
      layers.conv2dTranspose({ filters: 2, kernelSize: 3, strides: 2, padding: 'same', outputPadding: [0, 1] }),
    input: [2, 3, 3, 2],
    // (3 − 1) · 2 + 3 % 2 + extra; 3 + 1 − 2 + extra are filled up in all, the greater half before.
    reference: ([x], [kernel, bias]) =>
      convTranspose(x!, kernel!, bias, { out: [5, 6], before: [1, 0], strides: [2, 2] }),
    config: { output_padding: [0, 1] },
  },
  'conv2d transpose dilated': {
    make: () => layers.conv2dTranspose({ filters: 2, kernelSize: 2, dilationRate: [2, 1], useBias: false }),
    input: [2, 3, 2, 3],
    reference: ([x], [kernel]) =>
      convTranspose(x!, kernel!, undefined, { out: [5, 3], before: [0, 0], strides: [1, 1], dilations: [2, 1] }),
  },
  'conv2d transpose, gaps between the windows': {
    make: () => layers.conv2dTranspose({ filters: 2, kernelSize: 2, strides: 3 }),
    input: [2, 2, 2, 2],
    reference: ([x], [kernel, bias]) =>
      convTranspose(x!, kernel!, bias, { out: [6, 6], before: [0, 0], strides: [3, 3] }),
  },
  'conv3d transpose': {
    make: () => layers.conv3dTranspose({ filters: 2, kernelSize: 2, strides: [2, 1, 1] }),
    input: [2, 2, 2, 3, 2],
    reference: ([x], [kernel, bias]) =>
      convTranspose(x!, kernel!, bias, { out: [4, 3, 4], before: [0, 0, 0], strides: [2, 1, 1] }),
  },
  'depthwise conv1d': {
    make: () => layers.depthwiseConv1d({ kernelSize: 3, depthMultiplier: 2 }),
    input: [2, 6, 3],
    reference: ([x], [kernel, bias]) => depthwise(x!, kernel!, bias),
  },
  'depthwise conv2d same with strides': {
    make: () => layers.depthwiseConv2d({ kernelSize: 3, strides: 2, padding: 'same' }),
    input: [2, 5, 4, 3],
    reference: ([x], [kernel, bias]) => depthwise(x!, kernel!, bias, { padding: 'same', strides: [2, 2] }),
    config: { depth_multiplier: 1, depthwise_regularizer: null },
  },
  'depthwise conv2d, strides over a dilated window': {
    make: () => layers.depthwiseConv2d({ kernelSize: 2, strides: 2, dilationRate: 2, depthMultiplier: 2 }),
    input: [2, 6, 6, 2],
    reference: ([x], [kernel, bias]) => depthwise(x!, kernel!, bias, { dilations: [2, 2], strides: [2, 2] }),
  },
  'separable conv1d': {
    make: () => layers.separableConv1d({ filters: 4, kernelSize: 3, depthMultiplier: 2, padding: 'same' }),
    input: [2, 5, 3],
    reference: ([x], [deep, point, bias]) => conv(depthwise(x!, deep!, undefined, { padding: 'same' }), point!, bias),
  },
  'separable conv2d': {
    make: () => layers.separableConv2d({ filters: 3, kernelSize: 2, strides: 2, activation: 'relu' }),
    input: [2, 4, 5, 2],
    reference: ([x], [deep, point, bias]) =>
      map(conv(depthwise(x!, deep!, undefined, { strides: [2, 2] }), point!, bias), relu),
  },
  'max pooling 1d': {
    make: () => layers.maxPooling1d({ poolSize: 3, strides: 2 }),
    input: [2, 8, 2],
    reference: ([x]) => pool(x!, [3], { strides: [2] }, max),
    config: { pool_size: [3], strides: [2] },
  },
  'average pooling 1d same': {
    make: () => layers.averagePooling1d({ poolSize: 3, strides: 2, padding: 'same' }),
    input: [2, 8, 2],
    reference: ([x]) => pool(x!, [3], { strides: [2], padding: 'same' }, mean),
  },
  'max pooling 2d channels first': {
    make: () => layers.maxPooling2d({ poolSize: [2, 3], dataFormat: 'channelsFirst' }),
    input: [2, 3, 4, 6],
    reference: ([x]) => first(x!, (last) => pool(last, [2, 3], { strides: [2, 3] }, max)),
  },
  'max pooling 3d': {
    make: () => layers.maxPooling3d({ poolSize: [2, 3, 2], strides: [1, 2, 2], padding: 'same' }),
    input: [2, 3, 4, 5, 2],
    reference: ([x]) => pool(x!, [2, 3, 2], { strides: [1, 2, 2], padding: 'same' }, max),
  },
  'average pooling 3d same, padding not counted': {
    make: () => layers.averagePooling3d({ poolSize: [3, 2, 2], strides: [2, 1, 2], padding: 'same' }),
    input: [2, 4, 3, 3, 2],
    reference: ([x]) => pool(x!, [3, 2, 2], { strides: [2, 1, 2], padding: 'same' }, mean),
  },
  'global max pooling 1d': {
    make: () => layers.globalMaxPooling1d(),
    input: [2, 5, 3],
    reference: ([x]) => global(x!, max),
  },
  'global average pooling 3d, keeping the axes': {
    make: () => layers.globalAveragePooling3d({ keepdims: true }),
    input: [2, 2, 3, 2, 3],
    reference: ([x]) => ref(global(x!, mean).data, [2, 1, 1, 1, 3]),
  },
  'global max pooling 3d': {
    make: () => layers.globalMaxPooling3d(),
    input: [2, 2, 3, 2, 3],
    reference: ([x]) => global(x!, max),
  },
  'global average pooling 2d channels first': {
    make: () => layers.globalAveragePooling2d({ dataFormat: 'channelsFirst' }),
    input: [2, 3, 4, 2],
    reference: ([x]) => global(permute(x!, [0, 2, 3, 1]), mean),
    config: { data_format: 'channels_first', keepdims: false },
  },
  'adaptive average pooling 2d': {
    make: () => layers.adaptiveAveragePooling2d({ outputSize: [3, 2] }),
    input: [2, 5, 4, 2],
    // Rows 0–1, 1–3, 3–4 and columns 0–1, 2–3.
    reference: ([x]) =>
      build([2, 3, 2, 2], ([n, y, z, c]) => {
        const rows = [
          [0, 1],
          [1, 2, 3],
          [3, 4],
        ][y!]!;
        const columns = [
          [0, 1],
          [2, 3],
        ][z!]!;
        return mean(rows.flatMap((i) => columns.map((j) => element(x!, [n!, i, j, c!]))));
      }),
    config: { output_size: [3, 2], data_format: 'channels_last' },
  },
  'adaptive max pooling 1d channels first': {
    make: () => layers.adaptiveMaxPooling1d({ outputSize: 2, dataFormat: 'channelsFirst' }),
    input: [2, 3, 5],
    reference: ([x]) => build([2, 3, 2], ([n, c, t]) => max([0, 1, 2].map((i) => element(x!, [n!, c!, t! * 2 + i])))),
  },
  'adaptive max pooling 3d': {
    make: () => layers.adaptiveMaxPooling3d({ outputSize: 1 }),
    input: [2, 2, 3, 2, 2],
    reference: ([x]) => ref(global(x!, max).data, [2, 1, 1, 1, 2]),
  },
};
