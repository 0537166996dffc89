import * as layers from '../../layers/index.js';
import { binaryCrossentropy } from '../../losses/index.js';
import { type Model, sequential } from '../../models/index.js';
import { NDArray } from '../../ndarray.js';
import { integers } from '../data.js';
import { trainingContender, type Workload } from '../workload.js';
import { withFixedWeights } from './models.js';

async function sentimentModel(): Promise<Model> {
  const model = sequential([
    layers.embedding({ inputDim: 20_000, outputDim: 16, inputShape: [256] }),
    layers.globalAveragePooling1d(),
    layers.dense({ units: 16, activation: 'relu' }),
    layers.dense({ units: 1 }),
  ]);
  model.compile({ optimizer: 'adam', loss: binaryCrossentropy({ fromLogits: true }) });
  return withFixedWeights(model);
}

export const sentiment: Workload = {
  id: 'W11',
  name: 'sentiment, training',
  units: [
    {
      name: 'tr',
      what: 'a training step of 512 texts of 256 words',
      bytes: 25_745_308,
      from: 'cache',
      contender: () =>
        trainingContender({
          build: sentimentModel,
          batch: () => ({
            x: new NDArray(integers(1, 20_000, 512, 256), [512, 256]),
            y: new NDArray(Float32Array.from(integers(2, 2, 512)), [512, 1]),
          }),
          steps: 8,
        }),
    },
  ],
};
