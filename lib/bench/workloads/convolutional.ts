import * as layers from '../../layers/index.js';
import { type Model, sequential } from '../../models/index.js';
import { callContender, trainingContender, type Workload } from '../workload.js';
import { batchOf, withFixedWeights } from './models.js';

/** The convolutional network of Keras's MNIST example. */
export async function digitsConvnet(dropout: boolean): Promise<Model> {
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

export const digitsConvolution: Workload = {
  id: 'W5',
  name: 'MNIST CNN',
  units: [
    {
      name: 'tr',
      what: 'a training step of 128 images',
      flop: 1.825e9,
      contender: () =>
        trainingContender({ build: digitsConvnet, batch: () => batchOf([128, 28, 28, 1], 10), steps: 8 }),
    },
    {
      name: 'inf',
      what: 'predictions of 128 images',
      flop: 0.6249e9,
      contender: () =>
        callContender(async () => {
          const model = await digitsConvnet(false);
          const { x } = batchOf([128, 28, 28, 1], 10);
          return { call: () => model.predict(x, { batchSize: 128 }) };
        }),
    },
  ],
};
