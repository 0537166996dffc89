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
export const bits = (array: NDArray): number[] => [...new Uint32Array(array.data.slice().buffer)];
