import * as layers from '../../layers/index.js';
import { type Model, sequential } from '../../models/index.js';
import { NDArray } from '../../ndarray.js';
import { glorot } from '../data.js';

type Loss = 'binaryCrossentropy' | 'sparseCategoricalCrossentropy';

/** Kernels by formula (1000 + their number), biases zero: the same weights in every framework. */
async function withFixedWeights(model: Model): Promise<Model> {
  let kernels = 0;
  const weights = (await model.getWeights()).map(({ shape }) => {
    const data = shape.length > 1 ? glorot(1000 + kernels++, ...shape) : new Float32Array(shape[0] ?? 1);
    return new NDArray(data, shape);
  });
  await model.setWeights(weights);
  return model;
}

/** Dense layers with relu between them and the loss's own activation at the end. */
export async function denseNetwork(
  sizes: readonly number[],
  loss: Loss,
  metrics: readonly 'accuracy'[] = [],
): Promise<Model> {
  const last = loss === 'binaryCrossentropy' ? 'sigmoid' : 'softmax';
  const [features = 1, ...units] = sizes;
  const model = sequential(
    units.map((width, i) =>
      layers.dense({
        units: width,
        activation: i + 1 < units.length ? 'relu' : last,
        ...(i === 0 ? { inputShape: [features] } : {}),
      }),
    ),
  );
  model.compile({ optimizer: 'adam', loss, metrics: [...metrics] });
  return withFixedWeights(model);
}

/** The convolutional network of Keras's MNIST example. */
export async function convolutionalNetwork(dropout: boolean): Promise<Model> {
  const model = sequential([
    layers.conv2d({ filters: 32, kernelSize: 3, activation: 'relu', inputShape: [28, 28, 1] }),
    layers.maxPooling2d({ poolSize: 2 }),
    layers.conv2d({ filters: 64, kernelSize: 3, activation: 'relu' }),
    layers.maxPooling2d({ poolSize: 2 }),
    layers.flatten(),
    ...(dropout ? [layers.dropout({ rate: 0.5 })] : []),
    layers.dense({ units: 10, activation: 'softmax' }),
  ]);
  model.compile({ optimizer: 'adam', loss: 'sparseCategoricalCrossentropy' });
  return withFixedWeights(model);
}
