import type { Model } from '../models/index.js';
import { type AnyArray, NDArray } from '../ndarray.js';
import type { Contender } from './contender.js';

export interface Unit {
  name: string;
  /** What one run of the unit is, for people. */
  what: string;
  /** Floating-point operations of one run, for the share of the machine's peak. */
  flop?: number;
  /** Losses of others must agree with ours to this before a timing counts. */
  contender(): Contender;
}

export interface Workload {
  id: string;
  name: string;
  units: Unit[];
}

/** Steps of one call of `fit`: a user trains whole epochs, and the engine runs their steps without coming back to JavaScript. */
export const STEPS_PER_FIT = 64;

interface TrainingTask {
  /** The model with fixed weights; without dropout for the comparison of losses. */
  build(withDropout: boolean): Promise<Model>;
  batch: { x: AnyArray; y: AnyArray };
  /** `STEPS_PER_FIT` copies of the batch, or fewer for long steps. */
  steps: number;
}

/** Times training steps as `fit` runs them, the fixed batch over and over. */
export function trainingContender({ build, batch, steps }: TrainingTask): Contender {
  let model: Model;
  const x = repeated(batch.x, steps);
  const y = repeated(batch.y, steps);
  const batchSize = batch.x.shape[0] ?? 1;
  const epoch = () => model.fit(x, y, { batchSize, shuffle: false, verbose: 0 });
  return {
    name: 'chainrule',
    async prepare() {
      const plain = await build(false);
      for (let step = 0; step < 10; step++) await plain.trainOnBatch(batch.x, batch.y);
      const { loss } = await plain.evaluate(batch.x, batch.y, { batchSize });
      model = await build(true);
      await epoch();
      return loss ?? null;
    },
    async block(seconds) {
      const start = performance.now();
      let done = 0;
      do {
        await epoch();
        done += steps;
      } while (performance.now() - start < seconds * 1000);
      return (performance.now() - start) / 1000 / done;
    },
  };
}

function repeated(array: AnyArray, times: number): AnyArray {
  const Data = array.data.constructor as new (length: number) => AnyArray['data'];
  const data = new Data(array.data.length * times);
  for (let i = 0; i < times; i++) data.set(array.data, i * array.data.length);
  const [rows = 1, ...rest] = array.shape;
  return new NDArray(data, [rows * times, ...rest]) as AnyArray;
}
