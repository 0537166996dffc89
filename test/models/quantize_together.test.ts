import { describe, expect, test } from 'vitest';
import {
  functional,
  initializers,
  input,
  layers,
  type Model,
  NDArray,
  sequential,
  type Tensor,
  trace,
} from '../../lib/index.js';
import { native } from '../../lib/native.js';
import { expectNumbers, wave } from './quantized.js';

// quantize beside what else holds or trains the layers, and layers that stay as they are.

/** Zeros, and scales of 1: they make it plain which weights are read. */
const blank = (model: Model): Promise<void> =>
  model.setWeights(
    model.weights.map(({ name, size, shape }) => {
      const data = new Float32Array(size).fill(name.endsWith('_scale') ? 1 : 0);
      return new NDArray(data, [...shape]);
    }),
  );

test('kernels of more rows than an int32 sum can take stay in float32', async () => {
  const rows = 133_145;
  const model = sequential([layers.dense({ units: 1, inputShape: [rows], name: 'long' }), layers.dense({ units: 2 })]);
  await model.quantize('int8');
  expect(model.layers.map(({ quantization }) => quantization)).toEqual([undefined, 'int8']);
  expect(model.summary({ printFn: () => {} })).toMatch(/long \(Dense\)/);
  const { shape } = await model.predict(wave([1, rows], 0));
  expect(shape).toEqual([1, 2]);
  await expect(model.quantize('int8', { filters: 'long' })).rejects.toThrow(/more than 133,144 rows/);
  const einsum = sequential([layers.einsumDense({ equation: 'ab,bc->ac', outputShape: 1, inputShape: [rows] })]);
  await expect(einsum.quantize('int8')).rejects.toThrow(/more than 133,144 rows/);
  const longest = sequential([layers.dense({ units: 1, inputShape: [rows - 1] })]);
  await longest.quantize('int8');
  await expectNumbers(longest);
  expect((await longest.predict(wave([1, rows - 1], 0))).data[0]).not.toBe(0);
});
