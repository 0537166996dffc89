import { describe, test } from 'vitest';
import { layers } from '../../lib/index.js';
import { attentionCases } from './cases/attention.js';
import { shapeCases } from './cases/shapes.js';
import { windowCases } from './cases/windows.js';
import { checkLayer, type LayerCase } from './check_layer.js';
import { conv2d, dense, erf, global, map, mapRows, mean, pool2d, ref, softmax } from './reference.js';

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const relu = (x: number): number => Math.max(x, 0);
const max = (values: number[]): number => Math.max(...values);

const cases: Record<string, LayerCase> = {
  'dense relu': {
    make: () => layers.dense({ units: 5, activation: 'relu' }),
    input: [4, 3],
    reference: ([x], [kernel, bias]) => dense(x!, kernel!, bias, relu),
    config: { units: 5, activation: 'relu', use_bias: true },
  },
  'dense on rank 3 without bias': {
    make: () => layers.dense({ units: 2, useBias: false, activation: 'tanh' }),
    input: [2, 3, 4],
    reference: ([x], [kernel]) => dense(x!, kernel!, undefined, Math.tanh),
  },
  'dense wider than a panel': {
    make: () => layers.dense({ units: 35, activation: 'sigmoid' }),
    input: [3, 18],
    reference: ([x], [kernel, bias]) => dense(x!, kernel!, bias, sigmoid),
  },
  'conv2d valid': {
    make: () => layers.conv2d({ filters: 3, kernelSize: 3 }),
    input: [2, 5, 6, 2],
    reference: ([x], [kernel, bias]) => conv2d(x!, kernel!, bias),
    config: { filters: 3, kernel_size: [3, 3], padding: 'valid' },
  },
  'conv2d same with strides': {
    make: () => layers.conv2d({ filters: 2, kernelSize: [3, 2], strides: 2, padding: 'same', activation: 'relu' }),
    input: [2, 5, 7, 2],
    reference: ([x], [kernel, bias]) => map(conv2d(x!, kernel!, bias, { strides: [2, 2], padding: 'same' }), relu),
  },
  'conv2d dilated': {
    make: () => layers.conv2d({ filters: 2, kernelSize: 2, dilationRate: 2, useBias: false }),
    input: [2, 5, 5, 1],
    reference: ([x], [kernel]) => conv2d(x!, kernel!, undefined, { dilations: [2, 2] }),
  },
  'conv2d in groups': {
    make: () => layers.conv2d({ filters: 4, kernelSize: 2, groups: 2 }),
    input: [2, 4, 4, 4],
    reference: ([x], [kernel, bias]) => conv2d(x!, kernel!, bias, { groups: 2 }),
  },
  'max pooling': {
    make: () => layers.maxPooling2d(),
    input: [2, 4, 6, 3],
    reference: ([x]) => pool2d(x!, [2, 2], { strides: [2, 2] }, max),
    config: { pool_size: [2, 2], strides: [2, 2] },
  },
  'average pooling same, padding not counted': {
    make: () => layers.averagePooling2d({ poolSize: 3, strides: 2, padding: 'same' }),
    input: [2, 5, 4, 2],
    reference: ([x]) => pool2d(x!, [3, 3], { strides: [2, 2], padding: 'same' }, mean),
  },
  'global average pooling 1d': {
    make: () => layers.globalAveragePooling1d(),
    input: [2, 5, 3],
    reference: ([x]) => global(x!, mean),
  },
  'global average pooling 2d': {
    make: () => layers.globalAveragePooling2d(),
    input: [2, 3, 4, 3],
    reference: ([x]) => global(x!, mean),
  },
  'global max pooling 2d': {
    make: () => layers.globalMaxPooling2d(),
    input: [2, 3, 4, 3],
    reference: ([x]) => global(x!, max),
  },
  flatten: { make: () => layers.flatten(), input: [3, 2, 2, 2], reference: ([x]) => ref(x!.data, [3, 8]) },
  'reshape with an inferred size': {
    make: () => layers.reshape({ targetShape: [-1, 2] }),
    input: [3, 8],
    reference: ([x]) => ref(x!.data, [3, 4, 2]),
    config: { target_shape: [-1, 2] },
  },
  'activation gelu': {
    make: () => layers.activation({ activation: 'gelu' }),
    input: [3, 5],
    reference: ([x]) => map(x!, (v) => 0.5 * v * (1 + erf(v / Math.SQRT2))),
  },
  'activation softmax': {
    make: () => layers.activation({ activation: 'softmax' }),
    input: [3, 5],
    reference: ([x]) => mapRows(x!, softmax),
  },
  'leaky relu, slope 0.3': {
    make: () => layers.leakyRelu(),
    input: [3, 5],
    reference: ([x]) => map(x!, (v) => (v > 0 ? v : 0.3 * v)),
  },
  'dropout at rest': { make: () => layers.dropout({ rate: 0.5 }), input: [3, 5], reference: ([x]) => x! },
  'batch normalization at rest': {
    make: () => layers.batchNormalization(),
    input: [4, 3],
    reference: ([x], [gamma, beta, mean, variance]) =>
      map(
        x!,
        (v, c) => ((v - mean!.data[c]!) / Math.sqrt(variance!.data[c]! + 1e-3)) * gamma!.data[c]! + beta!.data[c]!,
      ),
    config: { momentum: 0.99, epsilon: 0.001 },
  },
  'batch normalization in training': {
    make: () => layers.batchNormalization(),
    input: [4, 2, 3],
    training: true,
    reference: ([x], [gamma, beta]) => {
      const column = (c: number) => x!.data.filter((_, i) => i % 3 === c);
      const stats = [0, 1, 2].map((c) => ({
        mean: mean(column(c)),
        variance: mean(column(c).map((v) => (v - mean(column(c))) ** 2)),
      }));
      return map(
        x!,
        (v, c) => ((v - stats[c]!.mean) / Math.sqrt(stats[c]!.variance + 1e-3)) * gamma!.data[c]! + beta!.data[c]!,
      );
    },
  },
  embedding: {
    make: () => layers.embedding({ inputDim: 6, outputDim: 3 }),
    input: [3, 4],
    dtype: 'int32',
    values: (i) => (i * 5) % 6,
    reference: ([ids], [table]) =>
      ref(
        ids!.data.flatMap((id) => table!.data.slice(id * 3, id * 3 + 3)),
        [3, 4, 3],
      ),
  },
  add: {
    make: () => layers.add(),
    input: [
      [2, 3],
      [2, 3],
      [2, 3],
    ],
    reference: ([a, b, c]) =>
      ref(
        a!.data.map((v, i) => v + b!.data[i]! + c!.data[i]!),
        [2, 3],
      ),
  },
  subtract: {
    make: () => layers.subtract(),
    input: [
      [2, 3],
      [2, 3],
    ],
    reference: ([a, b]) =>
      ref(
        a!.data.map((v, i) => v - b!.data[i]!),
        [2, 3],
      ),
  },
  multiply: {
    make: () => layers.multiply(),
    input: [
      [2, 3],
      [2, 3],
    ],
    reference: ([a, b]) =>
      ref(
        a!.data.map((v, i) => v * b!.data[i]!),
        [2, 3],
      ),
  },
  average: {
    make: () => layers.average(),
    input: [
      [2, 3],
      [2, 3],
    ],
    reference: ([a, b]) =>
      ref(
        a!.data.map((v, i) => (v + b!.data[i]!) / 2),
        [2, 3],
      ),
  },
  maximum: {
    make: () => layers.maximum(),
    input: [
      [2, 3],
      [2, 3],
    ],
    reference: ([a, b]) =>
      ref(
        a!.data.map((v, i) => Math.max(v, b!.data[i]!)),
        [2, 3],
      ),
  },
  concatenate: {
    make: () => layers.concatenate(),
    input: [
      [2, 2],
      [2, 3],
    ],
    reference: ([a, b]) =>
      ref(
        [0, 1].flatMap((n) => [...a!.data.slice(n * 2, n * 2 + 2), ...b!.data.slice(n * 3, n * 3 + 3)]),
        [2, 5],
      ),
  },
  rescaling: {
    make: () => layers.rescaling({ scale: 0.5, offset: -1 }),
    input: [2, 3],
    reference: ([x]) => map(x!, (v) => v * 0.5 - 1),
  },
};

Object.assign(cases, windowCases, shapeCases, attentionCases);

describe('every layer: forward, gradients, config, any batch', () => {
  test.each(Object.keys(cases))('%s', (name) => checkLayer(cases[name]!));
});
