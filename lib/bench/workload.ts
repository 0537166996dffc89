import { defaultDevice } from '../devices.js';
import type { Model } from '../models/index.js';
import { type AnyArray, NDArray } from '../ndarray.js';
import type { Contender } from './contender.js';
import { timeBlock } from './measure.js';

export type Factors = 'tf32' | 'bf16';

export interface Unit {
  name: string;
  /** What one run of the unit is, for people. */
  what: string;
  /** Floating-point operations of one run, for the share of the machine's peak. */
  flop?: number;
  /** Bytes that one run must move at least, and from where: the caches are several times faster than the memory. */
  bytes?: number;
  from?: 'memory' | 'cache';
  /** What a GPU rounds the factors of products to: tf32 where nothing else is said. */
  factors?: Factors;
  /** Losses of others must agree with ours to this before a timing counts. */
  contender(): Contender;
  /** What else runs here beside Chainrule, without any peer's package. */
  beside?(): Contender[];
  /** Why the unit cannot run yet. */
  missing?: string;
}

export interface Workload {
  id: string;
  name: string;
  units: Unit[];
}

/** Steps of one call of `fit`: a user trains whole epochs, and the engine runs their steps without coming back to JavaScript. */
export const STEPS_PER_FIT = 64;

/** On a GPU the data go over once per call of `fit`: a user's call trains many epochs. */
const EPOCHS_ON_GPU = 8;

interface TrainingTask {
  /** The model with fixed weights; without dropout for the comparison of losses. */
  build(withDropout: boolean): Promise<Model>;
  batch(): { x: AnyArray; y: AnyArray };
  /** Copies of the batch in one call of `fit`: `STEPS_PER_FIT`, or fewer for long steps. */
  steps: number;
}

/** Times training steps as `fit` runs them, the fixed batch over and over. */
export function trainingContender({ build, batch, steps }: TrainingTask): Contender {
  const epochs = defaultDevice().startsWith('cuda') ? EPOCHS_ON_GPU : 1;
  let run: () => Promise<unknown>;
  return {
    name: 'chainrule',
    async prepare() {
      const { x, y } = batch();
      const batchSize = x.shape[0] ?? 1;
      const plain = await build(false);
      for (let step = 0; step < 10; step++) await plain.trainOnBatch(x, y);
      const { loss } = await plain.evaluate(x, y, { batchSize });
      const model = await build(true);
      const [xs, ys] = [repeated(x, steps), repeated(y, steps)];
      run = () => model.fit(xs, ys, { batchSize, epochs, shuffle: false, verbose: 0 });
      await run();
      return loss ?? null;
    },
    async block(seconds) {
      return (await timeBlock(() => run() as Promise<void>, seconds)) / (steps * epochs);
    },
  };
}

/** A call that is ready to be timed. */
export interface Ready {
  call: () => Promise<unknown> | undefined;
  /** After ten steps, of tasks that train. */
  loss?: number;
  /** Units in one call. Default 1. */
  units?: number;
  facts?: () => Record<string, number>;
}

/** A contender that makes one call over and over. */
export function callContender(prepare: () => Promise<Ready>, name = 'chainrule'): Contender {
  let ready: Ready;
  return {
    name,
    async prepare() {
      ready = await prepare();
      await ready.call();
      return ready.loss ?? null;
    },
    block: async (seconds) => (await timeBlock(() => ready.call() as Promise<void>, seconds)) / (ready.units ?? 1),
    facts: async () => ready.facts?.() ?? {},
  };
}

function repeated(array: AnyArray, times: number): AnyArray {
  const Data = array.data.constructor as new (length: number) => AnyArray['data'];
  const data = new Data(array.data.length * times);
  for (let i = 0; i < times; i++) data.set(array.data, i * array.data.length);
  const [rows = 1, ...rest] = array.shape;
  return new NDArray(data, [rows * times, ...rest]) as AnyArray;
}
