import * as layers from '../../layers/index.js';
import { sparseCategoricalCrossentropy } from '../../losses/index.js';
import { type Model, sequential } from '../../models/index.js';
import { trainingContender, type Workload } from '../workload.js';
import { batchOf, withFixedWeights } from './models.js';

/** A recurrent layer over whole sequences, its last state classified in two. */
export async function sequenceClassifier(layer: layers.Layer): Promise<Model> {
  const model = sequential([layer, layers.dense({ units: 2 })]);
  model.compile({ optimizer: 'adam', loss: sparseCategoricalCrossentropy({ fromLogits: true }) });
  return withFixedWeights(model);
}

export const longShortTermMemory: Workload = {
  id: 'W9',
  name: 'LSTM text, training',
  units: [
    {
      name: 'tr',
      what: 'a training step of 32 sequences of 100 x 128, 128 units',
      flop: 2.1e9,
      contender: () =>
        trainingContender({
          build: () => sequenceClassifier(layers.lstm({ units: 128, inputShape: [100, 128] })),
          batch: () => batchOf([32, 100, 128], 2),
          steps: 4,
        }),
    },
  ],
};

export const gatedUnits: Workload = {
  id: 'W10',
  name: 'GRU, training',
  units: [
    {
      name: 'tr',
      what: 'a training step of 64 sequences of 50 x 64, 256 units',
      flop: 4.4e9,
      contender: () =>
        trainingContender({
          build: () => sequenceClassifier(layers.gru({ units: 256, inputShape: [50, 64] })),
          batch: () => batchOf([64, 50, 64], 2),
          steps: 2,
        }),
    },
  ],
};
