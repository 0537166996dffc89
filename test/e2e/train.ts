import {
  type CompileOptions,
  type FitOptions,
  layers,
  NDArray,
  optimizers,
  type Sequential,
  sequential,
  setRandomSeed,
} from '../../lib/index.js';
import type { Recipe, Split, Table } from './sources.js';

/** One fit by the recipe from its own seed: fresh weights, the training set mixed anew for every epoch; predictions at the end. */
export async function trained(
  { training }: Recipe,
  seed: number,
  build: () => Sequential,
  split: Split,
  options: FitOptions = {},
): Promise<ArrayLike<number>> {
  if (training.optimizer.class !== 'Adam') throw new Error(`the recipe wants ${training.optimizer.class}`);
  setRandomSeed(seed);
  const model = build();
  model.compile({
    optimizer: optimizers.adam({
      learningRate: training.optimizer.learning_rate,
      ...(training.optimizer.clipnorm && { clipnorm: training.optimizer.clipnorm }),
    }),
    loss: camel(training.loss) as CompileOptions['loss'],
  });
  const { batchSize, epochs } = training;
  await model.fit(arrayOf(split.train), arrayOf(split.trainTargets), {
    batchSize,
    epochs,
    shuffle: true,
    verbose: 0,
    ...options,
  });
  const out = (await model.predict(arrayOf(split.test))) as { data: ArrayLike<number> };
  return out.data;
}

const arrayOf = ({ data, shape }: Table): NDArray => new NDArray(data, shape);
const camel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** Dense layers with relu, and a last one. */
export function mlp(
  inputs: number,
  hidden: number[],
  outputs: number,
  activation: 'softmax' | 'sigmoid' | 'linear',
): Sequential {
  return sequential([
    ...hidden.map((units, i) =>
      layers.dense({ units, activation: 'relu', ...(i === 0 ? { inputShape: [inputs] } : {}) }),
    ),
    layers.dense({ units: outputs, activation }),
  ]);
}
