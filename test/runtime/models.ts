import { join } from 'node:path';
import { layers, NDArray, type Sequential, sequential, setRandomSeed } from '../../lib/index.js';

// The models that the runtime tests train, and the package as child processes load it.

export const packageFile = join(__dirname, '../../dist/chainrule.js');

/** Numbers by a formula: no two tests share a generator's state. */
export const wave = (shape: number[]): NDArray => {
  const count = shape.reduce((a, b) => a * b, 1);
  return new NDArray(
    Float32Array.from({ length: count }, (_, i) => Math.fround(Math.sin(i * 0.37) * 0.9)),
    shape,
  );
};

export const labels = (rows: number, classes: number): NDArray =>
  new NDArray(
    Float32Array.from({ length: rows }, (_, i) => (i * 7) % classes),
    [rows],
  );

/** W3 of the benchmark: a tabular network of three layers at batch 32. */
export function tabular(): Sequential {
  setRandomSeed(1);
  const model = sequential([
    layers.dense({ units: 64, activation: 'relu', inputShape: [20] }),
    layers.dense({ units: 64, activation: 'relu' }),
    layers.dense({ units: 1, activation: 'sigmoid' }),
  ]);
  model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy', metrics: ['accuracy'] });
  return model;
}

/** Every layer whose randomness or reductions could depend on the split: convolution, batch norm, dropout. */
export function convolutional(filters = 16): Sequential {
  setRandomSeed(2);
  const model = sequential([
    layers.conv2d({ filters, kernelSize: 3, activation: 'relu', padding: 'same', inputShape: [12, 12, 3] }),
    layers.batchNormalization(),
    layers.maxPooling2d({ poolSize: 2 }),
    layers.conv2d({ filters: 2 * filters, kernelSize: 3, activation: 'relu' }),
    layers.flatten(),
    layers.dropout({ rate: 0.3 }),
    layers.dense({ units: 10, activation: 'softmax' }),
  ]);
  model.compile({ optimizer: 'adam', loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'] });
  return model;
}
