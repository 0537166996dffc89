import { expect } from 'vitest';
import { type Model, NDArray } from '../../lib/index.js';

// What the tests of quantized models share.

/** The formula of scripts/keras-reference.py. */
export function wave(shape: readonly number[], phase: number, factor = 1): NDArray {
  const count = shape.reduce((a, b) => a * b, 1);
  return new NDArray(
    Float32Array.from({ length: count }, (_, i) => Math.fround(Math.sin(0.7 * i + phase) / 2) * factor),
    [...shape],
  );
}

export async function setAll(model: Model): Promise<Model> {
  for (const [i, variable] of model.trainableWeights.entries()) await variable.write(wave(variable.shape, i + 1));
  return model;
}

/** Every int8 weight holds numbers, up to the largest: zeros would pass many a comparison. */
export async function expectNumbers(model: Model): Promise<void> {
  const stored = model.weights.filter(({ dtype }) => dtype === 'int8');
  expect(stored).not.toHaveLength(0);
  for (const variable of stored)
    expect(
      (await variable.value()).data.reduce((most, value) => Math.max(most, Math.abs(value)), 0),
      variable.path,
    ).toBe(127);
}

export const bits = (array: NDArray): number[] => [...new Uint32Array(array.data.slice().buffer)];
