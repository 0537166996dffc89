import { layers, NDArray, type Sequential, sequential, setRandomSeed } from '../../lib/index.js';

/** Points in the plane, labelled by the side of a line. */
export function points(rows: number): { x: NDArray; y: NDArray } {
  const x = Float32Array.from({ length: rows * 2 }, (_, i) => Math.sin(i * 12.9898) * 2);
  const y = Float32Array.from({ length: rows }, (_, i) => (x[2 * i]! + x[2 * i + 1]! > 0.2 ? 1 : 0));
  return { x: new NDArray(x, [rows, 2]), y: new NDArray(y, [rows]) };
}

/** A small compiled classifier. */
export function classifier(seed = 1): Sequential {
  setRandomSeed(seed);
  const model = sequential([
    layers.dense({ units: 8, activation: 'relu', inputShape: [2] }),
    layers.dense({ units: 1, activation: 'sigmoid' }),
  ]);
  model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy', metrics: ['accuracy'] });
  return model;
}
