import * as layers from '../../layers/index.js';
import { sparseCategoricalCrossentropy } from '../../losses/index.js';
import { functional, type Model } from '../../models/index.js';
import { NDArray } from '../../ndarray.js';
import { uniform } from '../data.js';
import { callContender, trainingContender, type Workload } from '../workload.js';
import { batchOf, withFixedWeights } from './models.js';

const [LENGTH, WIDTH, HEADS, BATCH] = [128, 256, 4, 32];

/** Two encoder layers as in "Attention Is All You Need" (normalization behind the sum), mean over positions, ten classes. */
async function encoderClassifier(): Promise<Model> {
  const inputs = layers.input({ shape: [LENGTH, WIDTH] });
  let x = inputs;
  for (let layer = 0; layer < 2; layer++) {
    const seen = layers.multiHeadAttention({ numHeads: HEADS, keyDim: WIDTH / HEADS }).apply(x, { value: x });
    x = layers.layerNormalization({ epsilon: 1e-5 }).apply(layers.add().apply([x, seen]));
    const wide = layers.dense({ units: 4 * WIDTH, activation: 'relu' }).apply(x);
    const narrow = layers.dense({ units: WIDTH }).apply(wide);
    x = layers.layerNormalization({ epsilon: 1e-5 }).apply(layers.add().apply([x, narrow]));
  }
  const outputs = layers.dense({ units: 10 }).apply(layers.globalAveragePooling1d().apply(x));
  const model = functional({ inputs, outputs });
  model.compile({ optimizer: 'adam', loss: sparseCategoricalCrossentropy({ fromLogits: true }) });
  return withFixedWeights(model, (kernel) => (kernel < 12 ? 1000 + 10 * Math.floor(kernel / 6) + (kernel % 6) : 1100));
}

export const encoder: Workload = {
  id: 'W12',
  name: 'Transformer encoder',
  units: [
    {
      name: 'tr',
      what: 'a training step of 32 sequences of 128 x 256',
      flop: 40.3e9,
      contender: () =>
        trainingContender({ build: encoderClassifier, batch: () => batchOf([BATCH, LENGTH, WIDTH], 10), steps: 1 }),
    },
    {
      name: 'inf',
      what: 'predictions of 32 sequences of 128 x 256',
      flop: 13.96e9,
      contender: () =>
        callContender(async () => {
          const model = await encoderClassifier();
          const x = new NDArray(uniform(1, BATCH, LENGTH, WIDTH), [BATCH, LENGTH, WIDTH]);
          return { call: () => model.predict(x, { batchSize: BATCH }) };
        }),
    },
  ],
};
